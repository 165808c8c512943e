// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"unicode/utf16"

	"nobodd/internal/testimg"
)

// Types that the tests use.
const (
	linuxGUID = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	espGUID   = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
)

// part is an entry to build; start and count are in sectors.
type part struct {
	num          int
	start, count int64
	typ          byte
	name         string // GPT
}

// setMBR writes a boot record with the entries at sector, their starts as given.
func setMBR(disk testimg.Mem, sector, unit int64, parts ...part) {
	b := bootRecord(disk[sector*unit:][:512])
	b[510], b[511] = 0x55, 0xaa
	for _, p := range parts {
		e := b.entry(p.num - 1)
		e[4] = p.typ
		le.PutUint32(e[8:], uint32(p.start))
		e.setCount(p.count)
	}
}

// newMBR builds a disk of size sectors whose last primary is extended if logicals are
// given: each has its boot record one sector before it.
func newMBR(unit, sectors int64, primaries []part, logicals ...part) testimg.Mem {
	disk := make(testimg.Mem, sectors*unit)
	copy(disk[440:], "mbr\xff") // the disk id
	setMBR(disk, 0, unit, primaries...)
	if len(logicals) == 0 {
		return disk
	}
	container := primaries[len(primaries)-1]
	sector := container.start
	for i, p := range logicals {
		entries := []part{{num: 1, start: p.start - sector, count: p.count, typ: p.typ}}
		next := int64(0)
		if i+1 < len(logicals) {
			n := logicals[i+1]
			next = n.start - 1
			entries = append(entries, part{num: 2, start: next - container.start, count: n.count + 1, typ: 0x05})
		}
		setMBR(disk, sector, unit, entries...)
		sector = next
	}
	return disk
}

// newGPT builds a disk with both headers, 128 entries of entrySize bytes each, and a
// protective MBR.
func newGPT(unit, sectors, entrySize int64, parts ...part) testimg.Mem {
	return newGPTOf(128, unit, sectors, entrySize, parts...)
}

// newGPTOf is newGPT with any number of entries.
func newGPTOf(entries, unit, sectors, entrySize int64, parts ...part) testimg.Mem {
	disk := make(testimg.Mem, sectors*unit)
	setMBR(disk, 0, unit, part{num: 1, start: 1, count: min(sectors-1, maxMBRSectors-1), typ: typeGPT})
	array := make([]byte, entries*entrySize)
	for _, p := range parts {
		e := gptEntry(array[int64(p.num-1)*entrySize:][:entrySize])
		copy(e, []byte{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4})
		if p.typ == 0xef {
			copy(e, []byte{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b})
		}
		e[16], e[31] = byte(p.num), 0x77
		le.PutUint64(e[32:], uint64(p.start))
		e.setLast(p.start + p.count - 1)
		e[48] = 4 // an attribute
		for i, u := range utf16.Encode([]rune(p.name)) {
			le.PutUint16(e[56+2*i:], u)
		}
	}
	arraySectors := (int64(len(array)) + unit - 1) / unit
	h := gptHeader(make([]byte, unit))
	copy(h, gptSignature)
	le.PutUint32(h[8:], 0x10000)
	le.PutUint32(h[12:], minHeaderSize)
	le.PutUint64(h[40:], uint64(2+arraySectors))
	h.setLastUsable(sectors - 2 - arraySectors)
	copy(h[56:72], "disk-guid-of-16b")
	le.PutUint32(h[80:], uint32(entries))
	le.PutUint32(h[84:], uint32(entrySize))

	h.setMyLBA(1)
	h.setAlternate(sectors - 1)
	h.setArrayLBA(2)
	h.seal(array)
	copy(disk[unit:], h)
	copy(disk[2*unit:], array)

	h.setMyLBA(sectors - 1)
	h.setAlternate(1)
	h.setArrayLBA(sectors - 1 - arraySectors)
	h.seal(array)
	copy(disk[(sectors-1)*unit:], h)
	copy(disk[(sectors-1-arraySectors)*unit:], array)
	return disk
}
