// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"errors"
	"fmt"
)

// errDirFull stands for a directory without room, until fullError says more.
var errDirFull = errors.New("the directory is full")

// fullError says why d has no room, however much of the volume is free, and what helps.
func (t *Tx) fullError(d *txDir) error {
	text, entries := "the directory is full: it has at most %d entries, of which a long name takes several", maxDirent
	if d == t.root && t.v.width != 32 {
		text = "the root directory is full: it has %d entries, of which a long name takes several; " +
			"remove files, or move some into a directory"
		entries = len(d.slots.free)
	}
	return fmt.Errorf(text, entries)
}

// sectorSlots is how many slots a disk writes at once, whatever happens.
const sectorSlots = 512 / direntSize

// place is where the entries of a new file or directory go. Slots of the clusters that the
// directory grows by are counted on from those it has.
type place struct {
	slot int // the first
	n    int // number of slots
}

func (p place) end() int { return p.slot + p.n }

// dirSlots says which slots of a directory its new entries take. A new directory consists of
// what it grows by, and begins with "." and "..".
type dirSlots struct {
	free  []bool // for each slot it has: not in use
	apart []bool // for each slot it has: the one before is elsewhere on the volume
	end   int    // slot of the end marker, len(free) if there is none
	stale bool   // something other than free entries follows the end marker

	per   int // slots in a cluster
	limit int // slots it may grow by
	grown int // slots it grows by
	hint  map[fit]int

	old   []extent // pieces it has
	added []extent // pieces it grows by
	runs  []run    // the same in clusters
}

// fit is a way to look for free slots: so many, and whether two sectors may share them.
type fit struct {
	n        int
	straddle bool
}

// placeEntries finds names and places for the new entries of d.
func (t *Tx) placeEntries(d *txDir) error {
	if err := t.findSlots(d); err != nil {
		return err
	}
	for _, n := range d.changes {
		if !n.isNew() {
			continue
		}
		err := n.setShort(d.shortNames())
		if err == nil {
			n.place, err = d.slots.put(longSlots(n.longUnits()) + 1)
		}
		if err == errDirFull {
			err = t.fullError(d)
		}
		if err != nil {
			return pathErr("write", n.path, err)
		}
	}
	return nil
}

// findSlots looks at the slots of d, once.
func (t *Tx) findSlots(d *txDir) (err error) {
	if d.slots != nil {
		return nil
	}
	if d.slots, err = t.v.newDirSlots(d.old); err != nil {
		return pathErr("write", d.node.path, err)
	}
	return nil
}

// shortNames makes the short names of d.
func (d *txDir) shortNames() *shortNames {
	if d.names == nil {
		d.names = newShortNames(func(name string) bool {
			if d.added[name] != nil {
				return true
			}
			e := (*entry)(nil)
			if d.old != nil {
				e = d.old.find(name)
			}
			return e != nil && e != d.renamed
		})
	}
	return d.names
}

// setShort sets the short name of n, and the long one unless the short one says it all.
func (n *node) setShort(names *shortNames) (err error) {
	if n.named {
		return nil
	}
	var plain bool
	if n.short, n.lower, plain = encodeShort(n.name); plain {
		n.long = ""
		return nil
	}
	n.long, n.lower = n.name, 0
	n.short, err = names.make(n.name)
	return err
}

// longUnits returns the UTF-16 units of the long name that n is to have.
func (n *node) longUnits() []uint16 {
	if n.units != nil {
		return n.units
	}
	return longUnits(n.long)
}

// newDirSlots looks at the slots of a directory; old is nil for a new one.
func (v *FS) newDirSlots(old *directory) (*dirSlots, error) {
	s := &dirSlots{per: int(v.clusterSize / direntSize), hint: map[fit]int{}}
	if old == nil {
		s.limit, s.grown = maxDirent, 2 // "." and ".."
		return s, nil
	}
	s.old = old.extents
	s.end = -1
	next := int64(-1) // where the next slot is if it follows the last one
	for slot, err := range v.slots(old.extents) {
		if err != nil {
			return nil, err
		}
		s.see(slot.d[0], slot.off != next)
		next = slot.off + direntSize
	}
	if old.cluster != 0 { // not the fixed root directory
		s.limit = max(0, maxDirent-len(s.free))
	}
	if s.end < 0 {
		s.end = len(s.free)
	}
	return s, nil
}

// see takes the next slot of the directory, of which b is the first byte.
func (s *dirSlots) see(b byte, apart bool) {
	switch {
	case s.end >= 0:
		s.stale = s.stale || b != slotEnd
		b = slotEnd
	case b == slotEnd:
		s.end = len(s.free)
	}
	s.free = append(s.free, b == slotEnd || b == slotDeleted)
	s.apart = append(s.apart, apart)
}

// put finds a place for n entries: free slots that one write of a sector changes, else new clusters, else
// free slots that follow one another on the volume.
func (s *dirSlots) put(n int) (place, error) {
	at, ok := s.find(fit{n, false})
	if !ok {
		if p, ok := s.growBy(n); ok {
			return p, nil
		}
		if at, ok = s.find(fit{n, true}); !ok {
			return place{}, errDirFull
		}
	}
	p := place{slot: at, n: n}
	for i := p.slot; i < p.end(); i++ {
		s.free[i] = false
	}
	return p, nil
}

