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
	dirty bool   // something was written since the last sync
	freed bool   // files were freed in place
	inUse bool   // someone else may write at the same time
}

// Commit makes the changes. The error is *NoSpaceError or a PathError of a directory without room (nothing
// was written), or a device error. A source that failed is no error of Commit: its Done is told, its file is left
// as it was, and the others are done.
//
// The writes, in their order, and what the volume holds after a cut:
//
//  1. Data of files, whole new directories and new clusters of old directories, into free clusters; then
//     deleted entries where a directory grows past its end marker; then the chains into the FATs. After a cut:
//     the old state, with lost clusters or FATs that differ in them.
//  2. Sync. Then the links to the new clusters of old directories; sync; and the entries in these, see
//     switchDir. After a cut: each file old or new, with the clusters of the others lost.
//  3. Sync. Then the clusters of what was removed or replaced are freed, and FSInfo is
//     written. After a cut: the new state, with lost clusters or a stale free count. Sync.
//
// With TxOptions.InPlace, if the space does not suffice, there is a step before: the entries of the replaced
// files are written with no size; sync; their clusters are freed. After a cut these files are empty.
func (t *Tx) Commit() error {
	if t.done {
		return errCommit
	}
	t.done = true
	defer t.v.forget()
	defer t.tellSources()
	c := &commit{Tx: t, fat: &tableWriter{geometry: t.v.geometry, dev: t.dev}, inUse: t.v.InUse()}
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.stage(); err != nil {
		return err
	}
	if c.idle() {
		return nil
	}
	if err := c.switchAll(); err != nil {
		return err
	}
	return c.release()
}

// tellSources calls the Done functions of the files that were written and of the sources that failed.
func (t *Tx) tellSources() {
	for _, n := range t.files {
		if n.switched || n.err != nil {
			n.src.done(n.err)
		}
	}
}

// idle tells whether there is nothing to do, maybe since all sources failed.
func (c *commit) idle() bool {
	idle := !c.freed
	c.eachChange(func(n *node) { idle = idle && n.err != nil })
	return idle
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

func (c *commit) sync() error {
	if c.opt.NoSync || !c.dirty {
		return nil
	}
	c.dirty = false
	return c.dev.Sync()
}

// prepare finds a place for everything, writing nothing unless files are freed in place.
func (c *commit) prepare() (err error) {
	var need int64
	c.eachDir(func(d *txDir) {
		if err != nil || d.old != nil && !slices.ContainsFunc(d.changes, (*node).isNew) {
			return
		}
		if err = c.layout(d); err == nil {
			need += d.layout.clusters()
		}
	})
	if err != nil {
		return err
	}
	for _, n := range c.files {
		need += c.v.clustersFor(n.src.Size)
	}
	if c.survey, err = c.Tx.survey(need); err != nil {
		return err
	}
	c.space = c.v.newAllocator(c.used)
	if err := c.makeRoom(need); err != nil {
		return err
	}
	c.eachDir(func(d *txDir) {
		if d.layout != nil {
			d.layout.grow(c.v.geometry, c.space.alloc(d.layout.clusters()))
			if d.old == nil {
				d.node.runs = d.layout.runs
			}
		}
	})
	for _, n := range c.files {
		n.runs = c.space.alloc(c.v.clustersFor(n.src.Size))
	}
	return nil
}

// makeRoom makes sure that need clusters are free. Clusters that were lost, maybe by a cut that this
// Tx is to make good, are taken before files are freed in place.
func (c *commit) makeRoom(need int64) error {
	if need <= c.space.free {
		return nil
	}
	var replaced []link
	for _, n := range c.files {
		replaced = c.freeLinks(replaced, n)
	}
	freed := c.v.newSet()
	for _, l := range replaced {
		freed.addRun(l.run)
	}
	lost, total := c.lost.len(), c.space.free
	inPlace := need > total+lost
	if inPlace && (!c.opt.InPlace || need > total+lost+freed.len()) {
		return &NoSpaceError{
			Need:    need * c.v.clusterSize,
			Free:    total * c.v.clusterSize,
			InPlace: !c.opt.InPlace && need <= total+lost+freed.len(),
		}
	}
	for i, w := range c.lost {
		c.used[i] &^= w
	}
	if !inPlace {
		c.space = c.v.newAllocator(c.used)
		return nil
	}
	for i, w := range freed {
		c.used[i] &^= w
	}
	c.space = c.v.newAllocator(c.used)
	c.freed = true
	return c.truncate(replaced)
}

// truncate makes the replaced files empty and frees their clusters, links. Writes: each file's entry; sync;
// the FATs. After a cut: each file whole or empty, and lost clusters.
func (c *commit) truncate(links []link) error {
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
		n.old = nil
	}
	if err := c.sync(); err != nil {
		return err
	}
	return c.setLinks(links)
}

