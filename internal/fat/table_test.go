// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"bytes"
	"slices"
	"testing"
)

// Setting one entry changes no other, and not the bits that belong to none.
func TestEntries(t *testing.T) {
	for _, width := range []int{12, 16, 32} {
		g := &geometry{width: width, clusters: 50}
		fat := bytes.Repeat([]byte{0xAB}, 256)
		want := map[uint32]uint32{}
		get := func(c uint32) uint32 { return getEntry(fat[g.entryOff(c):], width, c) }
		for c := range g.clusters + 2 {
			want[c] = get(c)
		}
		for i, c := range []uint32{2, 3, 51, 7, 8, 2, 50} {
			e := []uint32{entryFree, 5, entryEnd | 7, entryBad, 0x3FE, 51, 2}[i]
			setEntry(fat[g.entryOff(c):], width, c, e)
			want[c] = e
			for c, e := range want {
				if got := get(c); got != e {
					t.Errorf("FAT%d: entry %d is %#x, want %#x", width, c, got, e)
				}
			}
		}
		if width == 32 && fat[4*7+3]&0xF0 != 0xA0 {
			t.Errorf("upper bits %#x", fat[4*7+3])
		}
	}
}

// Looking up an entry in the window takes no memory.
func TestGetAllocs(t *testing.T) {
	g := &geometry{width: 32, clusters: 1000, fats: 1, fatSize: 8192}
	table := g.table(bytes.NewReader(make([]byte, 8192)))
	if _, err := table.get(2); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { table.get(3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A chain is followed no further than to clusters that are known, so that many chains with the same end take
// no more time than one.
func TestChainKnown(t *testing.T) {
	g := &geometry{width: 16, clusters: 10, fats: 1, fatSize: 512}
	fat := make([]byte, 512)
	for c := 2; c < 9; c++ {
		le.PutUint16(fat[2*c:], uint16(c+1))
	}
	le.PutUint16(fat[2*9:], 0xFFFF)
	known := g.newSet()
	runs, n, err := g.table(bytes.NewReader(fat)).chain(2, 10, known)
	if len(runs) != 1 || runs[0] != (run{2, 8}) || n != 8 || err != nil {
		t.Errorf("the whole chain: %v, %d, %v", runs, n, err)
	}
	known.add(5)
	runs, n, err = g.table(bytes.NewReader(fat)).chain(2, 10, known)
	if len(runs) != 1 || runs[0] != (run{2, 3}) || n != 3 || !isCorrupt(err) {
		t.Errorf("up to a known cluster: %v, %d, %v", runs, n, err)
	}
}

// A loop is found where it closes, wherever it goes back to.
func TestChainLoop(t *testing.T) {
	for back := 2; back <= 7; back++ {
		g := &geometry{width: 16, clusters: 10, fats: 1, fatSize: 512}
		fat := make([]byte, 512)
		for c, next := range map[int]int{2: 3, 3: 4, 4: 7, 7: 6, 6: back} {
			le.PutUint16(fat[2*c:], uint16(next))
		}
		if back == 5 { // none: the end
			le.PutUint16(fat[2*5:], 0xFFFF)
		}
		runs, n, err := g.table(bytes.NewReader(fat)).chain(2, 100, nil)
		want := []run{{2, 3}, {7, 1}, {6, 1}}
		if back == 5 {
			want = append(want, run{5, 1})
		}
		if !slices.Equal(runs, want) || n != int64(len(want))+2 || isCorrupt(err) == (back == 5) {
			t.Errorf("back to %d: %v, %d, %v", back, runs, n, err)
		}
	}
}
