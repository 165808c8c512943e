// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

func TestMain(m *testing.M) { testimg.Main(m) }

// growDisk is a disk in memory that can change its size. It records what is done with
// it, and fails from operation number failAt on: once, or for good.
type growDisk struct {
	*testimg.Paged
	failAt  int // -1: never
	once    bool
	ops     []diskOp
	count   int
	faulted bool
}

type diskOp struct {
	off  int64
	data []byte // nil: a sync, or a truncation to off
	sync bool
}

func newGrowDisk(start *testimg.Paged) *growDisk {
	return &growDisk{Paged: start.Clone(), failAt: -1}
}

func (d *growDisk) fails() bool {
	n := d.count
	d.count++
	if d.failAt < 0 || n < d.failAt || d.once && n > d.failAt {
		return false
	}
	d.faulted = true
	return true
}

func (d *growDisk) WriteAt(p []byte, off int64) (int, error) {
	if d.fails() {
		return 0, testimg.ErrFault
	}
	d.ops = append(d.ops, diskOp{off: off, data: bytes.Clone(p)})
	return d.Paged.WriteAt(p, off)
}

func (d *growDisk) Sync() error {
	if d.fails() {
		return testimg.ErrFault
	}
	d.ops = append(d.ops, diskOp{sync: true})
	return nil
}

func (d *growDisk) Truncate(size int64) error {
	if d.fails() {
		return testimg.ErrFault
	}
	d.ops = append(d.ops, diskOp{off: size})
	return d.Paged.Truncate(size)
}

// after returns the state of start after the first n operations. With a seed, sectors
// written since the last sync are there or not as it decides.
func after(t *testing.T, start *testimg.Paged, ops []diskOp, n int, seed uint64) *testimg.Paged {
	t.Helper()
	synced := n
	for synced > 0 && !ops[synced-1].sync {
		synced--
	}
	rnd := rand.New(rand.NewPCG(seed, uint64(n)))
	state := start.Clone()
	for i, o := range ops[:n] {
		if err := o.apply(state, func() bool { return i < synced || seed == 0 || rnd.IntN(2) == 0 }); err != nil {
			t.Fatal(err)
		}
	}
	return state
}

// apply makes the change on d, but only those 512-byte sectors of a write that there is true for.
func (o diskOp) apply(d *testimg.Paged, there func() bool) error {
	switch {
	case o.sync:
		return nil
	case o.data == nil:
		return d.Truncate(o.off)
	}
	for off := 0; off < len(o.data); off += 512 {
		if there() {
			if _, err := d.WriteAt(o.data[off:min(off+512, len(o.data))], o.off+int64(off)); err != nil {
				return err
			}
		}
	}
	return nil
}

