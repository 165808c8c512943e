// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import "slices"

// commit is a Tx at work.
type commit struct {
	*Tx
	*survey
	space *allocator
	fat   *tableWriter
	buf   []byte // copySize
	out   gatherer
	dirty bool       // something was written since the last sync
	freed clusterSet // with InPlace: the clusters of the replaced files, if these are freed first
	inUse bool       // someone else may write at the same time

	copied, total int64 // bytes of files: written so far, and in all
}

// Commit makes the changes. The error is *NoSpaceError or a PathError of a directory without room (nothing was
// written), or a device error. A source that failed, or a move of what cannot be read, is no error of Commit: its
// Done is told, its file is left as it was, and the others are done.
//
// The writes, in their order, and what the volume holds after a cut:
//
//  1. stage: data of files, whole new directories and new clusters of old directories, into free clusters; then
//     deleted entries where a directory grows past its end marker; then the chains into the FATs. After a cut:
//     the old state, with lost clusters or FATs that differ in them. Sync.
//  2. linkGrown, where old directories grow: the links to their new clusters. Sync. After a cut: as before.
//  3. makeEntries: the renamed, the replaced and the new entries. Sync. After a cut: each file old or new, what is
//     to be removed still there, and the clusters of the others lost.
//  4. dropEntries: the deleted entries. Sync. After a cut: all that is new is there, each of the removed is there
//     or not, and the clusters of the latter and of replaced files are lost.
//  5. release: the clusters of what was removed or replaced are freed, and FSInfo is written. Sync. After a cut:
//     the new state, with lost clusters or a stale free count.
//
// So what is moved, as a new entry and a deleted one, is never nowhere. A step that writes nothing takes no sync.
//
// With TxOptions.InPlace, if the space does not suffice, truncate comes before: the entries of the replaced
// files are written with no size; sync; their clusters are freed. After a cut these files are empty.
func (t *Tx) Commit() error {
	if t.prepared == nil {
		if err := t.Prepare(); err != nil {
			return err
		}
	}
	c := t.prepared
	t.prepared = nil
	defer t.v.forget()
	defer t.tellSources()
	if err := c.truncate(); err != nil {
		return err
	}
	if err := c.copyFiles(); err != nil {
		return err
	}
	if c.idle() {
		return nil
	}
	for _, step := range []func() error{c.stage, c.linkGrown, c.makeEntries, c.dropEntries, c.release} {
		if err := step(); err != nil {
			return err
		}
		if err := c.sync(); err != nil {
			return err
		}
	}
	return nil
}

// Prepare is the part of Commit that writes nothing: it finds a place for all that was planned. With it, several
// Tx can be known to fit before the first is committed. It ends the planning, and Commit must follow unless there
// is an error, which is the one that Commit would return.
func (t *Tx) Prepare() error {
	if t.done {
		return errCommit
	}
	t.done = true
	c := &commit{Tx: t, fat: &tableWriter{geometry: t.v.geometry, dev: t.dev}, inUse: t.v.InUse()}
	c.out = gatherer{geometry: t.v.geometry, writeAt: c.writeAt}
	err := c.prepareMoves(c.inUse)
	if err == nil {
		err = c.prepare()
	}
	if err != nil {
		t.tellSources()
		t.v.forget()
		return err
	}
	t.prepared = c
	return nil
}

// tellSources calls the Done functions of what was written or moved and of the sources that failed.
func (t *Tx) tellSources() {
	for _, n := range t.files {
		if n.switched || n.err != nil {
			n.src.done(n.err)
		}
	}
	for _, n := range slices.Concat(t.moves, t.ended) {
		if n.done != nil && (n.switched || n.failed()) {
			n.done(n.failure())
		}
	}
}

// idle reports whether there is nothing to do, maybe since all sources failed.
func (c *commit) idle() bool {
	for n := range c.changed() {
		if !n.failed() {
			return false
		}
	}
	return c.freed == nil
}

func (c *commit) writeAt(p []byte, off int64) error {
	c.dirty = true
	_, err := c.dev.WriteAt(p, off)
	return err
}

