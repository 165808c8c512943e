// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

// inPieces is a FAT32 volume of 2^20 clusters of 512 bytes, of which 101 at the end, and one more, are free. Those of
// OLD lead backwards, each to the one step clusters before it. With a step of 2, those between have the entry other.
// SMALL is empty.
func inPieces(t *testing.T, step int, other uint32) *testimg.Paged {
	t.Helper()
	const clusters = 1 << 20
	img := fixture(t, "fat32-one")
	start := fatStart(img)
	disk := testimg.NewPaged(img[:512])
	le := binary.LittleEndian
	boot := image(img[:512])
	le.PutUint32(boot[36:], clusters*4/512+1)
	le.PutUint32(boot[32:], uint32(start/512+clusters*4/512+1+clusters))
	data := start + clusters*4 + 512
	if err := disk.Truncate(int64(data + clusters*512)); err != nil {
		t.Fatal(err)
	}
	table := make([]byte, clusters*4)
	for c := 0; c < 4; c++ { // the root directory is cluster 2
		le.PutUint32(table[4*c:], 0x0FFFFFFF)
	}
	for c := 4; c < clusters-100; c++ {
		le.PutUint32(table[4*c:], other)
	}
	first := uint32(clusters - 101)
	for c := int(first); c > 3; c -= step {
		le.PutUint32(table[4*c:], uint32(c-step))
	}
	entry := make([]byte, 64)
	copy(entry, "OLD        ")
	copy(entry[32:], "SMALL      ")
	le.PutUint16(entry[20:], uint16(first>>16))
	le.PutUint16(entry[26:], uint16(first))
	le.PutUint32(entry[28:], 512*(first-3+uint32(step))/uint32(step))
	for off, data := range map[int][]byte{0: boot, start: table, data: entry} {
		if _, err := disk.WriteAt(data, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// A change takes less memory than the FAT, however the chains lie.
func TestMemoryOfChanges(t *testing.T) {
	const (
		clusters = 1<<20 - 1 // but for the root directory
		half     = 1<<19 + 50
		end      = 0x0FFFFFFF
	)
	big := source(make([]byte, 200*512))
	for name, tt := range map[string]struct {
		step  int
		other uint32
		plan  func(tx *fat.Tx) error
		free  int64 // clusters, after it
	}{
		"beside it":      {1, 0, func(tx *fat.Tx) error { return tx.WriteFile("NEW", source([]byte("new"))) }, 101},
		"removed":        {1, 0, func(tx *fat.Tx) error { return tx.Remove("OLD") }, clusters},
		"replaced":       {1, 0, func(tx *fat.Tx) error { return tx.WriteFile("OLD", source([]byte("new"))) }, clusters - 1},
		"in place":       {1, 0, func(tx *fat.Tx) error { return tx.WriteFile("OLD", big) }, clusters - 200},
		"moved over":     {1, 0, func(tx *fat.Tx) error { return tx.Rename("SMALL", "OLD", nil) }, clusters},
		"renamed":        {1, 0, func(tx *fat.Tx) error { return tx.Rename("OLD", "NEW", nil) }, 102},
		"in single ones": {2, 0, func(tx *fat.Tx) error { return tx.WriteFile("NEW", big) }, half - 200},
		"in lost ones":   {2, end, func(tx *fat.Tx) error { return tx.WriteFile("NEW", big) }, half - 200},
	} {
		disk := inPieces(t, tt.step, tt.other)
		used := allocated(func() {
			if err := change(disk, disk.Size(), fat.TxOptions{InPlace: true}, tt.plan); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if used > 4<<20 {
			t.Errorf("%s takes %d bytes", name, used)
		}
		if free, err := mustOpenDevice(t, disk).Free(); err != nil || free/512 != tt.free {
			t.Errorf("%s leaves %d clusters free, %v; want %d", name, free/512, err, tt.free)
		}
	}
}

// To open a file takes little more memory than its clusters, one by one, need.
func TestMemoryOfOpenFile(t *testing.T) {
	const clusters = 1 << 20
	v := mustOpenDevice(t, inPieces(t, 1, 0))
	used := allocated(func() {
		if _, err := v.OpenFile("OLD"); err != nil {
			t.Error(err)
		}
	})
	if used > 8*clusters+4<<20 {
		t.Errorf("it takes %d bytes", used)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
