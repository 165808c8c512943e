// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"bytes"
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
