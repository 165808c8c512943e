// SPDX-License-Identifier: GPL-3.0-or-later

package fat

// survey is what Commit finds out about the volume before it writes.
type survey struct {
	used clusterSet // clusters that must not be written: not free in the FAT, or in use all the same
	seen clusterSet // clusters of files and directories
	kept clusterSet // clusters of those that stay
	lost clusterSet // clusters that are in use and belong to nothing; nil if they are not needed, or are uncertain
	free int64      // clusters that the FAT shows as free
}

// survey reads the whole FAT and follows the chains of all files and directories, noting in the
// nodes of those that go what clusters they have. So even on a volume where files share clusters, or
// are marked free, no cluster is given out or freed that something else needs. What is lost is found out
// if fewer than need clusters are free.
func (t *Tx) survey(need int64) (*survey, error) {
	v := t.v
	s := &survey{used: v.newSet(), seen: v.newSet(), kept: v.newSet(), lost: v.newSet()}
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
	if need <= s.free || v.InUse() { // in use, what seems lost may just not be linked yet
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

// follow goes through the tree of directories.
func (t *Tx) follow(table *table, s *survey) error {
	going := map[origin]*node{}
	t.eachChange(func(n *node) {
		if n.e != nil {
			going[origin{n.parent.old.cluster, n.e.slot}] = n
		}
	})
	type item struct {
		parent *directory
		e      *entry
		owner  *node // what goes and takes the directory along; nil: the directory stays
	}
	if t.v.width == 32 {
		if err := t.note(table, s, nil, t.root.old.cluster, 1); err != nil {
			return err
		}
	}
	for stack := []item{{e: rootEntry()}}; len(stack) > 0; {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		d, err := t.v.dirOf(it.parent, it.e)
		switch {
		case err != nil:
			return err
		case d.shared != nil:
			return d.shared
		}
		if s.lost != nil {
			if hides, err := t.v.hides(d); err != nil {
				return err
			} else if hides {
				s.lost = nil
			}
		}
		for i := range d.entries {
			e := &d.entries[i]
			owner := it.owner
			if owner == nil {
				owner = going[origin{d.cluster, e.slot}]
			}
			if err := t.note(table, s, owner, e.d.cluster(t.v.width), t.v.clustersFor(int64(e.d.size()))); err != nil {
				return err
			}
			if e.d.isDir() {
				stack = append(stack, item{d, e, owner})
			}
		}
	}
	return nil
}

// hides tells whether files may have been in d that its entries do not show: it is damaged, does not begin
// with "." and "..", or something stands behind its end marker, where other systems look, too.
func (v *FS) hides(d *directory) (bool, error) {
	if d.damage != nil {
		return true, nil
	}
	dots := 2
	if d.origin == rootOrigin {
		dots = 0
	}
	ended := false
	for _, x := range d.extents {
		buf := make([]byte, x.size)
		if err := readAt(v.r, buf, x.off); err != nil {
			return false, err
		}
		for ; len(buf) > 0; buf = buf[direntSize:] {
			e := (*dirent)(buf)
			ended = ended || e[0] == slotEnd
			if dots > 0 && !e.isDot() || ended && e[0] != slotDeleted && *e != (dirent{}) {
				return true, nil
			}
			dots--
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
	runs, n, err := table.chain(first, int64(t.v.clusters), known)
	if err != nil && !isCorrupt(err) {
		return err
	}
	if err != nil || n < need {
		s.lost = nil
	}
	if owner != nil {
		owner.old = append(owner.old, runs...)
	}
	for _, r := range runs {
		s.seen.addRun(r)
		if owner == nil {
			s.kept.addRun(r)
		}
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
