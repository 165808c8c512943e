// SPDX-License-Identifier: GPL-3.0-or-later

package fatcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// volume is the geometry of a FAT volume and its tables.
type volume struct {
	d           io.ReaderAt
	size        int64 // bytes of the volume that are there
	boot        []byte
	width       int
	sector      int64 // bytes
	clusterSize int64 // bytes
	clusters    int
	rootOff     int64 // FAT12 and FAT16: the fixed root directory
	rootLen     int64
	rootCluster uint32 // FAT32
	dataOff     int64
	fats        [][]uint32 // each copy that is in use, the one to read from first
}

var le = binary.LittleEndian

// bpb is what the boot sector says of the volume's parts, in sectors unless noted.
type bpb struct {
	sector, perCluster, reserved, copies int64 // bytes; sectors; sectors; FATs
	rootEntries, total, fatSectors       int64
	fat32                                bool
}

func readBPB(b []byte) bpb {
	p := bpb{
		sector:      int64(le.Uint16(b[11:])),
		perCluster:  int64(b[13]),
		reserved:    int64(le.Uint16(b[14:])),
		copies:      int64(b[16]),
		rootEntries: int64(le.Uint16(b[17:])),
		total:       int64(le.Uint16(b[19:])),
		fatSectors:  int64(le.Uint16(b[22:])),
	}
	if p.total == 0 {
		p.total = int64(le.Uint32(b[32:]))
	}
	if p.fat32 = p.fatSectors == 0; p.fat32 {
		p.fatSectors = int64(le.Uint32(b[36:]))
	}
	return p
}

func (p bpb) check() error {
	switch {
	case p.sector < 512 || p.sector > 4096 || bits.OnesCount(uint(p.sector)) != 1:
		return fmt.Errorf("%w: sector size %d", ErrNotFAT, p.sector)
	case bits.OnesCount(uint(p.perCluster)) != 1:
		return fmt.Errorf("%w: %d sectors a cluster", ErrNotFAT, p.perCluster)
	case p.reserved == 0 || p.copies == 0 || p.fatSectors == 0:
		return fmt.Errorf("%w: no reserved sectors or no FAT", ErrNotFAT)
	case p.fat32 && p.rootEntries != 0 || !p.fat32 && p.rootEntries == 0:
		return fmt.Errorf("%w: %d root entries", ErrNotFAT, p.rootEntries)
	}
	return nil
}

func openVolume(d io.ReaderAt, size int64) (*volume, error) {
	v := &volume{d: d, size: size}
	var err error
	if v.boot, err = v.read(0, 512); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrNotFAT
		}
		return nil, err
	}
	p := readBPB(v.boot)
	if err := p.check(); err != nil {
		return nil, err
	}
	v.sector, v.clusterSize = p.sector, p.perCluster*p.sector
	v.rootOff = (p.reserved + p.copies*p.fatSectors) * v.sector
	v.rootLen = p.rootEntries * 32
	v.dataOff = v.rootOff + (v.rootLen+v.sector-1)/v.sector*v.sector
	if v.dataOff > p.total*v.sector || v.dataOff > size {
		return nil, fmt.Errorf("%w: no data area", ErrNotFAT)
	}
	v.clusters = int((p.total*v.sector - v.dataOff) / v.clusterSize)
	switch {
	case p.fat32:
		v.width, v.rootCluster = 32, le.Uint32(v.boot[44:])
	case v.clusters < 4085:
		v.width = 12
	default:
		v.width = 16
	}
	return v, v.readFATs(p)
}

// readFATs reads the copies of the FAT that are in use.
func (v *volume) readFATs(p bpb) error {
	if int64(v.clusters+2)*int64(v.width) > p.fatSectors*v.sector*8 {
		return fmt.Errorf("%w: the FAT is too small for %d clusters", ErrNotFAT, v.clusters)
	}
	inUse, err := v.copiesInUse(p.copies)
	if err != nil {
		return err
	}
	for _, n := range inUse {
		raw, err := v.read((p.reserved+n*p.fatSectors)*v.sector, p.fatSectors*v.sector)
		if err != nil {
			return err
		}
		v.fats = append(v.fats, v.decode(raw))
	}
	return nil
}

