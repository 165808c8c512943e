// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
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
func (b *bootSector) extFlags() uint16         { return le.Uint16(b[40:]) }
func (b *bootSector) rootCluster() uint32      { return le.Uint32(b[44:]) }
func (b *bootSector) fsInfo() int64            { return int64(le.Uint16(b[48:])) }

// fat32 reports whether the boot sector is laid out for FAT32: a 16-bit FAT size of 0
// says so, whatever the number of clusters.
func (b *bootSector) fat32() bool { return le.Uint16(b[22:]) == 0 }

// sectors is the size of the volume in sectors: a 16-bit number unless that is 0.
func (b *bootSector) sectors() int64 {
	if n := le.Uint16(b[19:]); n != 0 {
		return int64(n)
	}
	return int64(le.Uint32(b[32:]))
}

// sectorsOff is the offset of the number that sectors returns, for errors.
func (b *bootSector) sectorsOff() int64 {
	if le.Uint16(b[19:]) != 0 {
		return 19
	}
	return 32
}

// fatSectors is the size of one FAT in sectors.
func (b *bootSector) fatSectors() int64 {
	if b.fat32() {
		return int64(le.Uint32(b[36:]))
	}
	return int64(le.Uint16(b[22:]))
}

// fatSizeOff is the offset of the number that fatSectors returns, for errors.
func (b *bootSector) fatSizeOff() int64 {
	if b.fat32() {
		return 36
	}
	return 22
}

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
	if sig != 0x29 || strings.TrimRight(string(label), " \x00") == "NO NAME" {
		return nil
	}
	return label
}

// named reports whether the boot sector calls itself FAT.
func (b *bootSector) named() bool {
	return string(b[54:57]) == "FAT" || string(b[82:85]) == "FAT"
}

// foreign reports whether it is the boot sector of another file system, which looks alike.
func (b *bootSector) foreign() bool {
	switch string(b[3:11]) {
	case "NTFS    ", "EXFAT   ", "-FVE-FS-":
		return true
	}
	return false
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

// geometry is where the parts of a volume are, in bytes from its start.
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
	total       int64  // size of the volume as the boot sector has it
	there       int64  // how much of that is there; the FATs and the fixed root directory are
	end         uint32 // the first cluster that does not lie whole on what is there
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

// geometry works out the layout and checks that all before the clusters is in size bytes. Of the clusters some
// may be past that: a volume larger than its partition or file is read as far as it goes.
func (b *bootSector) geometry(size int64) (*geometry, error) {
	ss := b.sectorSize()
	g := &geometry{
		sectorSize:  ss,
		clusterSize: ss * b.sectorsPerCluster(),
		fatStart:    ss * b.reserved(),
		fatSize:     ss * b.fatSectors(),
		fats:        b.fats(),
		mirror:      true,
		rootSize:    32 * b.rootEntries(),
		total:       ss * b.sectors(),
	}
	g.there = min(size, g.total)
	g.rootStart = g.fatStart + int64(g.fats)*g.fatSize
	g.dataStart = g.rootStart + (g.rootSize+ss-1)/ss*ss
	switch {
	case g.fatSize == 0:
		return nil, corruptf(b.fatSizeOff(), "a file allocation table of no size")
	case g.total == 0:
		return nil, corruptf(b.sectorsOff(), "a volume of no sectors")
	case g.dataStart+g.clusterSize > g.total:
		return nil, corruptf(b.sectorsOff(), "no room for data: it would begin at byte %d of %d", g.dataStart, g.total)
	case g.dataStart > g.there:
		return nil, corruptf(b.sectorsOff(), "truncated: the data begins at byte %d, but only %d of %d bytes are there",
			g.dataStart, g.there, g.total)
	}
	if err := b.setClusters(g, (g.total-g.dataStart)/g.clusterSize); err != nil {
		return nil, err
	}
	return g, nil
}

// setClusters fills in what depends on the number of clusters, n. Some formatters make a FAT a few entries too short:
// clusters without an entry are none, as for Linux and mtools. The width goes by what the boot sector says all the same.
// Where more than a sector of entries is missing, one of the numbers is wrong, and maybe where the data begins.
func (b *bootSector) setClusters(g *geometry, n int64) error {
	switch {
	case b.fat32():
		if err := b.geometry32(g); err != nil {
			return err
		}
	case g.rootSize == 0:
		return corruptf(17, "a root directory of no size")
	case n < minFAT16:
		g.width = 12
	default:
		g.width = 16
	}
	room := g.fatSize*8/int64(g.width) - 2
	if n > room+g.sectorSize*8/int64(g.width) {
		return corruptf(b.fatSizeOff(), "%d clusters, but a file allocation table for %d", n, max(room, 0))
	}
	n = min(n, room)
	switch {
	case g.width == 16 && n >= minFAT32:
		return corruptf(b.fatSizeOff(), "%d clusters are too many for FAT16", n)
	case n > maxClusters:
		return corruptf(32, "%d clusters are too many for FAT32", n)
	}
	g.clusters = uint32(n)
	g.end = uint32(min((g.there-g.dataStart)/g.clusterSize, n)) + 2
	if g.width == 32 && !g.valid(g.rootCluster) {
		return corruptf(44, "root directory at cluster %d of %d", g.rootCluster, n)
	}
	return nil
}

// geometry32 fills in what only FAT32 has.
func (b *bootSector) geometry32(g *geometry) error {
	g.width = 32
	g.rootCluster = b.rootCluster()
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

// valid reports whether c is the number of a cluster.
func (g *geometry) valid(c uint32) bool { return c >= 2 && c-2 < g.clusters }

// clusterOff is the offset of cluster c, which must be valid.
func (g *geometry) clusterOff(c uint32) int64 {
	return g.dataStart + int64(c-2)*g.clusterSize
}

// checkThere checks that the first size bytes of r are there.
func (g *geometry) checkThere(r run, size int64) error {
	if n := min(size, int64(r.n)*g.clusterSize); g.clusterOff(r.start)+n > g.there {
		c := max(r.start, g.end) // end is the one that is there in part
		return corruptf(g.clusterOff(c), "cluster %d is past the end: only %d of the volume's %d bytes are there",
			c, g.there, g.total)
	}
	return nil
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
