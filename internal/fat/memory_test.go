// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

// backwards is a FAT32 volume of 2^20 clusters of 512 bytes, most of which are those of OLD, each leading to the
// one before it. SMALL is empty.
func backwards(t *testing.T) *testimg.Paged {
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
		le.PutUint32(table[4*c:], uint32(c-1))
	}
	first := uint32(clusters - 101)
	entry := make([]byte, 64)
	copy(entry, "OLD        ")
	copy(entry[32:], "SMALL      ")
	le.PutUint16(entry[20:], uint16(first>>16))
	le.PutUint16(entry[26:], uint16(first))
	le.PutUint32(entry[28:], 512*(first-2))
	for off, data := range map[int][]byte{0: boot, start: table, data: entry} {
		if _, err := disk.WriteAt(data, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// A change takes less memory than the FAT, however the chains lie.
func TestMemoryOfChanges(t *testing.T) {
	const clusters = 1<<20 - 1 // but for the root directory
	for name, tt := range map[string]struct {
		plan func(tx *fat.Tx) error
		free int64 // clusters, after it
	}{
		"beside it":  {func(tx *fat.Tx) error { return tx.WriteFile("NEW", source([]byte("new"))) }, 101},
		"removed":    {func(tx *fat.Tx) error { return tx.Remove("OLD") }, clusters},
		"replaced":   {func(tx *fat.Tx) error { return tx.WriteFile("OLD", source([]byte("new"))) }, clusters - 1},
		"in place":   {func(tx *fat.Tx) error { return tx.WriteFile("OLD", source(make([]byte, 200*512))) }, clusters - 200},
		"moved over": {func(tx *fat.Tx) error { return tx.Rename("SMALL", "OLD", nil) }, clusters},
		"renamed":    {func(tx *fat.Tx) error { return tx.Rename("OLD", "NEW", nil) }, 102},
	} {
		disk := backwards(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := change(disk, disk.Size(), fat.TxOptions{InPlace: true}, tt.plan); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%s takes %d bytes", name, used)
		}
		if free, err := mustOpenDevice(t, disk).Free(); err != nil || free/512 != tt.free {
			t.Errorf("%s leaves %d clusters free, %v; want %d", name, free/512, err, tt.free)
		}
	}
}
