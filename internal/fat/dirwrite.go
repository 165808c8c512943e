// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"math"
	"slices"
	"time"
)

// isNew reports whether n gets entries of its own that are not there yet.
func (n *node) isNew() bool { return n.e == nil && !n.inPlace && !n.failed() }

// newEntry is the short entry of n as it is to be.
func (c *commit) newEntry(n *node) *dirent {
	d := c.stamped(n)
	if n.e != nil { // it keeps its name
		short := n.e.d.rawName()
		copy(d[:], short[:])
		d[12] = n.e.d[12]
		d.setCreated(replacedAt(&n.e.d, c.opt.Now))
	} else {
		copy(d[:], n.short[:])
		d[12] = n.lower
	}
	if n.inPlace {
		return d // it leads to what it did
	}
	var first uint32
	if len(n.runs) > 0 {
		first = n.runs[0].start
	}
	d.setCluster(first, c.v.width)
	d.setSize(uint32(n.src.Size))
	return d
}

// stamped is an entry with the attributes and times of n: those of what is moved, or else of what is written now.
func (c *commit) stamped(n *node) *dirent {
	if n.moved != nil {
		d := n.moved.d
		return &d
	}
	d := &dirent{}
	mtime := n.mtime
	if n.e != nil {
		*d = n.e.d
	} else {
		d.setCreated(c.opt.Now)
	}
	if n.isDir {
		d.setAttr(attrDir)
	} else {
		d.setAttr(d.attr() | attrArchive)
		mtime = n.src.ModTime
	}
	if mtime.IsZero() {
		mtime = c.opt.Now
	}
	d.setModified(mtime)
	d.setAccessed(c.opt.Now)
	return d
}

// replacedAt is when the file counts as created that replaces the entry d at the time now: at least 10 ms after d, so
// that the new entry is never the old one, though all else may be the same.
func replacedAt(d *dirent, now time.Time) time.Time {
	if next := d.created().Add(createdStep); now.Before(next) {
		return next
	}
	return now
}

// stageDir writes a new directory whole, or prepares an old one for its new entries: the clusters it grows by
// are written with deleted entries, and openEnd is called. After a cut: the old state.
func (c *commit) stageDir(d *txDir) error {
	s := d.slots
	if d.old != nil {
		if !slices.ContainsFunc(d.changes, func(n *node) bool { return n.isNew() && s.isGrown(n.place) }) {
			s.runs = nil
		}
		if err := c.openEnd(d); err != nil {
			return err
		}
	}
	if s.runs == nil {
		return nil
	}
	buf := c.stagedEntries(d)
	for _, x := range s.added {
		if err := c.writeAt(buf[:x.size], x.off); err != nil {
			return err
		}
		buf = buf[x.size:]
	}
	return nil
}

// stagedEntries is what the clusters that d grows by, or a new d consists of, hold before anything leads to them.
func (c *commit) stagedEntries(d *txDir) []byte {
	s := d.slots
	size := s.clusters() * c.v.clusterSize
	buf := make([]byte, 0, size)
	if d.old == nil {
		buf = append(buf, c.dots(d)...)
	}
	for _, n := range d.changes {
		if n.isNew() && c.isStaged(n) {
			buf = appendDeleted(buf, n.place.slot-len(s.free)-len(buf)/direntSize)
			buf = appendSet(buf, n.longUnits(), c.newEntry(n))
		}
	}
	if d.old != nil {
		buf = appendDeleted(buf, s.grown-len(buf)/direntSize)
	}
	return buf[:size] // zeros up to the end
}

// isStaged reports whether the entries of the new n are written before its directory leads to them: in a new
// directory, or if one write cannot make them all.
func (c *commit) isStaged(n *node) bool {
	s := n.parent.slots
	return n.parent.old == nil || s.isGrown(n.place) && !s.whole(n.place)
}

// dots returns the entries "." and ".." of the new directory d.
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
			up = p.slots.runs[0].start
		}
	}
	dotdot.setCluster(up, c.v.width)
	return append(dot[:], dotdot[:]...)
}

// placed returns the new entries of the old directory d, in the order they have there.
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