func mustPlan(t *testing.T, img []byte, unit, size int64, grow int) *Plan {
	t.Helper()
	table, err := ReadUnit(testimg.Mem(img), int64(len(img)), unit)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(testimg.Mem(img), int64(len(img)), table, size, grow)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The tests' images are the same with sectors of any size: n sectors of 512 bytes
// are in(n, unit) of unit bytes.
func in(n, unit int64) int64 { return n * 512 / unit }

// scaled returns parts that were written down in sectors of 512 bytes.
func scaled(unit int64, parts ...part) []part {
	for i := range parts {
		parts[i].start, parts[i].count = in(parts[i].start, unit), in(parts[i].count, unit)
	}
	return parts
}

const (
	mbrEnd      = 8192 // sectors of 512 bytes
	logicalAt   = 4096
	gptEnd      = 10240
	hybridCount = 99
)

func mbrPrimary(unit int64) []byte {
	return newMBR(unit, in(mbrEnd, unit), scaled(unit, part{num: 1, start: 2048, count: 1024, typ: 0x0c}, part{num: 2, start: 4096, count: 4096, typ: 0x83}))
}

func mbrLogical(unit int64) []byte {
	return newMBR(unit, in(mbrEnd, unit), scaled(unit, part{num: 1, start: 2048, count: 1024, typ: 0x0c}, part{num: 2, start: logicalAt, count: 4096, typ: 0x05}),
		scaled(unit, part{start: logicalAt + 64, count: 1024, typ: 0x83}, part{start: logicalAt + 2048, count: 1024, typ: 0x82}, part{start: logicalAt + 3584, count: 512, typ: 0x83})...)
}

func mbrOneLogical(unit int64) []byte {
	return newMBR(unit, in(mbrEnd, unit), scaled(unit, part{num: 4, start: logicalAt, count: 4096, typ: 0x0f}), scaled(unit, part{start: logicalAt + 64, count: 1024, typ: 0x83})...)
}

func gptDisk(unit int64) []byte {
	return newGPT(unit, in(gptEnd, unit), 128, scaled(unit, part{num: 1, start: 2048, count: 2048, typ: 0xef, name: "boot"}, part{num: 2, start: 4096, count: 2048, typ: 0x83, name: "root"})...)
}

func gptOddOrder(unit int64) []byte {
	return newGPT(unit, in(gptEnd, unit), 128, scaled(unit, part{num: 1, start: 4096, count: 2048, typ: 0x83}, part{num: 5, start: 2048, count: 2048, typ: 0xef})...)
}

func hybridDisk(unit int64) []byte {
	img := gptDisk(unit)
	setMBR(img, 0, unit, part{num: 1, start: in(2048, unit), count: in(2048, unit), typ: 0x0c}, part{num: 2, start: 1, count: hybridCount, typ: typeGPT})
	copy(img[440:], "\x12\x34\x56\x78")
	return img
}

// hybridWhole has two entries that span the disk: the protective one, which says that it has so many sectors, and
// one of another type. Two more end with it.
func hybridWhole(unit, sectors int64) []byte {
	img := gptDisk(unit)
	last := in(gptEnd, unit) - 1
	setMBR(img, 0, unit, part{num: 1, start: 1, count: sectors, typ: typeGPT}, part{num: 2, start: 1, count: last, typ: 0x0c},
		part{num: 3, start: in(2048, unit), count: last + 1 - in(2048, unit), typ: 0x83}, part{num: 4, start: in(4096, unit), count: last + 1 - in(4096, unit), typ: typeGPT})
	return img
}

func hybridSpanning(unit int64) []byte { return hybridWhole(unit, in(gptEnd, unit)-1) }
func hybridEndless(unit int64) []byte  { return hybridWhole(unit, maxMBRSectors-1) }

func damagedPrimary(unit int64) []byte {
	img := gptDisk(unit)
	img[unit+20]++ // a reserved byte of the header
	return img
}

func damagedEntries(unit int64) []byte {
	img := gptDisk(unit)
	img[2*unit+20]++
	return img
}

func lostBackup(unit int64) []byte {
	img := gptDisk(unit)
	clear(img[len(img)-int(40*unit):])
	return img
}

// extendedFile is a GPT image that was made longer by truncate(1).
func extendedFile(unit int64) []byte {
	return append(gptDisk(unit), make([]byte, 2<<20)...)
}

// changes are the cases of the tests below. Sizes and ends are in sectors of 512 bytes.
var changes = []struct {
	name  string
	image func(unit int64) []byte
	size  int64 // 0: as it was
	extra int64 // added to size, in sectors of the disk's own
	grow  int
	ends  map[int]int64 // ends of the partitions that change; -1: last aligned before the GPT's backup
	noop  bool
}{
	{name: "mbr larger", image: mbrPrimary, size: 16384},
	{name: "mbr larger and partition", image: mbrPrimary, size: 16384, grow: 2, ends: map[int]int64{2: 16384}},
	{name: "mbr odd size", image: mbrPrimary, size: 16384 + 8, grow: 2, ends: map[int]int64{2: 16384 + 8}},
	{name: "mbr partition at the end", image: mbrPrimary, grow: 2, noop: true},
	{name: "mbr same", image: mbrPrimary, noop: true},
	{name: "mbr logical", image: mbrLogical, size: 16384, grow: 7, ends: map[int]int64{7: 16384}},
	{name: "mbr one logical", image: mbrOneLogical, size: 16384, grow: 5, ends: map[int]int64{5: 16384}},
	{name: "mbr one logical inside its container", image: mbrOneLogical, grow: 5, ends: map[int]int64{5: 8192}},
	{name: "gpt larger", image: gptDisk, size: 16384},
	{name: "gpt larger and partition", image: gptDisk, size: 16384, grow: 2, ends: map[int]int64{2: -1}},
	{name: "gpt partition alone", image: gptDisk, grow: 2, ends: map[int]int64{2: -1}},
	{name: "gpt one sector larger", image: gptDisk, size: gptEnd, extra: 1},
	{name: "gpt some sectors larger", image: gptDisk, size: gptEnd, extra: 20, grow: 2, ends: map[int]int64{2: -1}},
	{name: "gpt one sector smaller", image: gptDisk, size: gptEnd, extra: -1},
	{name: "gpt same", image: gptDisk, noop: true},
	{name: "gpt smaller", image: gptDisk, size: 8192},
	{name: "gpt smaller and partition", image: gptDisk, size: 9000, grow: 2, ends: map[int]int64{2: -1}},
	{name: "gpt numbers not in disk order", image: gptOddOrder, size: 16384, grow: 1, ends: map[int]int64{1: -1}},
	{name: "hybrid", image: hybridDisk, size: 16384, grow: 2, ends: map[int]int64{2: -1}},
	{name: "hybrid that spans the disk", image: hybridSpanning, size: 16384, grow: 2, ends: map[int]int64{2: -1}},
	{name: "hybrid that spans all", image: hybridEndless, size: 16384},
	{name: "gpt damaged primary", image: damagedPrimary, size: 16384, grow: 2, ends: map[int]int64{2: -1}},
	{name: "gpt damaged primary, smaller", image: damagedPrimary, size: 8192},
	{name: "gpt damaged entries", image: damagedEntries, size: 16384},
	{name: "gpt damaged primary, same", image: damagedPrimary},
	{name: "gpt damaged entries, same", image: damagedEntries},
	{name: "gpt lost backup", image: lostBackup, size: 16384},
	{name: "gpt lost backup, same", image: lostBackup},
	{name: "gpt made longer before, same", image: extendedFile},
	{name: "gpt made longer before, partition alone", image: extendedFile, grow: 2, ends: map[int]int64{2: -1}},
	{name: "gpt made longer before", image: extendedFile, size: 16384, grow: 2, ends: map[int]int64{2: -1}},
}

// eachChange runs f on each case with sectors of each size. The plan is worked out.
func eachChange(t *testing.T, f func(t *testing.T, unit int64, img []byte, p *Plan, want []Partition)) {
	for _, unit := range []int64{512, 4096} {
		for _, tt := range changes {
			t.Run(fmt.Sprintf("%s/%d", tt.name, unit), func(t *testing.T) {
				img := tt.image(unit)
				size := tt.size*512 + tt.extra*unit
				if size == 0 {
					size = int64(len(img))
				}
				p := mustPlan(t, img, unit, size, tt.grow)
				if p.Changes() == tt.noop {
					t.Errorf("Changes() = %v", p.Changes())
				}
				want := slices.Clone(p.Before.Partitions)
				for i := range want {
					if end, ok := tt.ends[want[i].Num]; ok {
						end *= 512
						if end < 0 {
							end = (size - 128*128 - unit) >> 20 << 20
						}
						want[i].Size = end - want[i].Start
					}
				}
				f(t, unit, img, p, want)
			})
		}
	}
}

func TestPlan(t *testing.T) {
	eachChange(t, func(t *testing.T, unit int64, img []byte, p *Plan, want []Partition) {
		d := newGrowDisk(testimg.NewPaged(img))
		if err := p.Apply(d); err != nil {
			t.Fatal(err)
		}
		table, err := ReadUnit(d, d.Size(), unit)
		if err != nil || table.FromBackup || !slices.Equal(table.Partitions, want) || !slices.Equal(p.After.Partitions, want) {
			t.Fatalf("got %+v, %v\nplanned %+v\nwant %+v", table, err, p.After, want)
		}
		if d.Size() != p.NewSize || p.OldSize != int64(len(img)) {
			t.Errorf("size %d, plan %d to %d", d.Size(), p.OldSize, p.NewSize)
		}
		now := d.Bytes()
		checkKept(t, unit, img, now)
		if table.Scheme == GPT && p.Changes() {
			checkGPT(t, unit, now)
		}
		syncs := 0
		for i, o := range d.ops {
			if o.sync {
				syncs++
			}
			if i == len(d.ops)-1 && !o.sync {
				t.Error("the last operation is not a sync")
			}
		}
		if syncs > 4 {
			t.Errorf("%d syncs", syncs)
		}
		if mustPlan(t, now, unit, p.NewSize, 0).Changes() {
			t.Error("the same size once more is a change")
		}
		for i, part := range want {
			if part != p.Before.Partitions[i] && mustPlan(t, now, unit, p.NewSize, part.Num).Changes() {
				t.Error("the same change once more does something")
			}
		}
	})
}

// checkKept requires that what does not depend on size stayed: boot code, disk id,
// GUIDs, attributes and names, other entries, and all data of the partitions.
func checkKept(t *testing.T, unit int64, before, now []byte) {
	t.Helper()
	if !bytes.Equal(before[:446], now[:446]) {
		t.Error("the boot code or the disk id changed")
	}
	table, err := ReadUnit(testimg.Mem(before), int64(len(before)), unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table.Partitions {
		if !bytes.Equal(before[p.Start:p.End()], now[p.Start:p.End()]) {
			t.Errorf("data of partition %d changed", p.Num)
		}
	}
	if table.Scheme != GPT {
		return
	}
	old, now2 := table.gpt, mustGPT(t, now, unit, 1)
	if !bytes.Equal(old.header[56:72], now2.header[56:72]) || !bytes.Equal(old.header[minHeaderSize:], now2.header[minHeaderSize:]) {
		t.Error("the disk GUID or reserved bytes changed")
	}
	for i := range old.header.entries() {
		a, b := old.entry(i), now2.entry(i)
		if !bytes.Equal(a[:40], b[:40]) || !bytes.Equal(a[48:], b[48:]) {
			t.Errorf("entry %d changed beyond its end", i+1)
		}
	}
	for i := range 4 {
		a, b := bootRecord(before[:512]).entry(i), bootRecord(now[:512]).entry(i)
		protective := a.typ() == typeGPT && a.start() == 1
		if !protective && !bytes.Equal(a, b) || !bytes.Equal(a[:5], b[:5]) || a.start() != b.start() {
			t.Errorf("MBR entry %d changed", i+1)
		}
	}
}

func mustGPT(t *testing.T, img []byte, unit int64, place uint64) *gpt {
	t.Helper()
	g, _, err := readGPT(testimg.Mem(img), int64(len(img)), unit, place)
	if err != nil {
		t.Fatalf("header at %d: %v", place, err)
	}
	return g
}

// checkGPT requires both headers to be right for the size of the disk.
func checkGPT(t *testing.T, unit int64, img []byte) {
	t.Helper()
	last := int64(len(img))/unit - 1
	a, b := mustGPT(t, img, unit, 1), mustGPT(t, img, unit, uint64(last))
	if a.header.alternate() != uint64(last) || b.header.alternate() != 1 || !bytes.Equal(a.array, b.array) {
		t.Error("the headers do not belong together")
	}
	for _, g := range []*gpt{a, b} {
		if g.header.lastUsable() != last-1-a.arraySectors() {
			t.Errorf("last usable sector %d of %d", g.header.lastUsable(), last)
		}
	}
	mbr, want := bootRecord(img[:512]), last
	if mbr.entry(1).typ() == typeGPT { // hybridDisk's, which does not span the disk, stays as it is
		want = hybridCount
	}
	for i := range 4 {
		if e := mbr.entry(i); e.typ() == typeGPT && e.start() == 1 && e.count() != want {
			t.Errorf("protective entry of %d sectors, want %d", e.count(), want)
		}
	}
}

// states runs f on what a cut after each operation leaves.
func states(t *testing.T, start *testimg.Paged, ops []diskOp, seed uint64, f func(n int, state *testimg.Paged)) {
	t.Helper()
	for n := range len(ops) + 1 {
		f(n, after(t, start, ops, n, seed))
	}
}

// checkContained requires logical partitions to lie in their extended one, and all
// partitions on the disk.
func checkContained(t *testing.T, table *Table, size int64) {
	t.Helper()
	for _, p := range table.Partitions {
		if p.End() > size {
			t.Errorf("partition %d reaches past the end of the disk", p.Num)
		}
	}
	for _, l := range table.logicals {
		for _, p := range table.primaries {
			if p.entry == l.parents[0] && l.end() > p.end() {
				t.Errorf("partition %d reaches out of partition %d", l.num, p.num)
			}
		}
	}
}

// A cut at any write leaves the old table or the new one. The primary GPT alone is
// enough for that unless it was damaged before: the kernel looks at nothing else.
func TestPlanCut(t *testing.T) {
	eachChange(t, func(t *testing.T, unit int64, img []byte, p *Plan, want []Partition) {
		start := testimg.NewPaged(img)
		d := newGrowDisk(start)
		if err := p.Apply(d); err != nil {
			t.Fatal(err)
		}
		states(t, start, d.ops, 0, func(n int, state *testimg.Paged) {
			table, err := ReadUnit(state, state.Size(), unit)
			if err != nil || !slices.Equal(table.Partitions, p.Before.Partitions) && !slices.Equal(table.Partitions, want) {
				t.Fatalf("cut after %d operations: %+v, %v", n, table, err)
			}
			if table.FromBackup && !p.Before.FromBackup {
				t.Errorf("cut after %d operations: the primary GPT is damaged", n)
			}
			checkContained(t, table, state.Size())
			if table.Scheme == GPT && !table.FromBackup && table.gpt.header.lastUsable() >= state.Size()/unit {
				t.Errorf("cut after %d operations: sectors up to %d of %d are usable", n, table.gpt.header.lastUsable(), state.Size()/unit)
			}
		})
	})
}

// The same on a disk that reorders and tears what was not synced; the backup may
// then be needed.
func TestPlanTorn(t *testing.T) {
	eachChange(t, func(t *testing.T, unit int64, img []byte, p *Plan, want []Partition) {
		start := testimg.NewPaged(img)
		d := newGrowDisk(start)
		if err := p.Apply(d); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(4) {
			states(t, start, d.ops, seed+1, func(n int, state *testimg.Paged) {
				table, err := ReadUnit(state, state.Size(), unit)
				if err != nil || !slices.Equal(table.Partitions, p.Before.Partitions) && !slices.Equal(table.Partitions, want) {
					t.Fatalf("torn after %d operations (seed %d): %+v, %v", n, seed, table, err)
				}
				checkContained(t, table, state.Size())
			})
		}
	})
}

// An operation that fails once is taken back whole. When nothing works any more the
// size is the old one unless the table is the new one.
func TestPlanFaults(t *testing.T) {
	eachChange(t, func(t *testing.T, unit int64, img []byte, p *Plan, want []Partition) {
		start := testimg.NewPaged(img)
		for _, once := range []bool{true, false} {
			for n, hit := 0, true; hit; n++ {
				d := newGrowDisk(start)
				d.failAt, d.once = n, once
				err := p.Apply(d)
				if hit = d.faulted; hit != (err != nil) {
					t.Fatalf("operation %d: hit = %v, error %v", n, hit, err)
				}
				if !hit {
					continue
				}
				size := d.Size()
				if once && !d.Equal(start) && size != p.NewSize {
					t.Errorf("operation %d failed once and left a change", n)
				}
				table, rerr := ReadUnit(d, size, unit)
				isOld := rerr == nil && slices.Equal(table.Partitions, p.Before.Partitions)
				isNew := rerr == nil && slices.Equal(table.Partitions, want)
				if !isOld && !isNew || size != p.OldSize && size != p.NewSize || once && p.NewSize > p.OldSize && size != p.OldSize {
					t.Errorf("operation %d failed (once: %v) and left size %d, %+v, %v", n, once, size, table, rerr)
				}
			}
		}
	})
}

func TestPlanErrors(t *testing.T) {
	followed := func(unit int64) []byte { // the container ends before the last primary
		return newMBR(unit, 8192, []part{{num: 3, start: 6000, count: 100, typ: 0x83}, {num: 1, start: 4096, count: 1024, typ: 0x05}},
			part{start: 4160, count: 100, typ: 0x83}, part{start: 4360, count: 100, typ: 0x83})
	}
	inside := newMBR(512, 8192, []part{{num: 1, start: 4096, count: 4000, typ: 0x05}}, part{start: 4160, count: 1000, typ: 0x83})
	setMBR(inside, 4096, 512, part{num: 2, start: 904, count: 1100, typ: 0x05}) // to a record at 5000, among the sectors of partition 5
	setMBR(inside, 5000, 512, part{num: 1, start: 1000, count: 100, typ: 0x83})
	damaged := mbrLogical(512)
	damaged[logicalAt*512+510] = 0
	cut := mbrPrimary(512)[:6000*512]
	among := gptDisk(512)
	array := among[40*512:][:128*128]
	copy(array, among[2*512:])
	gptHeader(among[512:1024]).setArrayLBA(40)
	gptHeader(among[512:1024]).seal(array)
	noRoom := damagedPrimary(512)
	backup := gptHeader(noRoom[len(noRoom)-512:])
	le.PutUint64(backup[40:], 20)
	backup.seal(array)
	overlap := newMBR(512, 8192, []part{{num: 1, start: 4096, count: 1024, typ: 0x0c}, {num: 3, start: 2048, count: 2049, typ: 0x83}})
	for name, tt := range map[string]struct {
		img        []byte
		unit, size int64 // size in sectors
		grow       int
		want       string
	}{
		"mbr no such":                  {mbrPrimary(512), 512, 9000, 7, "no partition 7 (the image has 1, 2)"},
		"gpt no such":                  {gptDisk(512), 512, 20000, 3, "no partition 3 (the image has 1, 2)"},
		"mbr empty":                    {newMBR(512, 64, nil), 512, 128, 1, "no partition 1 (the image has none)"},
		"extended itself":              {mbrLogical(512), 512, 9000, 2, "no partition 2 (the image has 1, 5, 6, 7)"},
		"mbr followed":                 {mbrPrimary(512), 512, 9000, 1, "partition 1 cannot grow: partition 2 comes after it"},
		"extended followed":            {mbrLogical(512), 512, 9000, 1, "partition 1 cannot grow: partition 2 comes after it"},
		"logical followed":             {mbrLogical(512), 512, 9000, 5, "partition 5 cannot grow: partition 6 comes after it"},
		"extended followed by another": {followed(512), 512, 9000, 6, "partition 6 cannot grow: partition 3 comes after it"},
		"gpt followed":                 {gptDisk(512), 512, 20000, 1, "partition 1 cannot grow: partition 2 comes after it"},
		"mbr 2 TiB":                    {mbrPrimary(512), 512, 1<<32 + 1, 2, "partition 2 cannot grow to 2199023256064 bytes: an MBR reaches 2199023255552 bytes and no further"},
		"mbr 16 TiB":                   {mbrPrimary(4096), 4096, 1<<32 + 1, 2, "partition 2 cannot grow to 17592186048512 bytes: an MBR reaches 17592186044416 bytes and no further"},
		"mbr cut":                      {cut, 512, 7000, 2, "partition 2 ends at byte 4194304, but the image has only 3072000: copy it again, or grow it to at least 4194304 bytes"},
		"mbr cut, same size":           {cut, 512, 6000, 2, "partition 2 ends at byte 4194304, but the image has only 3072000: copy it again, or grow it to at least 4194304 bytes"},
		"mbr cut, smaller":             {cut, 512, 5000, 0, "partition 2 ends at byte 4194304, but the image has only 3072000: copy it again, or grow it to at least 4194304 bytes"},
		"mbr smaller":                  {mbrPrimary(512), 512, 8191, 0, "the image cannot be smaller than 4194304 bytes: partition 2 ends there"},
		"extended smaller":             {mbrOneLogical(512), 512, 8191, 0, "the image cannot be smaller than 4194304 bytes: an extended partition ends there"},
		"gpt smaller":                  {gptDisk(512), 512, 6144 + 32, 0, "the image cannot be smaller than 3162624 bytes: partition 2 and the backup of the table end there"},
		"gpt smaller, 4096":            {gptDisk(4096), 4096, 768 + 4, 0, "the image cannot be smaller than 3166208 bytes: partition 2 and the backup of the table end there"},
		"empty table smaller":          {newMBR(512, 64, nil), 512, 0, 0, "the image cannot be smaller than 512 bytes: that is what the partition table needs"},
		"gpt cut":                      {gptDisk(512)[:5000*512], 512, 6000, 0, "partition 2 ends at byte 3145728, but the image has only 2560000: copy it again, or grow it to at least 3162624 bytes"},
		"gpt cut, no backup":           {gptDisk(512)[:5000*512], 512, 6150, 0, "partition 2 would overlap the backup of the partition table: the image needs 3162624 bytes"},
		"gpt without room at its start": {noRoom, 512, 20480, 0,
			"damaged partition table: the first copy of the GPT, and there is no room to write it anew from the backup (at byte 512)"},
		"gpt too small":          {newGPT(512, 100, 128)[:40*512], 512, 50, 0, "the image is too small for the backup of its partition table"},
		"gpt entries in the way": {among, 512, 20480, 2, "damaged partition table: the GPT entries are among the partitions (at byte 512)"},
		"mbr overlap":            {overlap, 512, 9000, 0, "partitions 3 and 1 overlap: correct the table with sfdisk first"},
		"record inside, 6":       {inside, 512, 9000, 6, "the boot record of a logical partition is inside partition 5: correct the table with sfdisk first"},
		"record inside, none":    {inside, 512, 9000, 0, ""},
		"damaged logical record": {damaged, 512, 9000, 0, "damaged partition table: the boot record of a logical partition has no signature (at byte 2097152)"},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := ReadUnit(testimg.Mem(tt.img), int64(len(tt.img)), tt.unit)
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewPlan(testimg.Mem(tt.img), int64(len(tt.img)), table, tt.size*tt.unit, tt.grow)
			if p != nil && err != nil || errText(err) != tt.want {
				t.Errorf("NewPlan = %q, want %q", errText(err), tt.want)
			}
		})
	}
}

