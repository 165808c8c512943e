// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"encoding/binary"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

// Volumes as old systems, small firmwares and careless formatters make them, which every peer mounts, are read
// and written as any other, and are sound after that.
func TestOddVolumes(t *testing.T) {
	for _, tt := range []struct {
		name, fixture string
		odd           func(img image)
	}{
		{"no 55AA signature", "fat16", func(img image) { img.poke(510, 0, 0) }},
		{"another signature", "fat32", func(img image) { img.poke(510, 0x55, 0xBA) }},
		{"no extended boot record", "fat12", func(img image) { img.poke(36, make([]byte, 26)...) }},
		{"its short form", "fat16", func(img image) { img.poke(38, 0x28) }},
		{"a long jump", "fat16", func(img image) { img.poke(0, 0xE9, 0, 1) }},
		{"no jump", "fat12", func(img image) { img.poke(0, 0, 0, 0) }},
		{"boot code", "fat16", func(img image) { img.poke(62, make([]byte, 448)...) }},
		{"free count unknown", "fat32", func(img image) { img.poke(512+488, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF) }},
		{"free count of a full volume", "fat32", func(img image) { img.poke(512+488, 0, 0, 0, 0) }},
		{"free count too large", "fat32", func(img image) { img.poke(512+488, 0xFE, 0xFF, 0xFF, 0x7F) }},
		{"fewer sectors than the FAT has entries", "fat16", func(img image) {
			n := binary.LittleEndian.Uint16(img[19:])
			binary.LittleEndian.PutUint16(img[19:], n-9)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img, tree := fixtureTree(t, tt.fixture)
			tt.odd(img)
			tree["odd name.txt"] = pattern(5000, 9)
			if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
				return tx.WriteFile("odd name.txt", source(tree["odd name.txt"]))
			}); err != nil {
				t.Fatal(err)
			}
			check(t, img, tree)
		})
	}
}

// Some formatters make a FAT that is a few entries too short. Clusters without an entry are none, as for Linux and
// mtools: what is there is read, all other clusters can be filled, and the volume is sound then but for its size.
func TestShortFAT(t *testing.T) {
	le := binary.LittleEndian
	for name, width := range map[string]int{"fat12": 12, "fat16": 16, "fat32": 32} {
		img, tree := fixtureTree(t, name)
		fatSize := int(le.Uint16(img[22:])) // in sectors of 512 bytes, as all that follows
		if fatSize == 0 {
			fatSize = int(le.Uint32(img[36:]))
		}
		perCluster, room := int(img[13]), fatSize*512*8/width-2
		data := int(le.Uint16(img[14:])) + int(img[16])*fatSize + int(le.Uint16(img[17:]))/16
		setSize := func(clusters int) {
			n := data + clusters*perCluster
			img = append(img, make([]byte, max(0, n*512-len(img)))...)[:n*512]
			le.PutUint16(img[19:], 0)
			le.PutUint32(img[32:], uint32(n))
			if width == 32 { // the backup of the boot sector
				copy(img[int(le.Uint16(img[50:]))*512:], img[:512])
			}
		}
		setSize(room + 5)
		v, err := fat.Open(testimg.Mem(img), int64(len(img)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		free, err := v.Free()
		if err != nil {
			t.Fatal(err)
		}
		tree["new"] = pattern(int(min(free, 4<<20)), 3) // all that is free, but on FAT32, where FSInfo counts the rest
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			return tx.WriteFile("new", source(tree["new"]))
		}); err != nil {
			t.Fatal(err)
		}
		setSize(room)
		check(t, img, tree)
	}
}