// setLinks changes the FAT.
func (c *commit) setLinks(links []link) error {
	c.dirty = c.dirty || len(links) > 0
	return c.fat.apply(links)
}

// setFree frees the clusters in set.
func (c *commit) setFree(set clusterSet) error {
	c.dirty = c.dirty || set.len() > 0
	return c.fat.free(set)
}

func (c *commit) sync() error {
	if c.opt.NoSync || !c.dirty {
		return nil
	}
	c.dirty = false
	return c.dev.Sync()
}

// prepare finds a place for everything.
func (c *commit) prepare() (err error) {
	var need int64
	for d := range c.dirs() {
		if d.node.failed() || d.old != nil && !slices.ContainsFunc(d.changes, (*node).isNew) {
			continue
		}
		if err := c.placeEntries(d); err != nil {
			return err
		}
		need += d.slots.clusters()
	}
	for _, n := range c.files {
		if !n.failed() {
			need += c.v.clustersFor(n.src.Size)
			c.total += n.src.Size
		}
	}
	if c.survey, err = c.Tx.survey(need); err != nil {
		return err
	}
	c.space = c.v.newAllocator(c.used)
	if err := c.makeRoom(need); err != nil {
		return err
	}
	for d := range c.dirs() {
		if d.slots == nil {
			continue
		}
		d.slots.grow(c.v.geometry, c.space.alloc(d.slots.clusters()))
		if d.old == nil {
			d.node.runs = d.slots.runs
		}
	}
	for _, n := range c.files {
		if !n.failed() {
			n.runs = c.space.alloc(c.v.clustersFor(n.src.Size))
		}
	}
	return nil
}

// makeRoom makes sure that need clusters are free. Clusters that were lost, maybe by a cut that this
// Tx is to make good, are taken before files are freed in place.
func (c *commit) makeRoom(need int64) error {
	if need <= c.space.free {
		return nil
	}
	replaced := c.v.newSet()
	copy(replaced, c.over)
	replaced.subtract(c.kept)
	freed := slices.Clone(replaced)
	freed.removeRun(run{c.v.end, c.v.clusters + 2 - c.v.end})
	lost, total := c.lost.len(), c.space.free
	inPlace := need > total+lost
	if inPlace && (!c.opt.InPlace || need > total+lost+freed.len()) {
		return &NoSpaceError{
			Need:    need * c.v.clusterSize,
			Free:    total * c.v.clusterSize,
			InPlace: !c.opt.InPlace && need <= total+lost+freed.len(),
		}
	}
	c.used.subtract(c.lost)
	if !inPlace {
		c.space = c.v.newAllocator(c.used)
		return nil
	}
	c.used.subtract(freed)
	c.space = c.v.newAllocator(c.used)
	c.freed = replaced
	return nil
}

// truncate makes the replaced files empty and frees their clusters, if that is due. Writes: each file's entry; sync;
// the FATs. After a cut: each file whole or empty, and lost clusters.
func (c *commit) truncate() error {
	if c.freed == nil {
		return nil
	}
	for _, n := range c.files {
		if n.e == nil || n.e.d.cluster(c.v.width) == 0 {
			continue
		}
		d := n.e.d
		d.setSize(0)
		d.setCluster(0, c.v.width)
		if err := c.writeAt(d[:], n.e.off); err != nil {
			return err
		}
	}
	if err := c.sync(); err != nil {
		return err
	}
	c.gone.subtract(c.freed) // as they may have new data by then
	return c.setFree(c.freed)
}

// copyFiles writes the data of files into free clusters. After a cut: the old state.
func (c *commit) copyFiles() error {
	for _, n := range c.files {
		if n.failed() {
			continue
		}
		if err := c.copyFile(n); err != nil {
			return err
		}
		if n.top != nil {
			n.top.err = n.err // all of what it is a part of stays where it is
		}
	}
	return c.out.flush()
}

// copyFile writes the source of n into its clusters. An error of the source is kept in n.err.
func (c *commit) copyFile(n *node) (err error) {
	if c.buf == nil {
		c.buf = make([]byte, copySize)
	}
	w := runWriter{commit: c, runs: n.runs}
	n.err, err = n.src.Copy(c.buf, func(p []byte) error {
		if err := w.write(c.pad(p)); err != nil {
			return err
		}
		if c.copied += int64(len(p)); c.opt.Progress != nil {
			c.opt.Progress(c.copied, c.total)
		}
		return nil
	})
	return err
}

