// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Each character stands for a cluster, from number 2 on; a dot for a free one.
func newTestAllocator(clusters string) *allocator {
	g := &geometry{clusters: uint32(len(clusters)), end: uint32(len(clusters)) + 2}
	used := g.newSet()
	for i, c := range clusters {
		if c != '.' {
			used.add(uint32(i) + 2)
		}
	}
	return g.newAllocator(used)
}

// One run that fits comes first, then as few runs as will do.
func TestAlloc(t *testing.T) {
	for _, tt := range []struct {
		clusters string
		n        int64
		want     []run
	}{
		{"....", 3, []run{{2, 3}}},
		{"x.x..x...x....", 3, []run{{8, 3}}},
		{"x.x..x...x....", 1, []run{{3, 1}}},
		{"x.x..x...x....", 5, []run{{3, 1}, {12, 4}}},
		{"x.x..x...x....", 6, []run{{5, 2}, {12, 4}}},
		{"x.x..x...x....", 7, []run{{8, 3}, {12, 4}}},
		{"x.x..x...x....", 8, []run{{3, 1}, {8, 3}, {12, 4}}},
		{"..x..x..x.", 5, []run{{2, 2}, {5, 2}, {11, 1}}},
		{"..x..x..x..", 5, []run{{2, 2}, {5, 2}, {8, 1}}},
		{"x.x..x...x....", 10, []run{{3, 1}, {5, 2}, {8, 3}, {12, 4}}},
		{"x.x..x...x....", 0, nil},
	} {
		a := newTestAllocator(tt.clusters)
		free := a.free
		if got := a.alloc(tt.n); !slices.Equal(got, tt.want) || a.free != free-tt.n {
			t.Errorf("%d of %s: %v, want %v; %d free, %d before", tt.n, tt.clusters, got, tt.want, a.free, free)
		}
	}
}

// Whatever is asked for, each cluster is given out once and all can be.
func TestAllocAll(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := &geometry{clusters: 1 + r.Uint32N(2000)}
		g.end = g.clusters + 2
		used := g.newSet()
		for c := range g.clusters {
			if r.IntN(4) == 0 {
				used.add(c + 2)
			}
		}
		a := g.newAllocator(slices.Clone(used))
		for a.free > 0 {
			n := 1 + r.Int64N(min(a.free, 40))
			var got int64
			longest := int64(0)
			for r := range a.runs() {
				longest = max(longest, int64(r.n))
			}
			runs := a.alloc(n)
			for _, r := range runs {
				for c := r.start; c < r.start+r.n; c++ {
					if !g.valid(c) || used.has(c) {
						t.Fatalf("seed %d: cluster %d is not free", seed, c)
					}
					used.add(c)
					got++
				}
			}
			if got != n || longest >= n && len(runs) != 1 {
				t.Fatalf("seed %d: %d clusters in %v, longest run %d", seed, n, runs, longest)
			}
		}
		for c := range g.clusters {
			if !used.has(c + 2) {
				t.Fatalf("seed %d: cluster %d was not given out", seed, c+2)
			}
		}
	}
}
