// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

const (
	entriesOffset = 446 // of the four entries in a boot record
	entrySize     = 16
	typeGPT       = 0xee // protective entry

	// maxLogicals bounds a chain of logical partitions, which a hostile disk makes endless.
	maxLogicals = 1000
	// maxMBRSectors is what the 32-bit fields of an entry can reach.
	maxMBRSectors = 1 << 32
)

// bootRecord is the first sector of a disk or of a logical partition: an MBR or an
// EBR, 512 bytes whatever the sector size.
type bootRecord []byte

func (b bootRecord) signed() bool { return b[510] == 0x55 && b[511] == 0xaa }

func (b bootRecord) entry(i int) mbrEntry {
	return mbrEntry(b[entriesOffset+i*entrySize:][:entrySize])
}

// plausible reports whether b is a boot record rather than the boot sector of a file
// system, which has the same signature but code or text where the entries would be.
func (b bootRecord) plausible() bool {
	for i := range 4 {
		if flag := b.entry(i)[0]; flag != 0 && flag != 0x80 {
			return false
		}
	}
	return true
}

func (b bootRecord) announcesGPT() bool {
	for i := range 4 {
		if b.entry(i).typ() == typeGPT {
			return true
		}
	}
	return false
}

// mbrEntry is one entry as stored. Setters touch only their own bytes.
// Spec: UEFI 2.10, table 5-2.
type mbrEntry []byte

func (e mbrEntry) typ() byte        { return e[4] }
func (e mbrEntry) start() int64     { return int64(le.Uint32(e[8:])) }  // sectors
func (e mbrEntry) count() int64     { return int64(le.Uint32(e[12:])) } // sectors
func (e mbrEntry) used() bool       { return e.count() != 0 }
func (e mbrEntry) setCount(n int64) { le.PutUint32(e[12:], uint32(n)) }

func (e mbrEntry) extended() bool {
	return e.typ() == 0x05 || e.typ() == 0x0f || e.typ() == 0x85
}

// setEndCHS stores the address of the last sector in the usual geometry of 255 heads
// and 63 sectors, or the highest address where that does not fit.
func (e mbrEntry) setEndCHS(lba int64) {
	const heads, sectors, maxCylinder = 255, 63, 1023
	c, h, s := lba/(heads*sectors), lba/sectors%heads, lba%sectors+1
	if c > maxCylinder {
		c, h, s = maxCylinder, heads-1, sectors
	}
	e[5], e[6], e[7] = byte(h), byte(s)|byte(c>>8<<6), byte(c)
}

// mbrPlace is a partition, extended ones included, and where its entry is stored.
type mbrPlace struct {
	num      int
	start    int64 // first sector, from the start of the disk
	count    int64 // sectors
	entry    entryRef
	parents  []entryRef // logical: the entries that span it, outermost first
	extended bool
}

func (p mbrPlace) end() int64 { return p.start + p.count }

// entryRef is the place of an entry that grows with a partition.
type entryRef struct {
	sector int64 // byte offset of the boot record
	index  int   // of the entry in it
	base   int64 // sector that the entry's start counts from
}

// readMBR reads the entries of a real MBR and follows its extended partitions.
func readMBR(d io.ReaderAt, size, unit int64, mbr bootRecord) (*Table, error) {
	t := &Table{Scheme: MBR, SectorSize: unit}
	var logical []Partition
	for i := range 4 {
		e := mbr.entry(i)
		if !e.used() || e.extended() && e.start() == 0 { // its first logical partition would be the table itself
			continue
		}
		place := mbrPlace{num: i + 1, start: e.start(), count: e.count(), extended: e.extended()}
		place.entry = entryRef{0, i, 0}
		t.primaries = append(t.primaries, place)
		if e.extended() {
			chain := &ebrChain{d: d, size: size, unit: unit, container: place, next: 5 + len(logical)}
			if err := chain.read(); err != nil {
				t.Damage = err
			}
			t.logicals = append(t.logicals, chain.places...)
			logical = append(logical, chain.found...)
			continue
		}
		t.Partitions = append(t.Partitions, newMBRPartition(place, e.typ(), unit))
	}
	t.Partitions = append(t.Partitions, logical...)
	return t, nil
}

func newMBRPartition(p mbrPlace, typ byte, unit int64) Partition {
	return Partition{Num: p.num, Start: p.start * unit, Size: p.count * unit, Type: fmt.Sprintf("%02x", typ)}
}

// ebrChain walks the boot records of the logical partitions in one extended partition.
// In each, the entry of the logical partition counts from that record, the link to the
// next record from the start of the extended partition.
type ebrChain struct {
	d         io.ReaderAt
	size      int64 // of the disk in bytes
	unit      int64 // bytes a sector
	container mbrPlace
	next      int // number of the next logical partition

	places []mbrPlace
	found  []Partition
}

