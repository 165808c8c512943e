// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
)

// allocator hands out free clusters. It knows of them from a set in memory alone.
type allocator struct {
	used clusterSet // those that are no clusters, or are not there, are in it
	free int64      // clusters not in used
	// hint[k] is where the first free run of at least 2^k clusters can begin: runs only shrink.
	hint [32]uint32
}

// newAllocator takes over used. Clusters that are not there whole are not handed out.
func (g *geometry) newAllocator(used clusterSet) *allocator {
	a := &allocator{used: used}
	used.add(0)
	used.add(1)
	used.addRun(run{g.end, uint32(len(used)*64) - g.end})
	for _, w := range used {
		a.free += int64(64 - bits.OnesCount64(w))
	}
	return a
}

// nextFree returns the first free cluster from c on; false if there is none.
func (a *allocator) nextFree(c uint32) (uint32, bool) { return a.used.next(c, ^uint64(0)) }

// length returns the length of the free run from c on, but no more than most.
func (a *allocator) length(c uint32, most int64) int64 {
	for i := int(c / 64); i < len(a.used); i++ {
		w := a.used[i]
		if i == int(c/64) {
			w &= ^uint64(0) << (c % 64)
		}
		n := int64(i*64+bits.TrailingZeros64(w)) - int64(c)
		if w != 0 || n >= most {
			return min(n, most)
		}
	}
	return min(int64(len(a.used)*64)-int64(c), most)
}

// alloc takes n free clusters, which there must be: the first run that holds them all, else the fewest runs.
func (a *allocator) alloc(n int64) []run {
	if n == 0 {
		return nil
	}
	runs := a.one(n)
	if runs == nil {
		runs = a.several(n)
	}
	for _, r := range runs {
		a.used.addRun(r)
	}
	a.free -= n
	return runs
}

// one finds the first free run of n clusters.
func (a *allocator) one(n int64) []run {
	class := bits.Len64(uint64(n)) - 1
	settled := false // a run of the class, but too short, was passed
	for c := a.hint[class]; ; {
		start, ok := a.nextFree(c)
		if !ok {
			return nil
		}
		l := a.length(start, n)
		if !settled {
			a.hint[class] = start
		}
		if l == n {
			return []run{{start, uint32(n)}}
		}
		settled = settled || l >= 1<<class
		c = start + uint32(l)
	}
}

// several finds the largest free runs that have n clusters together.
func (a *allocator) several(n int64) []run {
	var sum [33]int64 // clusters in runs by the length of their number
	for r := range a.runs() {
		sum[bits.Len32(r.n)] += int64(r.n)
	}
	class := len(sum) - 1
	for left := n - sum[class]; left > 0 && class > 0; left -= sum[class] {
		class--
	}
	var found []run
	for r := range a.runs() {
		if bits.Len32(r.n) >= class {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b run) int { return -cmp.Compare(a.n, b.n) })
	var runs []run
	for i, r := range found {
		if int64(r.n) >= n { // the last: the shortest that will do
			for i+1 < len(found) && int64(found[i+1].n) >= n {
				i++
			}
			runs = append(runs, run{found[i].start, uint32(n)})
			break
		}
		runs = append(runs, r)
		n -= int64(r.n)
	}
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.start, b.start) })
	return runs
}

// runs returns the free runs, in order.
func (a *allocator) runs() iter.Seq[run] {
	return func(yield func(run) bool) {
		for c := uint32(0); ; {
			start, ok := a.nextFree(c)
			if !ok {
				return
			}
			n := uint32(a.length(start, a.free))
			if !yield(run{start, n}) {
				return
			}
			c = start + n
		}
	}
}