// An image that ends inside its last partitions grows if all of them are covered then;
// whenever that stops, the table is the old one or the new one.
func TestPlanOfCutImage(t *testing.T) {
	for name, tt := range map[string]struct {
		img       []byte
		has, size int64 // in sectors of 512 bytes
		grow      int
		cut       []int
		end       int64 // of the last partition then
	}{
		"mbr":                      {img: mbrPrimary(512), has: 6000, size: 8192, cut: []int{2}, end: 8192},
		"mbr, partition":           {img: mbrPrimary(512), has: 6000, size: 9000, grow: 2, cut: []int{2}, end: 9000},
		"mbr, both":                {img: mbrPrimary(512), has: 2500, size: 9000, cut: []int{1, 2}, end: 8192},
		"mbr, nothing of the last": {img: mbrPrimary(512), has: 3072, size: 8192, cut: []int{2}, end: 8192},
		"mbr, logical":             {img: mbrLogical(512), has: 7900, size: 9000, grow: 7, cut: []int{7}, end: 9000},
		"gpt":                      {img: gptDisk(512), has: 5000, size: 6144 + 33, cut: []int{2}, end: 6144},
		"gpt, partition":           {img: gptDisk(512), has: 5000, size: 16384, grow: 2, cut: []int{2}, end: 14336},
	} {
		t.Run(name, func(t *testing.T) {
			img := tt.img[:tt.has*512]
			p := mustPlan(t, img, 512, tt.size*512, tt.grow)
			var cut []int
			for _, c := range p.Cut {
				cut = append(cut, c.Num)
			}
			if !slices.Equal(cut, tt.cut) {
				t.Errorf("cut partitions %v, want %v", cut, tt.cut)
			}
			start := testimg.NewPaged(img)
			d := newGrowDisk(start)
			if err := p.Apply(d); err != nil {
				t.Fatal(err)
			}
			now := d.Bytes()
			table := mustRead(t, now)
			if last, _ := table.last(); last.End() != tt.end*512 || int64(len(now)) != tt.size*512 {
				t.Errorf("%d bytes, partitions %+v; want an end at %d", len(now), table.Partitions, tt.end*512)
			}
			for _, p := range p.Before.Partitions {
				if end := min(p.End(), int64(len(img))); p.Start < end && !bytes.Equal(now[p.Start:end], img[p.Start:end]) {
					t.Errorf("what was left of partition %d changed", p.Num)
				}
			}
			states(t, start, d.ops, 0, func(n int, state *testimg.Paged) {
				got, err := Read(state, state.Size())
				if err != nil || got.Damage != nil ||
					!slices.Equal(got.Partitions, p.Before.Partitions) && !slices.Equal(got.Partitions, table.Partitions) {
					t.Errorf("cut after %d operations: %+v, %v", n, got, err)
				}
			})
		})
	}
}

