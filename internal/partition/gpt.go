// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"
	"slices"
	"unicode/utf16"
)

const (
	gptSignature     = "EFI PART"
	minHeaderSize    = 92
	minGPTEntrySize  = 128
	maxGPTArrayBytes = 16 << 20 // a table of 131072 entries
)

// gptHeader is the sector that holds a GPT header. Setters touch only their own bytes,
// so what follows the known fields survives. Spec: UEFI 2.10, table 5-5.
type gptHeader []byte

func (h gptHeader) size() int64        { return int64(le.Uint32(h[12:])) } // bytes
func (h gptHeader) crc() uint32        { return le.Uint32(h[16:]) }
func (h gptHeader) myLBA() uint64      { return le.Uint64(h[24:]) }
func (h gptHeader) alternate() uint64  { return le.Uint64(h[32:]) }
func (h gptHeader) firstUsable() int64 { return lba(h[40:]) }
func (h gptHeader) lastUsable() int64  { return lba(h[48:]) }
func (h gptHeader) arrayLBA() uint64   { return le.Uint64(h[72:]) }
func (h gptHeader) entries() int64     { return int64(le.Uint32(h[80:])) }
func (h gptHeader) entrySize() int64   { return int64(le.Uint32(h[84:])) }
func (h gptHeader) arrayCRC() uint32   { return le.Uint32(h[88:]) }
func (h gptHeader) arrayBytes() int64  { return h.entries() * h.entrySize() }

func (h gptHeader) setMyLBA(n int64)      { le.PutUint64(h[24:], uint64(n)) }
func (h gptHeader) setAlternate(n int64)  { le.PutUint64(h[32:], uint64(n)) }
func (h gptHeader) setLastUsable(n int64) { le.PutUint64(h[48:], uint64(n)) }
func (h gptHeader) setArrayLBA(n int64)   { le.PutUint64(h[72:], uint64(n)) }

// seal stores the checksums of array and then of the header itself.
func (h gptHeader) seal(array []byte) {
	le.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	le.PutUint32(h[16:], h.sum())
}

// sum is the checksum of the header with its own field taken as zero.
func (h gptHeader) sum() uint32 {
	b := bytes.Clone(h[:h.size()])
	clear(b[16:20])
	return crc32.ChecksumIEEE(b)
}

// gptEntry is one entry as stored, 128 bytes or a power of two times that. Spec: UEFI 2.10, table 5-6.
type gptEntry []byte

func (e gptEntry) used() bool         { return [16]byte(e) != [16]byte{} }
func (e gptEntry) first() int64       { return lba(e[32:]) }
func (e gptEntry) last() int64        { return lba(e[40:]) } // inclusive
func (e gptEntry) setLast(lba int64)  { le.PutUint64(e[40:], uint64(lba)) }
func (e gptEntry) typeGUID() string   { return guid(e[:16]) }
func (e gptEntry) extent() (n uint64) { return le.Uint64(e[40:]) - le.Uint64(e[32:]) + 1 }