// freeLinks adds to links what frees the old clusters of n, but for those that others need.
func (c *commit) freeLinks(links []link, n *node) []link {
	for _, r := range n.old {
		from := r.start
		for i := r.start; i <= r.start+r.n; i++ {
			if i < r.start+r.n && !c.kept.has(i) {
				continue
			}
			if i > from {
				links = append(links, link{run{from, i - from}, entryFree})
			}
			from = i + 1
		}
	}
	return links
}

// stage is the first step of Commit.
func (c *commit) stage() error {
	for _, n := range c.files {
		if err := c.copyFile(n); err != nil {
			return err
		}
	}
	if c.idle() {
		return nil
	}
	var links []link
	var err error
	c.eachDir(func(d *txDir) {
		if err == nil && d.layout != nil {
			err = c.stageDir(d)
		}
		if d.layout != nil && d.layout.runs != nil {
			links = linksOf(links, d.layout.runs)
		}
	})
	if err != nil {
		return err
	}
	for _, n := range c.files {
		if n.err == nil {
			links = linksOf(links, n.runs)
		}
	}
	for _, l := range links {
		if c.lost != nil {
			c.lost.removeRun(l.run)
		}
	}
	for _, r := range c.lost.runs() {
		links = append(links, link{r, entryFree})
	}
	if err := c.setLinks(links); err != nil {
		return err
	}
	return c.sync()
}

// copyFile writes the source of n into its clusters. An error of the source stands in n.err.
func (c *commit) copyFile(n *node) (err error) {
	if c.buf == nil {
		c.buf = make([]byte, copySize)
	}
	runs, pos := n.runs, int64(0)
	n.err, err = n.src.Copy(c.buf, func(p []byte) (err error) {
		runs, pos, err = c.writeRuns(c.pad(p), runs, pos)
		return err
	})
	return err
}

// writeRuns writes p into runs, from byte pos of the first one on, and returns what is left of them.
func (c *commit) writeRuns(p []byte, runs []run, pos int64) ([]run, int64, error) {
	for len(p) > 0 {
		left := int64(runs[0].n)*c.v.clusterSize - pos
		q := p[:min(int64(len(p)), left)]
		if err := c.writeAt(q, c.v.clusterOff(runs[0].start)+pos); err != nil {
			return nil, 0, err
		}
		p = p[len(q):]
		if pos += int64(len(q)); int64(len(q)) == left {
			runs, pos = runs[1:], 0
		}
	}
	return runs, pos, nil
}

// isNew tells whether n gets a new entry: it has none, and no source failed.
func (n *node) isNew() bool { return n.e == nil && n.err == nil }

// pad extends p, a part of c.buf, with zeros to whole sectors.
func (c *commit) pad(p []byte) []byte {
	n := len(p)
	p = c.buf[:(int64(n)+c.v.sectorSize-1)/c.v.sectorSize*c.v.sectorSize]
	clear(p[n:])
	return p
}

// release is the last step of Commit. A file that was not replaced, since its source failed, keeps the clusters
// that it shares with one that was.
func (c *commit) release() error {
	table := c.v.table(c.dev)
	for _, n := range c.files {
		if n.e == nil || n.switched {
			continue
		}
		if err := c.note(table, c.survey, nil, n.e.d.cluster(c.v.width), 0); err != nil {
			return err
		}
	}
	var links []link
	c.eachChange(func(n *node) {
		if n.switched {
			links = c.freeLinks(links, n)
		}
	})
	if err := c.setLinks(links); err != nil {
		return err
	}
	for _, l := range links {
		for i := l.start; i < l.start+l.n; i++ {
			c.used.remove(i)
		}
	}
	if err := c.writeFSInfo(); err != nil {
		return err
	}
	return c.sync()
}

// newEntry is the entry of a new file or directory.
func (c *commit) newEntry(n *node) *dirent {
	d := &dirent{12: n.lower}
	copy(d[:], n.short[:])
	d.setCreated(c.opt.Now)
	if n.isDir {
		d.setAttr(attrDir)
		d.setModified(n.mtime)
		d.setAccessed(c.opt.Now)
		d.setCluster(n.runs[0].start, c.v.width)
	} else {
		c.fillEntry(d, n)
	}
	return d
}