// mustRead reads the table of a disk with sectors of 512 bytes.
func mustRead(t *testing.T, img []byte) *Table {
	t.Helper()
	table, err := Read(testimg.Mem(img), int64(len(img)))
	if err != nil || table.Damage != nil {
		t.Fatalf("table %+v, error %v", table, err)
	}
	return table
}

// A partition that starts at sector 0 may hold others, as on a CD that is a disk as well.
func TestPlanNested(t *testing.T) {
	nested := newMBR(512, 4096, []part{{num: 1, start: 0, count: 4096, typ: 0x17}, {num: 2, start: 512, count: 1024, typ: 0xef}})
	for grow, want := range map[int]string{
		0: "", 1: "", 2: "partition 2 cannot grow: partition 1 comes after it",
	} {
		p, err := NewPlan(testimg.Mem(nested), int64(len(nested)), mustRead(t, nested), 8192*512, grow)
		if errText(err) != want {
			t.Errorf("NewPlan of partition %d = %v, want %q", grow, err, want)
		}
		if err != nil {
			continue
		}
		d := newGrowDisk(testimg.NewPaged(nested))
		if err := p.Apply(d); err != nil {
			t.Fatal(err)
		}
		first, _ := mustRead(t, d.Bytes()).Find(1)
		if size := map[int]int64{0: 4096, 1: 8192}[grow]; first.Start != 0 || first.Size != size*512 {
			t.Errorf("growing %d: partition 1 is %+v", grow, first)
		}
	}
}

