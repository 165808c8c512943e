// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"encoding/binary"
)

var le = binary.LittleEndian

// Seeds returns small FAT volumes for fuzz targets to start from: healthy ones of each
// width, ones with odd names and orphaned entries, and damaged ones.
func Seeds() [][]byte {
	var seeds [][]byte
	for _, name := range []string{"fat12", "fat16", "fat32-one", "names", "orphans"} {
		seeds = append(seeds, mustBytes(name))
	}
	small := seeds[0]
	return append(seeds,
		small[:len(small)/2],       // truncated
		poked(small, 13, 0),        // no sectors in a cluster
		poked(small, 16, 255),      // 255 FATs
		poked(small, 11, 0, 0),     // no bytes in a sector
		poked(small, 22, 255, 255), // a FAT longer than the volume
		looped(small),
		looped(mustBytes("fat32-one")),
	)
}

// TableSeeds returns disks with each kind of partition table.
func TableSeeds() [][]byte {
	var seeds [][]byte
	for _, name := range []string{"mbr", "mbr-gaps", "mbr-logical-5", "pinn", "gpt", "hybrid", "gpt4k"} {
		seeds = append(seeds, mustBytes(name))
	}
	gpt := mustBytes("gpt")
	return append(seeds, poked(gpt, 512+16, 1, 2, 3, 4)) // only the backup header is good
}

func mustBytes(name string) []byte {
	img, err := Bytes(name)
	if err != nil {
		panic(err) // the names are constants, and a test asks for each
	}
	return img
}

// poked returns a copy of img with other bytes at off.
func poked(img []byte, off int, b ...byte) []byte {
	img = bytes.Clone(img)
	copy(img[off:], b)
	return img
}

// looped returns a copy of img whose FAT leads from every cluster to cluster 3.
func looped(img []byte) []byte {
	img = bytes.Clone(img)
	entry, off := []byte{3, 0x30, 0}, int(le.Uint16(img[14:]))*512
	end := off + int(le.Uint16(img[22:]))*512
	if le.Uint16(img[22:]) == 0 {
		entry = []byte{3, 0, 0, 0}
		end = off + int(le.Uint32(img[36:]))*512
	}
	for off += 12; off+len(entry) <= end; off += len(entry) {
		copy(img[off:], entry)
	}
	return img
}
