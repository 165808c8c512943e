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
