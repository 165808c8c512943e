// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import "errors"

var (
	errDirFull  = errors.New("the directory is full")
	errRootFull = errors.New("the root directory is full")
)

// sectorSlots is how many entries a disk writes at once, whatever happens.
const sectorSlots = 512 / direntSize

// place is where the entries of a new file or directory go. Entries of the clusters that the
// directory grows by are counted on from those it has.
type place struct {
	slot int // the first
	n    int // number of entries
}

// layout says where a directory takes its new entries. A new directory consists of what it
// grows by, and begins with "." and "..".
type layout struct {
	free  []bool // for each entry it has: not in use
	first []bool // the one before lies elsewhere on the volume
	end   int    // the end marker, len(free) if there is none
	dirty bool   // behind the end marker lies something else than free entries

	per   int // entries in a cluster
	limit int // entries it may grow by
	grown int // entries it grows by
	hint  map[fit]int

	old   []extent // pieces it has
	added []extent // pieces it grows by
	runs  []run    // the same in clusters
}

// fit is a way to look for free entries: so many, and whether two sectors may share them.
type fit struct {
	n        int
	straddle bool
}

// layout finds names and places for the new entries of d.
func (t *Tx) layout(d *txDir) error {
	l, err := t.newLayout(d)
	if err != nil {
		return pathErr("write", d.node.path, err)
	}
	names := newShortNames(func(name string) bool {
		return d.added[name] != nil || d.old != nil && d.old.find(name) != nil
	})
	for _, n := range d.changes {
		if n.e != nil {
			continue
		}
		var plain bool
		if n.short, n.lower, plain = encodeShort(n.long); plain {
			n.long = ""
		} else if n.short, err = names.make(n.long); err != nil {
			return pathErr("write", n.path, err)
		} else {
			n.lower = 0
		}
		if n.place, err = l.put(longSlots(n.long) + 1); err != nil {
			if d == t.root && t.v.width != 32 {
				err = errRootFull
			}
			return pathErr("write", n.path, err)
		}
	}
	d.layout = l
	return nil
}

func (t *Tx) newLayout(d *txDir) (*layout, error) {
	l := &layout{per: int(t.v.clusterSize / direntSize), hint: map[fit]int{}}
	if d.old == nil {
		l.limit, l.grown = maxDirent, 2 // "." and ".."
		return l, nil
	}
	l.end = -1
	l.old = d.old.extents
	if d.old.cluster != 0 {
		l.limit = maxDirent
	}
	for _, x := range d.old.extents {
		buf := make([]byte, x.size)
		if err := readAt(t.v.r, buf, x.off); err != nil {
			return nil, err
		}
		for i := 0; i+direntSize <= len(buf); i += direntSize {
			l.see(buf[i], i == 0)
		}
	}
	l.limit = max(0, l.limit-len(l.free))
	if l.end < 0 {
		l.end = len(l.free)
	}
	return l, nil
}

// see takes the next entry of the directory, of which b is the first byte.
func (l *layout) see(b byte, first bool) {
	switch {
	case l.end >= 0:
		l.dirty = l.dirty || b != slotEnd
		b = slotEnd
	case b == slotEnd:
		l.end = len(l.free)
	}
	l.free = append(l.free, b == slotEnd || b == slotDeleted)
	l.first = append(l.first, first)
}

// put finds a place for n entries: free ones that one write of a sector changes, else new clusters, else
// free ones that follow one another on the volume.
func (l *layout) put(n int) (place, error) {
	at, ok := l.find(fit{n, false})
	if !ok {
		if p, ok := l.growBy(n); ok {
			return p, nil
		}
		if at, ok = l.find(fit{n, true}); !ok {
			return place{}, errDirFull
		}
	}
	for i := at; i < at+n; i++ {
		l.free[i] = false
	}
	return place{slot: at, n: n}, nil
}

// find finds free entries. No search begins before the place where the last one of its kind ended.
func (l *layout) find(f fit) (int, bool) {
	at := l.hint[f]
	for at+f.n <= len(l.free) {
		next := l.obstacle(at, f)
		if next == at {
			l.hint[f] = at
			return at, true
		}
		at = next
	}
	l.hint[f] = at
	return 0, false
}

// obstacle gives the next entry to look from if those at at do not fit, else at.
func (l *layout) obstacle(at int, f fit) int {
	for i := at + f.n - 1; i >= at; i-- {
		switch {
		case !l.free[i]:
			return i + 1
		case i > at && (l.first[i] || !f.straddle && f.n <= sectorSlots && i%sectorSlots == 0):
			return i
		}
	}
	return at
}

// growBy finds a place in new clusters. It does not go over the end of a sector or cluster unless it must.
func (l *layout) growBy(n int) (place, bool) {
	at := l.grown
	for _, unit := range []int{sectorSlots, l.per} {
		if n <= unit && at%unit+n > unit {
			at += unit - at%unit
		}
	}
	if at+n > l.limit {
		return place{}, false
	}
	l.grown = at + n
	return place{slot: len(l.free) + at, n: n}, true
}

// isGrown tells whether p lies in what the directory grows by.
func (l *layout) isGrown(p place) bool { return p.slot >= len(l.free) }

// grow makes runs the clusters that the directory grows by.
func (l *layout) grow(g *geometry, runs []run) {
	l.runs = runs
	for _, r := range runs {
		l.added = append(l.added, extent{g.clusterOff(r.start), int64(r.n) * g.clusterSize})
	}
}

// offset is where slot i stands on the volume.
func (l *layout) offset(i int) int64 {
	if i < len(l.free) {
		return slotOff(l.old, i)
	}
	return slotOff(l.added, i-len(l.free))
}

// joined tells whether the slots from at up to end follow one another on the volume.
func (l *layout) joined(at, end int) bool {
	for i := at + 1; i < end; i++ {
		if l.offset(i) != l.offset(i-1)+direntSize {
			return false
		}
	}
	return true
}

// whole tells whether one write can make all entries of p.
func (l *layout) whole(p place) bool { return l.joined(p.slot, p.slot+p.n) }

// clusters is the number of clusters that the directory grows by.
func (l *layout) clusters() int64 { return int64((l.grown + l.per - 1) / l.per) }
