// SPDX-License-Identifier: GPL-3.0-or-later

package fat

// survey is what Commit finds out about the volume before it writes.
type survey struct {
	used clusterSet // clusters that must not be written: not free in the FAT, or in use all the same
	kept clusterSet // clusters of the files and directories that stay
	lost clusterSet // clusters that are in use and belong to nothing; nil if a damage makes that uncertain
	free int64      // clusters that the FAT shows as free
}

// survey reads the whole FAT and follows the chains of all files and directories, noting in the
// nodes of those that go what clusters they have. So even on a volume where files share clusters, or
// are marked free, no cluster is given out or freed that something else needs.
func (t *Tx) survey() (*survey, error) {
	v := t.v
	s := &survey{used: v.newSet(), kept: v.newSet(), lost: v.newSet()}
	table := v.table(v.r)
	err := table.each(func(c, e uint32) {
		if e == entryFree {
			s.free++
			return
		}
		s.used.add(c)
		if v.valid(e) || e >= entryEnd {
			s.lost.add(c) // unless follow finds it
		}
	})
	if err != nil {
		return nil, err
	}
	if err := t.follow(table, s); err != nil {
		return nil, err
	}
	for i, w := range s.kept {
		s.used[i] |= w
	}
	if v.InUse() { // what is lost may just not be linked yet
		s.lost = nil
	}
	return s, nil
}

// follow goes through the tree of directories.
func (t *Tx) follow(table *table, s *survey) error {
	going := map[origin]*node{}
	t.eachChange(func(n *node) {
		if n.e != nil {
			going[origin{n.parent.old.cluster, n.e.slot}] = n
		}
	})
	type item struct {
		d     *directory
		owner *node // what goes and takes the directory along; nil: the directory stays
	}
	root := t.root.old
	if t.v.width == 32 {
		if err := t.note(table, s, nil, root.cluster); err != nil {
			return err
		}
	}
	for stack := []item{{d: root}}; len(stack) > 0; {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if it.d.shared != nil {
			return it.d.shared
		}
		if it.d.damage != nil {
			s.lost = nil
		}
		for i := range it.d.entries {
			e := &it.d.entries[i]
			owner := it.owner
			if owner == nil {
				owner = going[origin{it.d.cluster, e.slot}]
			}
			if err := t.note(table, s, owner, e.d.cluster(t.v.width)); err != nil {
				return err
			}
			if e.d.isDir() {
				d, err := t.v.sub(it.d, e)
				if err != nil {
					return err
				}
				stack = append(stack, item{d, owner})
			}
		}
	}
	return nil
}

// note notes the chain that begins with cluster first, as far as it can be followed.
func (t *Tx) note(table *table, s *survey, owner *node, first uint32) error {
	if first == 0 {
		return nil
	}
	if !t.v.valid(first) {
		s.lost = nil
		return nil
	}
	runs, _, err := table.chain(first, int64(t.v.clusters))
	if err != nil {
		if !isCorrupt(err) {
			return err
		}
		s.lost = nil
	}
	set := s.kept
	if owner != nil {
		owner.old = append(owner.old, runs...)
		set = s.used
	}
	for _, r := range runs {
		set.addRun(r)
		if s.lost != nil {
			s.lost.removeRun(r)
		}
	}
	return nil
}

// eachDir calls f for each directory that the Tx has looked into and that stays, parents first.
func (t *Tx) eachDir(f func(*txDir)) {
	var walk func(d *txDir)
	walk = func(d *txDir) {
		f(d)
		for _, sub := range d.subs {
			if sub.node.what != remove {
				walk(sub)
			}
		}
	}
	walk(t.root)
}

// eachChange calls f for everything that is written or removed, but not for what
// is removed along with its directory.
func (t *Tx) eachChange(f func(*node)) {
	t.eachDir(func(d *txDir) {
		for _, n := range d.changes {
			f(n)
		}
	})
}
