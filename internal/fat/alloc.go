// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"iter"
	"math/bits"
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

// several finds the largest free runs that have n clusters together, and of the last of them the shortest that will
// do. Since one found none, all are shorter than n. They are counted by their length and not listed, as there may be
// half as many of them as clusters.
func (a *allocator) several(n int64) []run {
	count := make([]uint32, n)
	for r := range a.runs() {
		count[r.n]++
	}
	pieces, whole, length := int64(1), int64(0), n
	for {
		length--
		whole = min(int64(count[length]), (n-1)/length)
		pieces += whole
		n -= whole * length
		if whole < int64(count[length]) { // those left are not all needed
			break
		}
	}
	last := n
	for count[last] == 0 {
		last++
	}
	runs := make([]run, 0, pieces)
	for r := range a.runs() {
		switch l := int64(r.n); {
		case l > length:
			runs = append(runs, r)
		case l == length && whole > 0:
			runs = append(runs, r)
			whole--
		case l == last && n > 0:
			runs = append(runs, run{r.start, uint32(n)})
			n = 0
		}
	}
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