// fillEntry makes d lead to what was written for the file n.
func (c *commit) fillEntry(d *dirent, n *node) {
	mtime := n.src.ModTime
	if mtime.IsZero() {
		mtime = c.opt.Now
	}
	d.setAttr(d.attr() | attrArchive)
	d.setModified(mtime)
	d.setAccessed(c.opt.Now)
	d.setSize(uint32(n.src.Size))
	var first uint32
	if len(n.runs) > 0 {
		first = n.runs[0].start
	}
	d.setCluster(first, c.v.width)
}

// stageDir writes a new directory whole, or prepares an old one for its new entries: the clusters it grows by
// are written with deleted entries, and openEnd is called. After a cut: the old state.
func (c *commit) stageDir(d *txDir) error {
	l := d.layout
	if d.old != nil {
		if !slices.ContainsFunc(d.changes, func(n *node) bool { return n.isNew() && l.isGrown(n.place) }) {
			l.runs = nil
		}
		if err := c.openEnd(d); err != nil {
			return err
		}
	}
	if l.runs == nil {
		return nil
	}
	var buf []byte
	if d.old == nil {
		buf = c.dots(d)
	}
	for _, n := range d.changes {
		if n.isNew() && c.staged(n) {
			buf = appendDeleted(buf, n.place.slot-len(l.free)-len(buf)/direntSize)
			buf = appendSet(buf, n.long, c.newEntry(n))
		}
	}
	if d.old != nil {
		buf = appendDeleted(buf, l.grown-len(buf)/direntSize)
	}
	buf = append(buf, make([]byte, l.clusters()*c.v.clusterSize-int64(len(buf)))...)
	for _, x := range l.added {
		if err := c.writeAt(buf[:x.size], x.off); err != nil {
			return err
		}
		buf = buf[x.size:]
	}
	return nil
}

// staged tells whether the entries of the new n are written before its directory leads to them: in a new
// directory, or if one write cannot make them all.
func (c *commit) staged(n *node) bool {
	l := n.parent.layout
	return n.parent.old == nil || l.isGrown(n.place) && !l.whole(n.place)
}

// dots gives the entries "." and ".." of the new directory d.
func (c *commit) dots(d *txDir) []byte {
	dot := *c.newEntry(d.node)
	dot[12] = 0
	copy(dot[:], ".          ")
	dotdot := dot
	copy(dotdot[:], "..         ")
	var up uint32 // 0 for the root, on FAT32 too
	if p := d.node.parent; p != c.root {
		if p.old != nil {
			up = p.old.cluster
		} else {
			up = p.layout.runs[0].start
		}
	}
	dotdot.setCluster(up, c.v.width)
	return append(dot[:], dotdot[:]...)
}

// placed gives the new entries of the old directory d, in the order they have there.
func (d *txDir) placed() []*node {
	var nodes []*node
	for _, n := range d.changes {
		if n.isNew() {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b *node) int { return a.place.slot - b.place.slot })
	return nodes
}

// openEnd makes the entries from the end marker on, as far as new ones are to use them, deleted
// ones, with an end marker behind them. It writes nothing if the new ones take the place of the
// end marker without a gap and nothing but free entries follows. After a cut: the old state.
func (c *commit) openEnd(d *txDir) error {
	l := d.layout
	end, gap := l.end, l.dirty
	for _, n := range d.placed() {
		if to := n.place.slot + n.place.n; to > l.end && !l.isGrown(n.place) {
			gap = gap || n.place.slot > end
			end = to
		}
	}
	if l.runs != nil {
		gap = gap || end < len(l.free)
		end = len(l.free)
	}
	if end == l.end || !gap {
		return nil
	}
	buf := appendDeleted(nil, end-l.end)
	if end < len(l.free) {
		buf = append(buf, make([]byte, direntSize)...)
	}
	// The last piece first, so that the old end marker stands until all behind it is good.
	for to := l.end + len(buf)/direntSize; to > l.end; {
		from := to - 1
		for from > l.end && !l.first[from] {
			from--
		}
		if err := c.writeAt(buf[(from-l.end)*direntSize:(to-l.end)*direntSize], l.offset(from)); err != nil {
			return err
		}
		to = from
	}
	return nil
}

