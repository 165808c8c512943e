// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"fmt"
	"iter"
	"math/bits"
)

// run is a piece of a chain whose clusters follow one another on the volume.
type run struct {
	start uint32 // first cluster
	n     uint32 // number of clusters
}

// clusterSet is a set of clusters, one bit each.
type clusterSet []uint64

func (g *geometry) newSet() clusterSet { return make(clusterSet, (uint64(g.clusters)+2+63)/64) }

func (s clusterSet) has(c uint32) bool { return s[c/64]>>(c%64)&1 != 0 }
func (s clusterSet) add(c uint32)      { s[c/64] |= 1 << (c % 64) }

func (s clusterSet) addRun(r run) {
	for i, mask := range r.words() {
		s[i] |= mask
	}
}

func (s clusterSet) removeRun(r run) {
	for i, mask := range r.words() {
		s[i] &^= mask
	}
}

// words returns the words of a clusterSet that hold r, and its bits in them.
func (r run) words() iter.Seq2[uint32, uint64] {
	return func(yield func(uint32, uint64) bool) {
		for c, end := r.start, r.start+r.n; c < end; {
			stop := min(end, (c/64+1)*64)
			if mask := ^uint64(0) << (c % 64) & (^uint64(0) >> (63 - (stop-1)%64)); !yield(c/64, mask) {
				return
			}
			c = stop
		}
	}
}

// subtract removes the clusters of o, which may be nil.
func (s clusterSet) subtract(o clusterSet) {
	for i, w := range o {
		s[i] &^= w
	}
}

// len counts the clusters.
func (s clusterSet) len() int64 {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return int64(n)
}

// runs returns the clusters as runs, in order.
func (s clusterSet) runs() iter.Seq[run] {
	return func(yield func(run) bool) {
		for c := uint32(0); ; {
			start, ok := s.next(c, 0)
			if !ok {
				return
			}
			c, _ = s.next(start, ^uint64(0))
			if !yield(run{start, c - start}) {
				return
			}
		}
	}
}

// next returns the first cluster from c on that is in the set or, if flip is all ones and not 0, that is not. If
// there is none it returns false, and the number after those that the set has room for.
func (s clusterSet) next(c uint32, flip uint64) (uint32, bool) {
	for i := int(c / 64); i < len(s); i++ {
		w := s[i] ^ flip
		if i == int(c/64) {
			w &= ^uint64(0) << (c % 64)
		}
		if w != 0 {
			return uint32(i*64 + bits.TrailingZeros64(w)), true
		}
	}
	return uint32(len(s) * 64), false
}

// chain returns the clusters that follow calls each with.
func (t *table) chain(first uint32, limit int64, known clusterSet) (runs []run, n int64, err error) {
	n, err = t.follow(first, limit, known, func(r run) { runs = append(runs, r) })
	return runs, n, err
}

// follow follows the chain that begins with cluster first, which must be valid, until it ends or has limit
// clusters, whichever is sooner. It calls each with its clusters, and returns their number. What comes after
// the limit is not looked at. A link to one of the clusters in known, which may be nil, is damage. An error is a
// CorruptError unless the device failed; each was called with the clusters before it.
func (t *table) follow(first uint32, limit int64, known clusterSet, each func(run)) (n int64, err error) {
	var seen clusterSet // made when the chain first goes backwards: only then can it loop
	r := run{first, 0}
	defer func() { each(r) }()
	for c := first; ; {
		if r.start+r.n != c {
			each(r)
			r = run{c, 0}
		}
		r.n++
		if n++; n == limit {
			return n, nil
		}
		e, err := t.get(c)
		if err != nil {
			return n, err
		}
		if e >= entryEnd {
			return n, nil
		}
		if err := t.checkLink(c, e); err != nil {
			return n, err
		}
		if known != nil && known.has(e) {
			return n, corruptf(t.linkOff(c), "cluster %d leads to %d, which another chain holds", c, e)
		}
		if e <= c && seen == nil {
			if seen, err = t.upTo(first, c); err != nil {
				return n, err
			}
		}
		if seen != nil {
			if seen.has(e) {
				return n, corruptf(t.linkOff(c), "the cluster chain loops: cluster %d leads back to %d", c, e)
			}
			seen.add(e)
		}
		c = e
	}
}

// upTo returns the clusters of the chain from first to last, which goes forwards all the way.
func (t *table) upTo(first, last uint32) (clusterSet, error) {
	set := t.newSet()
	set.add(first)
	for c := first; c < last; set.add(c) {
		e, err := t.get(c)
		if err == nil && (e <= c || e > last) { // the device changed
			err = corruptf(t.linkOff(c), "cluster %d leads to %d, and to another a moment ago", c, e)
		}
		if err != nil {
			return nil, err
		}
		c = e
	}
	return set, nil
}

// checkLink checks e, the entry of c, as the number of the next cluster.
func (t *table) checkLink(c, e uint32) error {
	switch {
	case t.valid(e):
		return nil
	case e == entryFree:
		return corruptf(t.linkOff(c), "cluster %d is in use but marked free", c)
	case e == entryBad:
		return corruptf(t.linkOff(c), "cluster %d is marked bad", c)
	}
	return corruptf(t.linkOff(c), "cluster %d leads to %d, %s", c, e, t.noCluster())
}

// linkOff is the offset of c's entry on the volume, for errors.
func (t *table) linkOff(c uint32) int64 { return t.fatOff(t.active) + t.entryOff(c) }

// noCluster is what errors say of a number that is not that of a cluster.
func (g *geometry) noCluster() string {
	return fmt.Sprintf("but there are the clusters 2 to %d", g.clusters+1)
}

// checkFirst checks the first cluster of e.
func (g *geometry) checkFirst(e *entry) error {
	if c := e.d.cluster(g.width); !g.valid(c) {
		return corruptf(e.off+26, "it begins at cluster %d, %s", c, g.noCluster())
	}
	return nil
}
