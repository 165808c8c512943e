// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

var le = binary.LittleEndian

// bootSize is how much of the boot sector holds values, whatever the sector size.
const bootSize = 512

// bootSector is the start of a volume as stored. Spec: Microsoft FAT 1.03, "Boot Sector and BPB".
type bootSector [bootSize]byte

func (b *bootSector) sectorSize() int64        { return int64(le.Uint16(b[11:])) }
func (b *bootSector) sectorsPerCluster() int64 { return int64(b[13]) }
func (b *bootSector) reserved() int64          { return int64(le.Uint16(b[14:])) }
func (b *bootSector) fats() int                { return int(b[16]) }
func (b *bootSector) rootEntries() int64       { return int64(le.Uint16(b[17:])) }
func (b *bootSector) media() byte              { return b[21] }
func (b *bootSector) fatSize16() int64         { return int64(le.Uint16(b[22:])) }
func (b *bootSector) fatSize32() int64         { return int64(le.Uint32(b[36:])) }
func (b *bootSector) extFlags() uint16         { return le.Uint16(b[40:]) }
func (b *bootSector) rootCluster() uint32      { return le.Uint32(b[44:]) }
func (b *bootSector) fsInfo() int64            { return int64(le.Uint16(b[48:])) }

func (b *bootSector) sectors() int64 {
	if n := le.Uint16(b[19:]); n != 0 {
		return int64(n)
	}
	return int64(le.Uint32(b[32:]))
}

// fat32 tells whether the boot sector is laid out for FAT32: a 16-bit FAT size of 0
// says so, whatever the number of clusters.
func (b *bootSector) fat32() bool { return b.fatSize16() == 0 }

// dirty is the flag that Linux sets while it has the volume mounted.
func (b *bootSector) dirty() bool {
	if b.fat32() {
		return b[0x41]&1 != 0
	}
	return b[0x25]&1 != 0
}

// label is the boot sector's copy of the volume label, 11 bytes, or nil.
func (b *bootSector) label() []byte {
	sig, label := b[38], b[43:54]
	if b.fat32() {
		sig, label = b[66], b[71:82]
	}
	if sig != 0x29 || string(label) == "NO NAME    " {
		return nil
	}
	return label
}

// named tells whether the boot sector calls itself FAT.
func (b *bootSector) named() bool {
	return string(b[54:57]) == "FAT" || string(b[82:85]) == "FAT"
}

// foreign tells whether another file system with a similar boot sector is there.
func (b *bootSector) foreign() bool {
	oem := b[3:11]
	return bytes.Equal(oem, []byte("NTFS    ")) || bytes.Equal(oem, []byte("EXFAT   ")) || bytes.Equal(oem, []byte("-FVE-FS-"))
}

// checkBasics checks the fields that every FAT volume has.
func (b *bootSector) checkBasics() error {
	switch n := b.sectorSize(); n {
	case 512, 1024, 2048, 4096:
	default:
		return corruptf(11, "sector size of %d bytes", n)
	}
	if n := b.sectorsPerCluster(); bits.OnesCount64(uint64(n)) != 1 {
		return corruptf(13, "%d sectors per cluster", n)
	}
	if b.reserved() == 0 {
		return corruptf(14, "no reserved sectors")
	}
	if n := b.fats(); n != 1 && n != 2 {
		return corruptf(16, "%d file allocation tables", n)
	}
	if n := b.media(); n != 0xF0 && n < 0xF8 {
		return corruptf(21, "media byte %#02x", n)
	}
	return nil
}

// geometry is where the parts of a volume lie, in bytes from its start.
type geometry struct {
	width       int
	sectorSize  int64
	clusterSize int64
	fatStart    int64 // of the first FAT
	fatSize     int64 // of one FAT
	fats        int
	mirror      bool  // all FATs are written; else only the active one
	active      int   // the FAT that is read
	rootStart   int64 // FAT12 and FAT16: the fixed root directory
	rootSize    int64
	rootCluster uint32 // FAT32
	fsInfo      int64  // FAT32: FSInfo sector, 0 if there is none
	dataStart   int64
	clusters    uint32 // numbered from 2 to clusters+1
}