// openEnd makes the slots from the end marker on, as far as new entries are to use them, deleted
// ones, with an end marker after them. It writes nothing if the new ones take the place of the
// end marker without a gap and nothing but free slots follows. After a cut: the old state.
func (c *commit) openEnd(d *txDir) error {
	s := d.slots
	end := s.newEnd(d.placed())
	if end == s.end {
		return nil
	}
	buf := appendDeleted(nil, end-s.end)
	if end < len(s.free) {
		buf = append(buf, make([]byte, direntSize)...)
	}
	// The last piece first, so that the old end marker stays until all after it is good.
	for to := s.end + len(buf)/direntSize; to > s.end; {
		from := to - 1
		for from > s.end && !s.apart[from] {
			from--
		}
		if err := c.writeAt(buf[(from-s.end)*direntSize:(to-s.end)*direntSize], s.offset(from)); err != nil {
			return err
		}
		to = from
	}
	return nil
}

// newEnd is where openEnd has to put the end marker for the new entries of nodes; the old place if it need not.
func (s *dirSlots) newEnd(nodes []*node) int {
	end, gap := s.end, s.stale
	for _, n := range nodes {
		if to := n.place.end(); to > s.end && !s.isGrown(n.place) {
			gap = gap || n.place.slot > end
			end = to
		}
	}
	if s.runs != nil {
		gap = gap || end < len(s.free)
		end = len(s.free)
	}
	if !gap {
		return s.end
	}
	return end
}

// renameEntries moves within d what one write can move. Writes: for each move one, of the old entries that become
// deleted ones and the new ones that lead to the same; a file that it replaces ceases to be there with it. After a
// cut: each has its old or its new name.
func (c *commit) renameEntries(d *txDir) error {
	for _, n := range d.changes {
		if !n.inPlace {
			continue
		}
		p := patch{}
		for i := range n.moved.slots {
			p.set(d.slots.offset(n.moved.slot-i), slotDeleted)
		}
		if n.e != nil {
			p.set(n.e.off, c.newEntry(n)[:]...)
		} else {
			for i := n.fill; i < n.place.slot; i++ {
				p.set(d.slots.offset(i), slotDeleted)
			}
			for i, e := range slices.Collect(slices.Chunk(appendSet(nil, n.longUnits(), c.newEntry(n)), direntSize)) {
				p.set(d.slots.offset(n.place.slot+i), e...)
			}
		}
		if err := c.rewrite(p); err != nil {
			return err
		}
		n.switched = true
	}
	return nil
}

// replaceEntries makes the entries of replaced files in d lead to the new ones. Writes: for each file one of its short
// entry. After a cut: each file is old or new.
func (c *commit) replaceEntries(d *txDir) error {
	for _, n := range d.changes {
		if n.e == nil || n.what != write || n.inPlace || n.failed() {
			continue
		}
		if err := c.writeAt(c.newEntry(n)[:], n.e.off); err != nil {
			return err
		}
		n.switched = true
	}
	return nil
}

// addEntries writes the new entries of the old directory d. Writes: for those that follow one another one of all
// their entries, none of which two sectors share unless it must. After a cut: each is there or not.
func (c *commit) addEntries(d *txDir) error {
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
	if c.isStaged(nodes[0]) {
		return 1, nil
	}
	s := d.slots
	at := nodes[0].place.slot
	end := at
	var buf []byte
	for _, n := range nodes {
		p := n.place
		if k > 0 && (c.isStaged(n) || p.slot > end && end < s.end || !s.joined(end-1, p.end())) {
			break
		}
		buf = appendDeleted(buf, p.slot-end)
		buf = appendSet(buf, n.longUnits(), c.newEntry(n))
		end = p.end()
		k++
	}
	return k, c.writeAt(buf, s.offset(at))
}

// maxBridge is how many bytes may be at most between entries that one write deletes. It is rarely more than a few
// files that were written between two that made their directory grow.
const maxBridge = 8 << 20

// deleteEntries deletes the entries of e in one write. Where they are in different places, that write puts back what
// it has read between them: a part of a long name that stays alone would be damage. Too far apart, or on a
// volume in use, they take a write for each piece, that of the short name first: it ends the file.
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
	p := patch{}
	for _, off := range offs {
		p.set(off, slotDeleted)
	}
	return c.rewrite(p)
}

// patch is what the slots at some offsets of the volume are to begin with; what follows in them stays.
type patch map[int64][]byte

func (p patch) set(off int64, b ...byte) { p[off] = b }

// rewrite makes the changes of p in one write, which puts back what it has read between them.
func (c *commit) rewrite(p patch) error {
	start, end := int64(math.MaxInt64), int64(0)
	for off := range p {
		start, end = min(start, off), max(end, off+direntSize)
	}
	buf := make([]byte, end-start)
	if err := readAt(c.dev, buf, start); err != nil {
		return err
	}
	for off, b := range p {
		copy(buf[off-start:], b)
	}
	return c.writeAt(buf, start)
}
