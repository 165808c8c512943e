// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"io"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

const benchSize = 64 << 20

// benchVolume is a FAT32 volume of 512-byte clusters in memory, made out of a small one.
func benchVolume(b *testing.B) testimg.Mem {
	small := testimg.Fixture(b, "fat32-one")
	const clusters = 3 * benchSize / 512
	fat := (clusters*4 + 1023) / 512
	img := make(testimg.Mem, (32+fat+clusters)*512)
	copy(img, small[:32*512])
	put := func(off int, n uint32) {
		for i := range 4 {
			img[off+i] = byte(n >> (8 * i))
		}
	}
	put(14, 32|uint32(small[16])<<16|uint32(small[17])<<24)
	put(32, uint32(32+fat+clusters))
	put(36, uint32(fat))
	put(32*512, 0x0FFFFFF8)
	put(32*512+4, 0x0FFFFFFF)
	put(32*512+8, 0x0FFFFFFF)
	return img
}

func benchWrite(b *testing.B, img testimg.Mem, data []byte) {
	if err := change(img, int64(len(img)), fat.TxOptions{}, writeOp("", "initrd.img", data).plan); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	img, data := benchVolume(b), pattern(benchSize, 1)
	b.SetBytes(benchSize)
	for b.Loop() {
		benchWrite(b, img, data)
	}
}

func BenchmarkRead(b *testing.B) {
	img := benchVolume(b)
	benchWrite(b, img, pattern(benchSize, 1))
	b.SetBytes(benchSize)
	for b.Loop() {
		f, err := mustOpen(b, img).OpenFile("initrd.img")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, f); err != nil {
			b.Fatal(err)
		}
	}
}
