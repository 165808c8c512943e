// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"math/bits"
	"testing"
)

// makeBoot is the boot sector of a volume of so many clusters. Its CHS geometry is absurd, and its label wrong.
func makeBoot(fat32 bool, clusters uint32) *bootSector {
	b := &bootSector{13: 1, 16: 1, 21: 0xF8}
	le.PutUint16(b[11:], 512)
	le.PutUint16(b[14:], 1)
	for i := 24; i < 28; i++ { // sectors a track, heads
		b[i] = 0xFF
	}
	copy(b[54:], "FAT99   ")
	copy(b[82:], "FAT98   ")
	size, before := (clusters+2)*4/512+1, uint32(1)
	if fat32 {
		le.PutUint32(b[36:], size)
		le.PutUint32(b[44:], 2)
	} else {
		le.PutUint16(b[22:], uint16(size))
		le.PutUint16(b[17:], 16)
		before++
	}
	le.PutUint32(b[32:], before+size+clusters)
	return b
}

// A 16-bit FAT size of 0 makes a volume FAT32, else the number of clusters decides.
func TestWidth(t *testing.T) {
	for _, tt := range []struct {
		fat32    bool
		clusters uint32
		want     int
	}{
		{false, 1, 12}, {false, 4084, 12}, {false, 4085, 16}, {false, 65524, 16}, {false, 65525, 0},
		{true, 1, 32}, {true, 4084, 32}, {true, 65524, 32}, {true, 65525, 32}, {true, 1 << 20, 32},
	} {
		g, err := makeBoot(tt.fat32, tt.clusters).geometry(1 << 40)
		switch {
		case tt.want == 0 && isCorrupt(err):
		case err != nil || g.width != tt.want || g.clusters != tt.clusters:
			t.Errorf("FAT32 %v, %d clusters: %+v, %v; want FAT%d", tt.fat32, tt.clusters, g, err, tt.want)
		}
	}
}

// Sectors have 512 to 4096 bytes, clusters 1 to 128 sectors.
func TestSectorsAndClusters(t *testing.T) {
	for sector := 256; sector <= 8192; sector *= 2 {
		for perCluster := 0; perCluster < 256; perCluster++ {
			b := makeBoot(true, 1)
			le.PutUint16(b[11:], uint16(sector))
			b[13] = byte(perCluster)
			want := 512 <= sector && sector <= 4096 && bits.OnesCount(uint(perCluster)) == 1
			if err := b.checkBasics(); (err == nil) != want {
				t.Errorf("sectors of %d bytes, %d a cluster: %v", sector, perCluster, err)
			}
		}
	}
}

// However large a volume says it is, no more clusters are counted than the FAT that is there has entries for.
func TestClustersAreBounded(t *testing.T) {
	b := makeBoot(true, 0x0FFFFFF0)
	if _, err := b.geometry(1 << 20); !isCorrupt(err) {
		t.Errorf("a FAT of 1 GiB in 1 MiB: %v", err)
	}
	le.PutUint32(b[36:], 1)
	if _, err := b.geometry(1 << 40); !isCorrupt(err) {
		t.Errorf("a FAT of 126 clusters for many: %v", err)
	}
	for clusters, want := range map[uint32]uint32{126: 126, 127: 126, 254: 126, 255: 0} {
		b := makeBoot(true, clusters)
		le.PutUint32(b[32:], le.Uint32(b[32:])-le.Uint32(b[36:])+1) // so many with a FAT of one sector
		le.PutUint32(b[36:], 1)
		switch g, err := b.geometry(1 << 40); {
		case want == 0 && isCorrupt(err):
		case err != nil || g.clusters != want || g.end != want+2:
			t.Errorf("a FAT of 126 clusters for %d: %+v, %v", clusters, g, err)
		}
	}
}