// A GPT that cannot have its backup at the end stays as it is while its size stays.
func TestPlanNoRoomForBackup(t *testing.T) {
	for name, img := range map[string][]byte{
		"cut":                          gptDisk(512)[:5000*512],
		"cut after the last partition": gptDisk(512)[:6144*512],
	} {
		p := mustPlan(t, img, 512, int64(len(img)), 0)
		if want := "at byte 3162624, past the end of the image"; p.Changes() || p.NoRoom != want {
			t.Errorf("%s: the plan changes something (%v), or says %q, not %q", name, p.Changes(), p.NoRoom, want)
		}
	}
}

// The limits themselves are allowed.
func TestPlanLimits(t *testing.T) {
	p := mustPlan(t, mbrPrimary(512), 512, 2<<40, 2)
	if got, _ := p.After.Find(2); got.End() != 2<<40 {
		t.Errorf("an MBR partition up to 2 TiB ends at %d", got.End())
	}
	p = mustPlan(t, gptDisk(512), 512, 3<<40, 2)
	if got, _ := p.After.Find(2); got.End() != 3<<40-1<<20 {
		t.Errorf("a GPT partition in 3 TiB ends at %d", got.End())
	}
	for _, unit := range []int64{512, 4096} {
		img := gptDisk(unit)
		least := 6144*512 + 128*128 + unit
		p = mustPlan(t, img, unit, least, 0)
		d := newGrowDisk(testimg.NewPaged(img))
		if err := p.Apply(d); err != nil {
			t.Fatal(err)
		}
		checkGPT(t, unit, d.Bytes())
	}
	p = mustPlan(t, mbrPrimary(512), 512, 8192*512, 0)
	if p.Changes() || p.NoRoom != "" {
		t.Error("the smallest size of an MBR disk that has it is a change")
	}
}