// Number of clusters at which the next FAT width begins, and the most FAT32 can number.
const (
	minFAT16    = 4085
	minFAT32    = 65525
	maxClusters = 0x0FFFFFF5
)

// readBoot reads and checks the boot sector of the volume r of size bytes.
func readBoot(r io.ReaderAt, size int64) (*bootSector, *geometry, error) {
	var b bootSector
	if size < bootSize {
		return nil, nil, ErrNotFAT
	}
	if err := readAt(r, b[:], 0); err != nil {
		return nil, nil, err
	}
	if b.foreign() {
		return nil, nil, ErrNotFAT
	}
	if err := b.checkBasics(); err != nil {
		if !b.named() {
			return nil, nil, ErrNotFAT
		}
		return nil, nil, err
	}
	g, err := b.geometry(size)
	return &b, g, err
}

// geometry works out the layout and checks that all of it lies within size bytes.
func (b *bootSector) geometry(size int64) (*geometry, error) {
	ss := b.sectorSize()
	g := &geometry{
		sectorSize:  ss,
		clusterSize: ss * b.sectorsPerCluster(),
		fatStart:    ss * b.reserved(),
		fatSize:     ss * b.fatSize16(),
		fats:        b.fats(),
		mirror:      true,
		rootSize:    32 * b.rootEntries(),
	}
	if b.fat32() {
		g.fatSize = ss * b.fatSize32()
	}
	total := ss * b.sectors()
	g.rootStart = g.fatStart + int64(g.fats)*g.fatSize
	g.dataStart = g.rootStart + (g.rootSize+ss-1)/ss*ss
	switch {
	case g.fatSize == 0:
		return nil, corruptf(22, "a file allocation table of no size")
	case total == 0:
		return nil, corruptf(32, "a volume of no sectors")
	case total > size:
		return nil, corruptf(32, "truncated: the volume has %d bytes, but only %d are there", total, size)
	case g.dataStart+g.clusterSize > total:
		return nil, corruptf(32, "no room for data: it would begin at byte %d of %d", g.dataStart, total)
	}
	n := (total - g.dataStart) / g.clusterSize
	if b.fat32() {
		if err := b.geometry32(g, n); err != nil {
			return nil, err
		}
	} else {
		switch {
		case n < minFAT16:
			g.width = 12
		case n < minFAT32:
			g.width = 16
		default:
			return nil, corruptf(22, "%d clusters are too many for FAT16", n)
		}
		if g.rootSize == 0 {
			return nil, corruptf(17, "a root directory of no size")
		}
	}
	if room := g.fatSize*8/int64(g.width) - 2; n > room {
		return nil, corruptf(22, "%d clusters, but a file allocation table for %d", n, max(room, 0))
	}
	g.clusters = uint32(n)
	if g.width == 32 && !g.valid(g.rootCluster) {
		return nil, corruptf(44, "root directory at cluster %d of %d", g.rootCluster, n)
	}
	return g, nil
}

// geometry32 fills in what only FAT32 has; n is the number of clusters.
func (b *bootSector) geometry32(g *geometry, n int64) error {
	g.width = 32
	g.rootCluster = b.rootCluster()
	if n > maxClusters {
		return corruptf(32, "%d clusters are too many for FAT32", n)
	}
	if f := b.extFlags(); f&0x80 != 0 {
		g.mirror, g.active = false, int(f&0x0F)
		if g.active >= g.fats {
			return corruptf(40, "FAT %d is active, but there are %d", g.active, g.fats)
		}
	}
	if s := b.fsInfo(); s != 0 && s*g.sectorSize+bootSize <= g.fatStart {
		g.fsInfo = s * g.sectorSize
	}
	return nil
}

// valid tells whether c is the number of a cluster.
func (g *geometry) valid(c uint32) bool { return c >= 2 && c-2 < g.clusters }

// clusterOff is the offset of cluster c, which must be valid.
func (g *geometry) clusterOff(c uint32) int64 {
	return g.dataStart + int64(c-2)*g.clusterSize
}

// clustersFor is the number of clusters that n bytes take.
func (g *geometry) clustersFor(n int64) int64 {
	return (n + g.clusterSize - 1) / g.clusterSize
}

// readAt fills p from offset off; a device that ends before is an error.
func readAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("read %d bytes at %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	return err
}
