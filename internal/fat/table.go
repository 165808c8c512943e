// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import "io"

// The FAT is read through a window that grows while reading goes on, so that a
// small file costs a small read and a large one few.
const (
	minWindow = 4 << 10
	maxWindow = 64 << 10
)

// table reads entries of the active FAT. It must not be used by two goroutines.
type table struct {
	*geometry
	r    io.ReaderAt
	buf  []byte
	off  int64 // of buf within the FAT
	grow int64 // size of the next window
}

func (g *geometry) table(r io.ReaderAt) *table { return &table{geometry: g, r: r, grow: minWindow} }

// fatOff is the offset of FAT number i.
func (g *geometry) fatOff(i int) int64 { return g.fatStart + int64(i)*g.fatSize }

// fatBytes is how much of a FAT holds entries.
func (g *geometry) fatBytes() int64 {
	return ((int64(g.clusters)+2)*int64(g.width) + 7) / 8
}

// entryOff is the offset of c's entry within a FAT. FAT12 packs two entries in three bytes.
func (g *geometry) entryOff(c uint32) int64 { return int64(c) * int64(g.width) / 8 }

// Values of FAT entries, as get gives them.
const (
	entryFree = 0
	entryBad  = 0x0FFFFFF7
	entryEnd  = 0x0FFFFFF8 // and above: the last cluster of a chain
)

// get gives the entry of cluster c, with the special values of all widths made those
// of FAT32. The upper four bits of a FAT32 entry are not part of it.
func (t *table) get(c uint32) (uint32, error) {
	off := t.entryOff(c)
	i := off - t.off
	if i < 0 || i+4 > int64(len(t.buf)) {
		if err := t.load(off); err != nil {
			return 0, err
		}
		i = off - t.off
	}
	return getEntry(t.buf[i:], t.width, c), nil
}

// load moves the window to the entry at off of the FAT.
func (t *table) load(off int64) error {
	size := t.grow
	t.grow = min(2*t.grow, maxWindow)
	total := t.fatBytes()
	start := off / minWindow * minWindow
	if t.width == 12 { // entries straddle windows, but the whole table is small
		start, size = 0, total
	}
	size = min(size, total-start)
	if int64(cap(t.buf)) < size+3 {
		t.buf = make([]byte, size+3)
	}
	t.buf = t.buf[:size]
	t.off = start
	if err := readAt(t.r, t.buf, t.fatOff(t.active)+start); err != nil {
		t.buf = t.buf[:0]
		return err
	}
	t.buf = append(t.buf, 0, 0, 0) // get looks at up to 4 bytes
	return nil
}

// getEntry decodes the entry of cluster c from b, which begins at its first byte.
func getEntry(b []byte, width int, c uint32) uint32 {
	var e, special uint32
	switch width {
	case 12:
		e, special = uint32(le.Uint16(b)), 0xFF7
		if c&1 != 0 {
			e >>= 4
		}
		e &= 0xFFF
	case 16:
		e, special = uint32(le.Uint16(b)), 0xFFF7
	default:
		return le.Uint32(b) & 0x0FFFFFFF
	}
	if e >= special {
		e += entryBad - special
	}
	return e
}

// setEntry encodes e, a value as get gives it, as the entry of cluster c at the start of b. It
// leaves the other half-byte of a FAT12 entry and the upper four bits of a FAT32 entry as they are.
func setEntry(b []byte, width int, c, e uint32) {
	switch width {
	case 12:
		old := le.Uint16(b)
		if c&1 != 0 {
			le.PutUint16(b, old&0x000F|uint16(e&0xFFF)<<4)
		} else {
			le.PutUint16(b, old&0xF000|uint16(e&0xFFF))
		}
	case 16:
		le.PutUint16(b, uint16(e))
	default:
		le.PutUint32(b, le.Uint32(b)&0xF0000000|e&0x0FFFFFFF)
	}
}

// cleanShutdown reads the flag in FAT[1] that other systems than Linux clear while
// the volume is mounted. FAT12 has none.
func (t *table) cleanShutdown() (bool, error) {
	if t.width == 12 {
		return true, nil
	}
	e, err := t.get(1)
	if t.width == 16 {
		return e&0x8000 != 0, err
	}
	return e&0x08000000 != 0, err
}

// free counts the free clusters.
func (t *table) free() (int64, error) {
	var n int64
	for c := uint32(2); t.valid(c); c++ {
		e, err := t.get(c)
		if err != nil {
			return 0, err
		}
		if e == entryFree {
			n++
		}
	}
	return n, nil
}