// copiesInUse returns the numbers of the FATs that count: all, unless FAT32's BPB_ExtFlags
// name one as the active one.
func (v *volume) copiesInUse(copies int64) ([]int64, error) {
	if flags := le.Uint16(v.boot[40:]); v.width == 32 && flags&0x80 != 0 {
		active := int64(flags & 15)
		if active >= copies {
			return nil, fmt.Errorf("%w: active FAT %d of %d", ErrNotFAT, active, copies)
		}
		return []int64{active}, nil
	}
	all := make([]int64, copies)
	for n := range all {
		all[n] = int64(n)
	}
	return all, nil
}

// decode turns a FAT into one number a cluster. FAT12 and FAT16 marks are widened, so
// that 0x0ffffff7 means bad and anything above it the end of a chain.
func (v *volume) decode(raw []byte) []uint32 {
	fat := make([]uint32, v.clusters+2)
	for i := range fat {
		var n, special uint32
		switch v.width {
		case 12:
			n = uint32(le.Uint16(raw[i+i/2:])) >> (i % 2 * 4) & 0xfff
			special = 0xff0
		case 16:
			n, special = uint32(le.Uint16(raw[2*i:])), 0xfff0
		case 32:
			n, special = le.Uint32(raw[4*i:])&0x0fffffff, 0x0ffffff0
		}
		if n >= special {
			n |= 0x0ffffff0
		}
		fat[i] = n
	}
	return fat
}

const (
	badCluster = 0x0ffffff7
	endOfChain = 0x0ffffff8 // and above
)

// read returns exactly n bytes at off.
func (v *volume) read(off, n int64) ([]byte, error) {
	if off+n > v.size { // before that much is allocated
		return nil, fmt.Errorf("read of %d bytes at %d of %d: %w", n, off, v.size, io.EOF)
	}
	p := make([]byte, n)
	return p, v.readFull(p, off)
}

// readFull reads all of p from off.
func (v *volume) readFull(p []byte, off int64) error {
	got, err := v.d.ReadAt(p, off)
	if got == len(p) {
		return nil
	}
	return fmt.Errorf("read of %d bytes at %d: %w", len(p), off, err)
}

func (v *volume) offset(cluster uint32) int64 {
	return v.dataOff + int64(cluster-2)*v.clusterSize
}

func (v *volume) valid(cluster uint32) bool {
	return cluster >= 2 && cluster < uint32(v.clusters)+2
}

// reserved checks the first two entries of the FAT.
func (v *volume) reserved() []string {
	var damage []string
	for i, fat := range v.fats {
		if byte(fat[0]) != v.boot[21] {
			damage = append(damage,
				fmt.Sprintf("copy %d of the FAT begins with media byte %#x, not %#x", i, byte(fat[0]), v.boot[21]))
		}
		if fat[1] < 2 {
			damage = append(damage, fmt.Sprintf("copy %d of the FAT has %#x for cluster 1", i, fat[1]))
		}
	}
	return damage
}

// dirty reports whether the state byte or FAT[1] marks the volume as in use.
func (v *volume) dirty() bool {
	state, shutDown := 37, uint32(0x8000)
	switch v.width {
	case 12:
		shutDown = 0 // FAT12 has no such bit
	case 32:
		state, shutDown = 65, 0x08000000
	}
	return v.boot[state]&1 != 0 || v.fats[0][1]&shutDown != shutDown
}

// checkInfo compares FSInfo with the FAT.
func (v *volume) checkInfo(r *Report) {
	sector := int64(le.Uint16(v.boot[48:]))
	if v.width != 32 || sector == 0 || sector == 0xffff {
		return
	}
	info, err := v.read(sector*v.sector, 512)
	if err != nil || le.Uint32(info) != 0x41615252 || le.Uint32(info[484:]) != 0x61417272 ||
		le.Uint32(info[508:]) != 0xaa550000 {
		r.Damage = append(r.Damage, "no FSInfo sector where the boot sector says")
		return
	}
	const unknown = 0xffffffff
	count, hint := le.Uint32(info[488:]), le.Uint32(info[492:])
	r.FreeCountWrong = count != unknown && count != uint32(r.Free)
	r.HintWrong = hint != unknown && !v.valid(hint)
}
