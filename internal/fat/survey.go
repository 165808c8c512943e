// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"iter"
	"slices"
)

// survey is what Commit finds out about the volume before it writes.
type survey struct {
	used clusterSet // clusters that must not be written: not free in the FAT, or in use all the same
	seen clusterSet // clusters of files and directories
	kept clusterSet // clusters of those that stay
	gone clusterSet // clusters of those that go, of which others may be needed still; nil if there are none
	over clusterSet // clusters of files that are written over, which are in gone, too; nil likewise
	lost clusterSet // clusters that are in use and belong to nothing; nil if they are not needed, or are uncertain
	free int64      // clusters that the FAT shows as free
	room int64      // those of them that lie whole on what is there
}

// survey reads the whole FAT and follows the chains of all files and directories, noting in sets, whose size
// does not depend on how the chains lie, what clusters they have. So even on a volume where files share clusters, or
// are marked free, no cluster is given out or freed that something else needs. What is lost is found out
// if fewer than need clusters are free.
func (t *Tx) survey(need int64) (*survey, error) {
	v := t.v
	s := &survey{used: v.newSet(), seen: v.newSet(), kept: v.newSet(), lost: v.newSet()}
	table := v.table(v.r)
	for b, err := range table.blocks() {
		if err != nil {
			return nil, err
		}
		s.add(v.geometry, b)
	}
	if need <= s.room || v.InUse() { // in use, what seems lost may just not be linked yet
		s.lost = nil
	}
	if err := t.follow(table, s); err != nil {
		return nil, err
	}
	for i, w := range s.seen {
		s.used[i] |= w
	}
	return s, nil
}

// add takes the next entries of the FAT.
func (s *survey) add(g *geometry, b block) {
	for i, e := range b.entries {
		c := b.first + uint32(i)
		if e == entryFree {
			s.free++
			if c < g.end {
				s.room++
			}
			continue
		}
		s.used.add(c)
		if c < g.end && (g.valid(e) || e >= entryEnd) {
			s.lost.add(c) // unless follow finds it
		}
	}
}

// visit is a directory that follow goes into.
type visit struct {
	parent *directory
	e      *entry
	owner  *node // what goes and takes the directory along; nil: the directory stays
}

// follow goes through the tree of directories.
func (t *Tx) follow(table *table, s *survey) error {
	going := map[origin]*node{}
	for n := range t.changed() {
		if n.e != nil && !n.failed() {
			going[origin{n.parent.old.cluster, n.e.slot}] = n
		}
	}
	if t.v.width == 32 {
		if err := t.note(table, s, nil, t.root.old.cluster, 1); err != nil {
			return err
		}
	}
	return t.lookAll(table, s, visit{e: rootEntry()}, going)
}

// lookAll looks at a directory and at all below it.
func (t *Tx) lookAll(table *table, s *survey, at visit, going map[origin]*node) error {
	for stack := []visit{at}; len(stack) > 0; {
		at := stack[len(stack)-1]
		subs, err := t.look(table, s, at, going)
		if err != nil {
			return err
		}
		stack = append(stack[:len(stack)-1], subs...)
	}
	return nil
}

// keepAll notes that e stays after all, with all that is in it.
func (c *commit) keepAll(table *table, e *entry) error {
	if err := c.note(table, c.survey, nil, e.d.cluster(c.v.width), 0); err != nil || !e.d.isDir() {
		return err
	}
	return c.lookAll(table, c.survey, visit{parent: e.parent, e: e}, nil)
}

// look notes what the directory at holds, and returns the directories in it. Of the entries in going the
// nodes are given what they take along.
func (t *Tx) look(table *table, s *survey, at visit, going map[origin]*node) ([]visit, error) {
	d, err := t.v.dirOf(at.parent, at.e)
	switch {
	case err != nil:
		return nil, err
	case d.shared != nil:
		return nil, d.shared
	}
	if s.lost != nil {
		hides, err := t.v.hides(d)
		if err != nil {
			return nil, err
		}
		if hides {
			s.lost = nil
		}
	}
	var subs []visit
	for i := range d.entries {
		e := &d.entries[i]
		owner := at.owner
		if owner == nil {
			owner = going[origin{d.cluster, e.slot}]
		}
		if err := t.note(table, s, owner, e.d.cluster(t.v.width), t.v.clustersFor(int64(e.d.size()))); err != nil {
			return nil, err
		}
		if e.d.isDir() {
			subs = append(subs, visit{d, e, owner})
		}
	}
	return subs, nil
}

// hides reports whether files may have been in d that its entries do not show: it is damaged, does not begin
// with "." and "..", or something stands after its end marker, where other systems look, too.
func (v *FS) hides(d *directory) (bool, error) {
	if d.damage != nil {
		return true, nil
	}
	dots := 2
	if d.origin == rootOrigin {
		dots = 0
	}
	ended := false
	for s, err := range v.slots(d.extents) {
		if err != nil {
			return false, err
		}
		ended = ended || s.d[0] == slotEnd
		if s.i < dots && !s.d.isDot() || ended && s.d[0] != slotDeleted && *s.d != (dirent{}) {
			return true, nil
		}
	}
	return false, nil
}

// note notes the chain that begins with cluster first, as far as it can be followed and is not noted yet, so that
// many chains of the same clusters take no more time than one. Nothing counts as lost if it should have
// need clusters and has fewer.
func (t *Tx) note(table *table, s *survey, owner *node, first uint32, need int64) error {
	if first == 0 && need == 0 {
		return nil
	}
	known := s.seen
	if owner == nil {
		known = s.kept // one that stays needs what another one that goes has, too
	}
	if !t.v.valid(first) || known.has(first) {
		s.lost = nil
		return nil
	}
	into := t.setsFor(s, owner)
	n, err := table.follow(first, int64(t.v.clusters), known, func(r run) {
		for _, set := range into {
			set.addRun(r)
		}
		if s.lost != nil {
			s.lost.removeRun(r)
		}
	})
	if err != nil && !isCorrupt(err) {
		return err
	}
	if err != nil || n < need {
		s.lost = nil
	}
	return nil
}

// setsFor returns the sets that the clusters of what owner takes along are in, or of what stays if it is nil.
func (t *Tx) setsFor(s *survey, owner *node) []clusterSet {
	if owner == nil {
		return []clusterSet{s.seen, s.kept}
	}
	if s.gone == nil {
		s.gone = t.v.newSet()
	}
	if owner.what != write || owner.isDir || owner.inPlace { // no file that Commit writes
		return []clusterSet{s.seen, s.gone}
	}
	if s.over == nil {
		s.over = t.v.newSet()
	}
	return []clusterSet{s.seen, s.gone, s.over}
}

// dirs returns the directories that the Tx has looked into and that stay, parents first.
func (t *Tx) dirs() iter.Seq[*txDir] {
	return func(yield func(*txDir) bool) { t.root.walk(yield) }
}

// walk yields d and those of its subdirectories that stay. It reports whether the loop goes on.
func (d *txDir) walk(yield func(*txDir) bool) bool {
	if !yield(d) {
		return false
	}
	for _, sub := range d.subs {
		if (sub.node.what != remove || sub.node.failed()) && !sub.walk(yield) {
			return false
		}
	}
	return true
}

// changed returns everything that is written or removed, but not what is removed along with its directory.
func (t *Tx) changed() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		t.root.walk(func(d *txDir) bool {
			return !slices.ContainsFunc(d.changes, func(n *node) bool { return !yield(n) })
		})
	}
}