func (e gptEntry) name() string {
	units := make([]uint16, 0, 36)
	for i := 56; i < 128; i += 2 {
		u := le.Uint16(e[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// lba reads a sector number; what no disk can have becomes the highest.
func lba(b []byte) int64 { return int64(min(le.Uint64(b), math.MaxInt64)) }

// guid prints a GUID, whose first three fields are stored little-endian.
func guid(b []byte) string {
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

// gpt is a verified header and its array.
type gpt struct {
	sector int64 // bytes a sector
	header gptHeader
	array  []byte
}

func (g *gpt) entry(i int64) gptEntry {
	return gptEntry(g.array[i*g.header.entrySize():][:g.header.entrySize()])
}

// arraySectors is the number of sectors that the array takes.
func (g *gpt) arraySectors() int64 { return (int64(len(g.array)) + g.sector - 1) / g.sector }

var gptSectorSizes = []int64{512, 4096}

// findGPT looks for a whole primary GPT with sectors of any size, then for a whole backup.
func findGPT(d io.ReaderAt, size int64) (*Table, error) {
	type place struct {
		sector int64
		lba    uint64
	}
	primaries, backups := []place{}, []place{}
	for _, sector := range gptSectorSizes {
		primaries = append(primaries, place{sector, 1})
		backups = append(backups, place{sector, uint64(max(size/sector-1, 0))})
	}
	var damage *CorruptError // of the first primary that was one
	for _, p := range primaries {
		g, header, err := readGPT(d, size, p.sector, p.lba)
		if err == nil {
			return g.table(false), nil
		}
		if !isAbsence(err) {
			return nil, err
		}
		if damage == nil {
			errors.As(err, &damage)
		}
		if header != nil {
			backups = append(backups, place{p.sector, header.alternate()})
		}
	}
	for _, p := range backups {
		g, _, err := readGPT(d, size, p.sector, p.lba)
		if err == nil {
			return g.table(true), nil
		}
		if !isAbsence(err) {
			return nil, err
		}
	}
	if damage != nil {
		return nil, corrupt(damage.Off, "%s, and there is no whole backup", damage.Msg)
	}
	return nil, corrupt(512, "the first sector says that a GPT follows, but neither that nor its backup is there: is the image whole?")
}

// isAbsence reports whether err means that a GPT is not there, or not whole, and not that
// the disk cannot be read.
func isAbsence(err error) bool { return errors.Is(err, errNoHeader) || errors.Is(err, ErrCorrupt) }

var errNoHeader = errors.New("no GPT header")

// readGPT reads and verifies the header at sector place and its array. The header is
// returned also if only the array is damaged.
func readGPT(d io.ReaderAt, size, sector int64, place uint64) (*gpt, gptHeader, error) {
	if place < 1 || place > uint64(size/sector)-1 || size < 2*sector {
		return nil, nil, errNoHeader
	}
	off := int64(place) * sector
	buf, err := readAt(d, off, sector)
	if err != nil {
		return nil, nil, err
	}
	h := gptHeader(buf)
	if string(h[:8]) != gptSignature {
		return nil, nil, errNoHeader
	}
	switch {
	case h.size() < minHeaderSize || h.size() > sector:
		return nil, nil, corrupt(off, "the GPT header has a size of %d bytes", h.size())
	case h.sum() != h.crc():
		return nil, nil, corrupt(off, "the checksum of the GPT header does not match")
	case h.myLBA() != place:
		return nil, nil, corrupt(off, "the GPT header is not where it says it is")
	case h.firstUsable() > h.lastUsable() || h.lastUsable() >= math.MaxInt64/sector:
		return nil, nil, corrupt(off, "the GPT header has sectors %d to %d for partitions",
			h.firstUsable(), h.lastUsable())
	case h.entrySize() < minGPTEntrySize || bits.OnesCount64(uint64(h.entrySize())) != 1:
		return nil, nil, corrupt(off, "the GPT header has entries of %d bytes", h.entrySize())
	case h.entries() > maxGPTArrayBytes/h.entrySize():
		return nil, nil, corrupt(off, "the GPT header has %d entries", h.entries())
	}
	array, err := readArray(d, size, sector, h)
	if err != nil {
		return nil, h, err
	}
	return &gpt{sector, h, array}, h, nil
}

func readArray(d io.ReaderAt, size, sector int64, h gptHeader) ([]byte, error) {
	if h.arrayLBA() < 2 || h.arrayLBA() > uint64(size/sector) || h.arrayBytes() > size-int64(h.arrayLBA())*sector {
		off := int64(min(h.arrayLBA(), uint64(size/sector))) * sector
		return nil, corrupt(off, "the GPT entries are outside the disk")
	}
	off := int64(h.arrayLBA()) * sector
	array, err := readAt(d, off, h.arrayBytes())
	if err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(array) != h.arrayCRC() {
		return nil, corrupt(off, "the checksum of the GPT entries does not match")
	}
	return array, nil
}

// table decodes the entries.
func (g *gpt) table(fromBackup bool) *Table {
	t := &Table{Scheme: GPT, SectorSize: g.sector, FromBackup: fromBackup, gpt: g}
	for i := range g.header.entries() {
		e := g.entry(i)
		if !e.used() {
			continue
		}
		if e.last() < e.first() || e.last() >= math.MaxInt64/g.sector {
			t.Damage = corrupt(int64(g.header.arrayLBA())*g.sector+i*g.header.entrySize(),
				"GPT entry %d reaches from sector %d to %d", i+1, e.first(), e.last())
			continue
		}
		t.Partitions = append(t.Partitions, Partition{
			Num:   int(i) + 1,
			Start: e.first() * g.sector,
			Size:  int64(e.extent()) * g.sector,
			Type:  e.typeGUID(),
			Name:  e.name(),
		})
	}
	return t
}

// alignment of the end of a partition that grows, in bytes: what partitioning tools
// align to, and expect.
const alignment = 1 << 20

// planGPT plans the move of the backup to the end of the disk, and the growth of
// partition num (0 for none) to the last aligned sector before it.
//
// The writes in order, and what a cut after each leaves:
//
//  1. If the primary is damaged: header and entries, from the backup. The old table.
//  2. The new backup, its entries and header, in one write at the new end. The old
//     table, since the primary is whole; a backup between old and new is not looked at.
//  3. The primary header, with the entries up to the one that changes, in one write.
//     The new table; if the disk tears the write, the new table by its backup.
//  4. The size in the protective MBR. The new table: readers do not depend on it.
//
// The first and the second end with a barrier. A disk that is to become shorter does so
// after the last write, so that the primary never has sectors that are not there.
func (t *Table) planGPT(next *overlay, num int) error {
	g := *t.gpt
	if t.FromBackup {
		if err := g.becomePrimary(next); err != nil {
			return err
		}
	}
	next.grow()
	total := next.plan.NewSize / g.sector
	oldTotals := []int64{next.size / g.sector, int64(g.header.alternate()) + 1}
	backup := total - 1 - g.arraySectors()
	changed, err := t.growGPT(&g, backup-1, num)
	if err != nil {
		return err
	}
	g.header = bytes.Clone(g.header)
	g.header.setAlternate(total - 1)
	g.header.setLastUsable(backup - 1)
	g.header.seal(g.array)
	if err := g.writeBackup(next, backup); err != nil {
		return err
	}
	next.barrier()
	if err := g.writePrimary(next, changed); err != nil {
		return err
	}
	return growProtective(next, oldTotals, total)
}

// needsRepair reports whether the table is a whole GPT that lacks its primary on the disk d of
// size bytes, or its backup at the end of that, where it has room.
func (t *Table) needsRepair(d io.ReaderAt, size int64) bool {
	last := uint64(size/t.SectorSize - 1)
	switch {
	case t.gpt == nil || t.Damage != nil || t.minSize() > size:
		return false
	case t.FromBackup:
		return t.gpt.hasPrimaryRoom()
	case t.gpt.header.alternate() != last:
		return true
	}
	_, _, err := readGPT(d, size, t.SectorSize, last)
	return err != nil && isAbsence(err)
}

// hasPrimaryRoom reports whether the primary that g is the backup of can be rebuilt.
func (g *gpt) hasPrimaryRoom() bool { return g.header.firstUsable() >= 2+g.arraySectors() }

// becomePrimary plans the repair of the primary from the backup that g is.
func (g *gpt) becomePrimary(next *overlay) error {
	if !g.hasPrimaryRoom() {
		return corrupt(g.sector, "the first copy of the GPT, and there is no room to write it anew from the backup")
	}
	backup := int64(g.header.myLBA())
	g.header = bytes.Clone(g.header)
	g.header.setMyLBA(1)
	g.header.setAlternate(backup)
	g.header.setArrayLBA(2)
	g.header.seal(g.array)
	err := g.writePrimary(next, int64(len(g.array)))
	next.barrier()
	return err
}

// growGPT checks that the partitions end at sector lastUsable or before, and extends
// partition num in a copy of the entries. It returns the number of bytes of the entries
// up to the end of the changed one.
func (t *Table) growGPT(g *gpt, lastUsable int64, num int) (changed int64, err error) {
	end := (lastUsable + 1) * g.sector
	grown, ok := t.Find(num)
	if num != 0 && !ok {
		return 0, t.Missing(num)
	}
	if g.header.firstUsable() > lastUsable+1 {
		return 0, errors.New("the image is too small for the backup of its partition table")
	}
	for _, p := range t.Partitions {
		if p.End() > end {
			return 0, fmt.Errorf("partition %d would overlap the backup of the partition table: the image needs %d bytes",
				p.Num, t.minSize())
		}
		if ok && p.End() > grown.End() {
			return 0, errFollowed(num, p.Num)
		}
	}
	end -= end % alignment
	if !ok || end <= grown.End() {
		return 0, nil
	}
	g.array = bytes.Clone(g.array)
	g.entry(int64(num) - 1).setLast(end/g.sector - 1)
	return int64(num) * g.header.entrySize(), nil
}

// writePrimary plans to write the header and what follows up to n bytes of the entries.
func (g *gpt) writePrimary(next *overlay, n int64) error {
	data := bytes.Clone(g.header)
	if n > 0 {
		arrayLBA := int64(g.header.arrayLBA())
		end := max(g.header.firstUsable(), 2+g.arraySectors()) // where partitions may begin
		if (arrayLBA-2)*g.sector > maxGPTArrayBytes || arrayLBA+g.arraySectors() > end {
			return corrupt(g.sector, "the GPT entries are among the partitions")
		}
		gap, err := readAt(next, 2*g.sector, (arrayLBA-2)*g.sector)
		if err != nil {
			return err
		}
		data = slices.Concat(data, gap, g.array[:n])
	}
	return next.write(g.sector, data)
}

// writeBackup plans to write the entries at sector backup and the header after them.
func (g *gpt) writeBackup(next *overlay, backup int64) error {
	h := gptHeader(bytes.Clone(g.header))
	h.setMyLBA(backup + g.arraySectors())
	h.setAlternate(1)
	h.setArrayLBA(backup)
	h.seal(g.array)
	data := make([]byte, g.arraySectors()*g.sector)
	copy(data, g.array)
	return next.write(backup*g.sector, append(data, h...))
}

// growProtective plans to let the protective entry span the disk of total sectors. In
// a hybrid MBR only an entry that spanned the disk, of one of oldTotals sectors, does.
func growProtective(next *overlay, oldTotals []int64, total int64) error {
	buf, err := readAt(next, 0, 512)
	if err != nil {
		return err
	}
	mbr := bootRecord(buf)
	used := 0
	for i := range 4 {
		if mbr.entry(i).used() {
			used++
		}
	}
	const most = math.MaxUint32
	for i := range 4 {
		e := mbr.entry(i)
		spans := used == 1 || e.count() == most || slices.Contains(oldTotals, e.start()+e.count())
		if count := min(total-1, most); e.typ() == typeGPT && e.start() == 1 && spans && e.count() != count {
			e.setCount(count)
			if !bytes.Equal(e[5:8], []byte{0xff, 0xff, 0xff}) {
				e.setEndCHS(total - 1)
			}
		}
	}
	return next.write(0, buf)
}