// A protective entry cannot span more than 32 bits of sectors.
func TestPlanProtectiveLimit(t *testing.T) {
	img := gptDisk(512)
	p := mustPlan(t, img, 512, 3<<40, 0)
	for _, o := range p.ops {
		if o.kind == opWrite && o.off == 0 {
			if n := bootRecord(o.data).entry(0).count(); n != 1<<32-1 {
				t.Errorf("protective entry of %d sectors", n)
			}
			return
		}
	}
	t.Error("the protective entry stays as it is")
}

// Without a table only the size changes.
func TestPlanWithoutTable(t *testing.T) {
	for _, size := range []int64{4096, 512} {
		p, err := NewPlan(make(testimg.Mem, 1024), 1024, nil, size, 0)
		if err != nil {
			t.Fatal(err)
		}
		d := newGrowDisk(testimg.NewPaged(make([]byte, 1024)))
		if err := p.Apply(d); err != nil || d.Size() != size {
			t.Errorf("size %d, %v; want %d", d.Size(), err, size)
		}
	}
}

// sfdisk reads every state that a cut can leave as the old table or the new one.
func TestPlanCutPeer(t *testing.T) {
	testimg.NeedPeer(t, "sfdisk")
	dump := func(img []byte) string {
		path := filepath.Join(t.TempDir(), "d.img")
		if err := testimg.WriteSparse(path, img); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sfdisk", "--dump", path).Output()
		if err != nil {
			t.Fatalf("sfdisk: %v", err)
		}
		var entries []string
		for line := range strings.Lines(string(out)) {
			if _, entry, ok := strings.Cut(line, " : "); ok && !strings.Contains(line, "type=5") && !strings.Contains(line, "type=f") {
				entries = append(entries, entry)
			}
		}
		return strings.Join(entries, "")
	}
	eachChange(t, func(t *testing.T, unit int64, img []byte, p *Plan, _ []Partition) {
		if unit != 512 {
			t.Skip("sfdisk reads images with 512-byte sectors")
		}
		start := testimg.NewPaged(img)
		d := newGrowDisk(start)
		if err := p.Apply(d); err != nil {
			t.Fatal(err)
		}
		old, last := dump(img), dump(d.Bytes())
		if old == "" || last == "" {
			t.Fatalf("sfdisk finds no partitions before or after\nbefore:\n%s\nafter:\n%s", old, last)
		}
		states(t, start, d.ops, 0, func(n int, state *testimg.Paged) {
			if got := dump(state.Bytes()); got != old && got != last {
				t.Errorf("cut after %d operations: sfdisk reads\n%snot\n%snor\n%s", n, got, old, last)
			}
		})
	})
}