// sectorOf is the number of the sector that all slots of e are in, -1 if there is none.
func (s *dirSlots) sectorOf(e *entry) int {
	if (e.slot-e.slots+1)/sectorSlots != e.slot/sectorSlots {
		return -1
	}
	return e.slot / sectorSlots
}

// putNear finds a place for the n entries of the new name of e, of which the old slots are free then: those, or
// others in the same sector. Anywhere also takes a place in another sector. Past the end marker there is room
// only if alone is set.
func (s *dirSlots) putNear(e *entry, n int, alone, anywhere bool) (place, bool) {
	if n <= e.slots {
		return place{e.slot - n + 1, n}, true
	}
	if sector := s.sectorOf(e); sector >= 0 {
		first := sector * sectorSlots
		for at := first; at+n <= min(first+sectorSlots, len(s.free)); at++ {
			if s.isFree(e, at, n, alone) {
				return place{at, n}, true
			}
		}
	}
	for _, straddle := range []bool{false, true} {
		if at, ok := s.find(fit{n, straddle}); anywhere && ok && s.isFree(e, at, n, alone) {
			return place{at, n}, true
		}
	}
	return place{}, false
}

// isFree reports whether n slots from at on are free once those of e are.
func (s *dirSlots) isFree(e *entry, at, n int, alone bool) bool {
	if at+n > s.end && (!alone || s.stale) {
		return false
	}
	for i := at; i < at+n; i++ {
		if !s.free[i] && (i > e.slot || i <= e.slot-e.slots) {
			return false
		}
	}
	return true
}

// take makes the slots of p used ones.
func (s *dirSlots) take(p place) {
	for i := p.slot; i < p.end(); i++ {
		s.free[i] = false
	}
	s.end = max(s.end, p.end())
}

// canRewrite reports whether one write can make the entries of p and delete those of e. On a volume in use it must
// not write what is between them.
func (s *dirSlots) canRewrite(e *entry, p place, inUse bool) bool {
	own := e.slot - e.slots + 1
	first, end := min(own, p.slot), max(e.slot+1, p.end())
	if s.joined(first, end) && (!inUse || end-first <= sectorSlots || p.slot >= own) {
		return true
	}
	lo, hi := s.offset(first), s.offset(first)
	for i := first; i < end; i++ {
		lo, hi = min(lo, s.offset(i)), max(hi, s.offset(i))
	}
	return !inUse && hi-lo <= maxBridge
}

// find finds free slots. No search begins before the place where the last one of its kind ended.
func (s *dirSlots) find(f fit) (int, bool) {
	at := s.hint[f]
	for at+f.n <= len(s.free) {
		next := s.skip(at, f)
		if next == at {
			s.hint[f] = at
			return at, true
		}
		at = next
	}
	s.hint[f] = at
	return 0, false
}

// skip returns at if the slots from there on fit, else the next slot to look from.
func (s *dirSlots) skip(at int, f fit) int {
	for i := at + f.n - 1; i >= at; i-- {
		switch {
		case !s.free[i]:
			return i + 1
		case i > at && (s.apart[i] || !f.straddle && f.n <= sectorSlots && i%sectorSlots == 0):
			return i
		}
	}
	return at
}

// growBy finds a place in new clusters, which goes over the end of a sector or cluster only if it must.
func (s *dirSlots) growBy(n int) (place, bool) {
	at := s.grown
	for _, unit := range []int{sectorSlots, s.per} {
		if n <= unit && at%unit+n > unit {
			at += unit - at%unit
		}
	}
	if at+n > s.limit {
		return place{}, false
	}
	s.grown = at + n
	return place{slot: len(s.free) + at, n: n}, true
}

// isGrown reports whether p is in what the directory grows by.
func (s *dirSlots) isGrown(p place) bool { return p.slot >= len(s.free) }

// grow makes runs the clusters that the directory grows by.
func (s *dirSlots) grow(g *geometry, runs []run) {
	s.runs = runs
	for _, r := range runs {
		s.added = append(s.added, extent{g.clusterOff(r.start), int64(r.n) * g.clusterSize})
	}
}

// offset is where slot i stands on the volume.
func (s *dirSlots) offset(i int) int64 {
	if i < len(s.free) {
		return slotOff(s.old, i)
	}
	return slotOff(s.added, i-len(s.free))
}

// joined reports whether the slots from at up to end follow one another on the volume.
func (s *dirSlots) joined(at, end int) bool {
	for i := at + 1; i < end; i++ {
		if s.offset(i) != s.offset(i-1)+direntSize {
			return false
		}
	}
	return true
}

// whole reports whether one write can make all entries of p.
func (s *dirSlots) whole(p place) bool { return s.joined(p.slot, p.end()) }

// clusters is the number of clusters that the directory grows by.
func (s *dirSlots) clusters() int64 { return int64((s.grown + s.per - 1) / s.per) }