// pad extends p, a part of c.buf, with zeros to whole sectors.
func (c *commit) pad(p []byte) []byte {
	n := len(p)
	p = c.buf[:(int64(n)+c.v.sectorSize-1)/c.v.sectorSize*c.v.sectorSize]
	clear(p[n:])
	return p
}

// runWriter writes into the clusters of runs, one after another.
type runWriter struct {
	*commit
	runs []run
	pos  int64 // in runs[0], bytes
}

// write writes p, for which runs must have room.
func (w *runWriter) write(p []byte) error {
	for len(p) > 0 {
		left := int64(w.runs[0].n)*w.v.clusterSize - w.pos
		q := p[:min(int64(len(p)), left)]
		if err := w.out.write(q, w.v.clusterOff(w.runs[0].start)+w.pos); err != nil {
			return err
		}
		p = p[len(q):]
		if w.pos += int64(len(q)); int64(len(q)) == left {
			w.runs, w.pos = w.runs[1:], 0
		}
	}
	return nil
}

// stage is the first step of Commit, after the data of files.
func (c *commit) stage() error {
	var links []link
	for d := range c.dirs() {
		if d.slots == nil || d.node.failed() {
			continue
		}
		if err := c.stageDir(d); err != nil {
			return err
		}
		if d.slots.runs != nil {
			links = linksOf(links, d.slots.runs)
		}
	}
	for _, n := range c.files {
		if !n.failed() {
			links = linksOf(links, n.runs)
		}
	}
	if c.lost != nil {
		for _, l := range links {
			c.lost.removeRun(l.run)
		}
		if err := c.setFree(c.lost); err != nil {
			return err
		}
	}
	return c.setLinks(links)
}

// linkGrown is the second step: it links the clusters that old directories grow by. It is a step of its own so
// that a reader of either FAT sees the same entries.
func (c *commit) linkGrown() error {
	var links []link
	for d := range c.dirs() {
		if d.old != nil && d.slots != nil && d.slots.runs != nil {
			links = append(links, link{run{d.old.lastCluster(c.v), 1}, d.slots.runs[0].start})
		}
	}
	return c.setLinks(links)
}

// makeEntries is the third step.
func (c *commit) makeEntries() error {
	for d := range c.dirs() {
		if d.old == nil {
			continue
		}
		for _, write := range []func(*txDir) error{c.renameEntries, c.replaceEntries, c.addEntries} {
			if err := write(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropEntries is the fourth step.
func (c *commit) dropEntries() error {
	for d := range c.dirs() {
		for _, n := range d.changes {
			if n.what != remove || n.failed() {
				continue
			}
			if err := c.deleteEntries(d, n.e); err != nil {
				return err
			}
			n.switched = true
		}
	}
	return nil
}

// setSwitched notes that the new state of n, and of all that it holds, is there.
func (n *node) setSwitched() {
	n.switched = true
	if n.e != nil || n.dir == nil {
		return
	}
	for _, sub := range n.dir.changes {
		if !sub.failed() {
			sub.setSwitched()
		}
	}
}

// renamesOnly reports whether nothing has changed but names: then FSInfo is as it was.
func (c *commit) renamesOnly() bool {
	for n := range c.changed() {
		if !n.inPlace || n.e != nil {
			return false
		}
	}
	return true
}

// release is the last step. What was not replaced or moved, since a source failed, keeps the clusters
// that it shares with others.
func (c *commit) release() error {
	if c.renamesOnly() {
		return nil
	}
	table := c.v.table(c.dev)
	for n := range c.changed() {
		if n.e == nil || n.switched {
			continue
		}
		if err := c.keepAll(table, n.e); err != nil {
			return err
		}
	}
	if c.gone != nil {
		c.gone.subtract(c.kept)
		if err := c.setFree(c.gone); err != nil {
			return err
		}
		c.used.subtract(c.gone)
	}
	return c.writeFSInfo()
}