// switchAll is the second step of Commit. Writes: the links to the clusters that directories grow by, into the
// FATs; sync, so that a reader of either FAT sees the same entries (left out after the sync that freeing in place
// takes, for there are to be four at most); then the entries, directory by directory.
func (c *commit) switchAll() error {
	var links []link
	c.eachDir(func(d *txDir) {
		if d.old != nil && d.layout != nil && d.layout.runs != nil {
			links = append(links, link{run{d.old.lastCluster(c.v), 1}, d.layout.runs[0].start})
		}
	})
	if err := c.setLinks(links); err != nil {
		return err
	}
	if !c.freed {
		if err := c.sync(); err != nil {
			return err
		}
	}
	var err error
	c.eachDir(func(d *txDir) {
		if err == nil && d.old != nil {
			err = c.switchDir(d)
		}
	})
	if err != nil {
		return err
	}
	return c.sync()
}

// setSwitched notes that the new state of n, and of all that it holds, is there.
func (n *node) setSwitched() {
	n.switched = true
	if n.e == nil && n.dir != nil {
		for _, sub := range n.dir.changes {
			if sub.err == nil {
				sub.setSwitched()
			}
		}
	}
}

// switchDir changes the entries of the old directory d. Writes: for each removed file or directory one that deletes
// its entries (see deleteEntries); for each replaced file one of its short entry; for new ones that follow one
// another one of all their entries, none of which two sectors share unless it must.
// After a cut: each file or directory is as before or as it is to be.
func (c *commit) switchDir(d *txDir) error {
	for _, n := range d.changes {
		if n.e == nil || n.err != nil {
			continue
		}
		if n.what == remove {
			if err := c.deleteEntries(d, n.e); err != nil {
				return err
			}
		} else {
			e := n.e.d
			c.fillEntry(&e, n)
			if err := c.writeAt(e[:], n.e.off); err != nil {
				return err
			}
		}
		n.switched = true
	}
	for nodes := d.placed(); len(nodes) > 0; {
		k, err := c.writeEntries(d, nodes)
		if err != nil {
			return err
		}
		for _, n := range nodes[:k] {
			n.setSwitched()
		}
		nodes = nodes[k:]
	}
	return nil
}

// writeEntries writes the entries of the first k nodes, sorted by their places in d, in one write. Gaps
// between them are filled with deleted entries where stage left such.
func (c *commit) writeEntries(d *txDir, nodes []*node) (k int, err error) {
	if c.staged(nodes[0]) {
		return 1, nil
	}
	l := d.layout
	at := nodes[0].place.slot
	end := at
	var buf []byte
	for _, n := range nodes {
		p := n.place
		if k > 0 && (c.staged(n) || p.slot > end && end < l.end || !l.joined(end-1, p.slot+p.n)) {
			break
		}
		buf = appendDeleted(buf, p.slot-end)
		buf = appendSet(buf, n.long, c.newEntry(n))
		end = p.slot + p.n
		k++
	}
	return k, c.writeAt(buf, l.offset(at))
}

// maxBridge is how much lies at most between entries that one write deletes.
const maxBridge = 128 << 10

// deleteEntries deletes the entries of e in one write. Where they stand in different places, that write puts back what
// it has read between them: a part of a long name that stays alone would be damage. Too far apart, or on a
// volume in use, they take a write for each piece, that of the short name first: it makes an end of the file.
func (c *commit) deleteEntries(d *txDir, e *entry) error {
	offs := make([]int64, 0, e.slots)
	for i := range e.slots {
		offs = append(offs, slotOff(d.old.extents, e.slot-i))
	}
	if !c.inUse && slices.Max(offs)-slices.Min(offs) <= maxBridge {
		return c.deleteAt(offs)
	}
	for len(offs) > 0 {
		n := 1
		for n < len(offs) && offs[n] == offs[n-1]-direntSize {
			n++
		}
		if err := c.deleteAt(offs[:n]); err != nil {
			return err
		}
		offs = offs[n:]
	}
	return nil
}

// deleteAt deletes the entries at offs in one write.
func (c *commit) deleteAt(offs []int64) error {
	start := slices.Min(offs)
	buf := make([]byte, slices.Max(offs)-start+direntSize)
	if err := readAt(c.dev, buf, start); err != nil {
		return err
	}
	for _, off := range offs {
		buf[off-start] = slotDeleted
	}
	return c.writeAt(buf, start)
}