// read collects the logical partitions. It stops at the first damaged record: what
// was found before it stays.
func (c *ebrChain) read() error {
	seen := map[int64]bool{}
	sector := c.container.start
	parents := []entryRef{c.container.entry}
	for {
		off := sector * c.unit
		switch {
		case seen[sector]:
			return corrupt(off, "the chain of logical partitions is a loop")
		case len(seen) >= maxLogicals:
			return corrupt(off, "more than %d logical partitions", maxLogicals)
		case sector >= c.container.end():
			return corrupt(off, "a logical partition is outside extended partition %d", c.container.num)
		case off > c.size-512:
			return corrupt(off, "the boot record of a logical partition is past the end of the disk")
		}
		seen[sector] = true
		buf, err := readAt(c.d, off, 512)
		if err != nil {
			return err
		}
		ebr := bootRecord(buf)
		if !ebr.signed() {
			if len(seen) == 1 && len(bytes.Trim(buf, "\x00")) == 0 {
				return nil // an extended partition that was never filled
			}
			return corrupt(off, "the boot record of a logical partition has no signature")
		}
		link := c.scan(ebr, sector, parents)
		if link < 0 {
			return nil
		}
		parents = []entryRef{c.container.entry, {off, link, c.container.start}}
		sector = c.container.start + ebr.entry(link).start()
	}
}

// scan takes the logical partition from the boot record at sector and returns the index
// of the link to the next record, -1 at the end of the chain. The third and fourth
// entry are unused in a sound record, and are looked at as the kernel does.
func (c *ebrChain) scan(ebr bootRecord, sector int64, parents []entryRef) (link int) {
	link = -1
	for i := range 4 {
		e := ebr.entry(i)
		if !e.used() {
			continue
		}
		if e.extended() {
			if link < 0 {
				link = i
			}
			continue
		}
		p := mbrPlace{num: c.next, start: sector + e.start(), count: e.count(),
			entry: entryRef{sector * c.unit, i, sector}, parents: parents}
		if i >= 2 && (p.start < c.container.start || p.end() > c.container.end()) {
			continue
		}
		c.places = append(c.places, p)
		c.found = append(c.found, newMBRPartition(p, e.typ(), c.unit))
		c.next++
	}
	return link
}

// planMBR plans the growth of partition num to the end of the disk. A real MBR does
// not depend on the size of the disk.
//
// The writes in order, and what a cut after each leaves, when the disk is as long as
// it is to be:
//
//  1. Logical: the extended partition's entry. The old partitions, with more room.
//  2. Logical, not the first: the link to its boot record. The same.
//  3. The partition's own entry. The new table.
//
// Each changes one sector, and the third follows a barrier.
func (t *Table) planMBR(next *overlay, num int) error {
	next.grow()
	next.barrier()
	if num == 0 {
		return nil
	}
	place, err := t.findPlace(num)
	if err != nil {
		return err
	}
	end := next.plan.NewSize / t.SectorSize // in sectors
	if end > maxMBRSectors {
		return fmt.Errorf("partition %d cannot grow to %d bytes: an MBR reaches %d bytes and no further",
			num, end*t.SectorSize, maxMBRSectors*t.SectorSize)
	}
	for _, ref := range append(slices.Clone(place.parents), place.entry) {
		if err := t.outside(ref); err != nil {
			return err
		}
	}
	for _, parent := range place.parents {
		if err := growEntry(next, parent, end); err != nil {
			return err
		}
	}
	next.barrier()
	return growEntry(next, place.entry, end)
}

// outside returns an error if the boot record that holds ref is inside a partition, as some tools leave
// it: writing it might write into a file.
func (t *Table) outside(ref entryRef) error {
	for _, p := range t.Partitions {
		if p.Start > 0 && p.Start <= ref.sector && ref.sector < p.End() {
			return fmt.Errorf("the boot record of a logical partition is inside partition %d: "+
				"correct the table with sfdisk first", p.Num)
		}
	}
	return nil
}

// findPlace returns the place of partition num, which no other may follow.
func (t *Table) findPlace(num int) (mbrPlace, error) {
	places := slices.Concat(t.primaries, t.logicals)
	i := slices.IndexFunc(places, func(p mbrPlace) bool { return p.num == num && !p.extended })
	if i < 0 {
		return mbrPlace{}, t.Missing(num)
	}
	place := places[i]
	for _, other := range places {
		isParent := slices.Contains(place.parents, other.entry)
		if other.end() > place.end() && !isParent {
			return place, errFollowed(num, other.num)
		}
	}
	return place, nil
}

func errFollowed(num, other int) error {
	return fmt.Errorf("partition %d cannot grow: partition %d comes after it", num, other)
}

// growEntry plans to make the entry end at sector end.
func growEntry(next *overlay, ref entryRef, end int64) error {
	buf, err := readAt(next, ref.sector, 512)
	if err != nil {
		return err
	}
	e := bootRecord(buf).entry(ref.index)
	if ref.base+e.start()+e.count() == end {
		return nil
	}
	e.setCount(end - ref.base - e.start())
	e.setEndCHS(end - 1)
	return next.write(ref.sector, buf)
}
