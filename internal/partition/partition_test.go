// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestReadMBR(t *testing.T) {
	pi := []part{{num: 1, start: 64, count: 64, typ: 0x0c}, {num: 2, start: 128, count: 100, typ: 0x83}}
	for name, tt := range map[string]struct {
		disk testimg.Mem
		unit int64
		want []Partition
	}{
		"primaries": {newMBR(512, 256, pi), 512, []Partition{
			{Num: 1, Start: 64 * 512, Size: 64 * 512, Type: "0c"},
			{Num: 2, Start: 128 * 512, Size: 100 * 512, Type: "83"},
		}},
		"4096": {newMBR(4096, 256, pi), 4096, []Partition{
			{Num: 1, Start: 64 * 4096, Size: 64 * 4096, Type: "0c"},
			{Num: 2, Start: 128 * 4096, Size: 100 * 4096, Type: "83"},
		}},
		"gap, type zero and past the end": {newMBR(512, 256, []part{
			{num: 2, start: 1, count: 9, typ: 0}, {num: 4, start: 4000000000, count: 4000000000, typ: 0x0b},
		}), 512, []Partition{
			{Num: 2, Start: 512, Size: 9 * 512, Type: "00"},
			{Num: 4, Start: 4000000000 * 512, Size: 4000000000 * 512, Type: "0b"},
		}},
		"logical": {newMBR(512, 256, []part{pi[0], {num: 4, start: 128, count: 100, typ: 0x05}},
			part{start: 130, count: 10, typ: 0x83}, part{start: 150, count: 10, typ: 0x82}, part{start: 170, count: 10, typ: 0x0c},
		), 512, []Partition{
			{Num: 1, Start: 64 * 512, Size: 64 * 512, Type: "0c"},
			{Num: 5, Start: 130 * 512, Size: 10 * 512, Type: "83"},
			{Num: 6, Start: 150 * 512, Size: 10 * 512, Type: "82"},
			{Num: 7, Start: 170 * 512, Size: 10 * 512, Type: "0c"},
		}},
		"extended 0f": {newMBR(512, 256, []part{{num: 1, start: 128, count: 100, typ: 0x0f}}, part{start: 130, count: 10, typ: 0x83}),
			512, []Partition{{Num: 5, Start: 130 * 512, Size: 10 * 512, Type: "83"}}},
		"extended 85": {newMBR(512, 256, []part{{num: 1, start: 128, count: 100, typ: 0x85}}, part{start: 130, count: 10, typ: 0x83}),
			512, []Partition{{Num: 5, Start: 130 * 512, Size: 10 * 512, Type: "83"}}},
		"extended, never filled": {newMBR(512, 256, []part{{num: 1, start: 128, count: 100, typ: 0x05}}), 512, nil},
		"no entries":             {newMBR(512, 256, nil), 512, nil},
		"starts at sector 0": {newMBR(512, 256, []part{{num: 1, start: 0, count: 256, typ: 0x17}, {num: 2, start: 8, count: 8, typ: 0xef}}), 512, []Partition{
			{Num: 1, Start: 0, Size: 256 * 512, Type: "17"},
			{Num: 2, Start: 8 * 512, Size: 8 * 512, Type: "ef"},
		}},
		"extended at sector 0": {newMBR(512, 256, []part{{num: 1, start: 0, count: 256, typ: 0x05}}), 512, nil},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := ReadUnit(tt.disk, int64(len(tt.disk)), tt.unit)
			if err != nil || table.Damage != nil {
				t.Fatalf("error %v, table %+v", err, table)
			}
			if table.Scheme != MBR || table.SectorSize != tt.unit || !slices.Equal(table.Partitions, tt.want) {
				t.Errorf("got %v, %d-byte sectors, %+v; want %+v", table.Scheme, table.SectorSize, table.Partitions, tt.want)
			}
		})
	}
}

func TestReadNoTable(t *testing.T) {
	text := newMBR(512, 8, nil)
	copy(text[entriesOffset:], "Remove disks or other media.")
	for name, disk := range map[string]testimg.Mem{
		"empty":                   {},
		"shorter than a sector":   make(testimg.Mem, 511),
		"zero":                    make(testimg.Mem, 4096),
		"boot sector with a text": text,
	} {
		if table, err := Read(disk, int64(len(disk))); !errors.Is(err, ErrNoTable) {
			t.Errorf("%s: %+v, %v; want ErrNoTable", name, table, err)
		}
	}
}

// A damaged chain of logical partitions keeps what comes before the damage.
func TestReadDamagedChain(t *testing.T) {
	disk := func() testimg.Mem {
		return newMBR(512, 256, []part{{num: 1, start: 8, count: 8, typ: 0x0c}, {num: 2, start: 100, count: 100, typ: 0x05}},
			part{start: 110, count: 10, typ: 0x83}, part{start: 130, count: 10, typ: 0x83})
	}
	second := int64(129)
	for name, tt := range map[string]struct {
		damage func(testimg.Mem)
		nums   []int
		want   string
	}{
		"loop to itself": {func(d testimg.Mem) { setMBR(d, second, 512, part{num: 2, start: 29, count: 9, typ: 5}) }, []int{1, 5, 6},
			"damaged partition table: the chain of logical partitions is a loop (at byte 66048)"},
		"loop to the first": {func(d testimg.Mem) { setMBR(d, second, 512, part{num: 2, start: 0, count: 9, typ: 5}) }, []int{1, 5, 6},
			"damaged partition table: the chain of logical partitions is a loop (at byte 51200)"},
		"outside the container": {func(d testimg.Mem) { setMBR(d, 100, 512, part{num: 2, start: 100, count: 9, typ: 5}) }, []int{1, 5},
			"damaged partition table: a logical partition is outside extended partition 2 (at byte 102400)"},
		"past the disk": {func(d testimg.Mem) {
			setMBR(d, 0, 512, part{num: 2, start: 100, count: 4000000000, typ: 5})
			setMBR(d, 100, 512, part{num: 2, start: 3000000000, count: 9, typ: 5})
		}, []int{1, 5}, "damaged partition table: the boot record of a logical partition is past the end of the disk (at byte 1536000051200)"},
		"no signature":       {func(d testimg.Mem) { d[second*512+510] = 0 }, []int{1, 5}, "damaged partition table: the boot record of a logical partition has no signature (at byte 66048)"},
		"no first signature": {func(d testimg.Mem) { d[100*512+510] = 0 }, []int{1}, "damaged partition table: the boot record of a logical partition has no signature (at byte 51200)"},
	} {
		t.Run(name, func(t *testing.T) {
			d := disk()
			tt.damage(d)
			table, err := Read(d, int64(len(d)))
			if err != nil {
				t.Fatal(err)
			}
			var nums []int
			for _, p := range table.Partitions {
				nums = append(nums, p.Num)
			}
			if !slices.Equal(nums, tt.nums) || errText(table.Damage) != tt.want || !errors.Is(table.Damage, ErrCorrupt) {
				t.Errorf("partitions %v, damage %q; want %v, %q", nums, errText(table.Damage), tt.nums, tt.want)
			}
		})
	}
}

// A chain as long as a hostile disk likes ends at the limit.
func TestReadEndlessChain(t *testing.T) {
	const count = maxLogicals + 50
	disk := newMBR(512, 2*count+100, []part{{num: 1, start: 10, count: 2*count + 50, typ: 5}})
	for i := int64(0); i < count; i++ {
		setMBR(disk, 10+2*i, 512, part{num: 1, start: 1, count: 1, typ: 0x83}, part{num: 2, start: 2 * (i + 1), count: 2, typ: 5})
	}
	table, err := Read(disk, int64(len(disk)))
	if err != nil || len(table.Partitions) != maxLogicals || !errors.Is(table.Damage, ErrCorrupt) {
		t.Errorf("%d partitions, damage %v, error %v", len(table.Partitions), table.Damage, err)
	}
}

var gptParts = []part{
	{num: 1, start: 100, count: 50, typ: 0xef, name: "boot"},
	{num: 3, start: 200, count: 100, typ: 0x83, name: "writable ü𝄞"},
}

func wantGPT(unit int64) []Partition {
	return []Partition{
		{Num: 1, Start: 100 * unit, Size: 50 * unit, Type: espGUID, Name: "boot"},
		{Num: 3, Start: 200 * unit, Size: 100 * unit, Type: linuxGUID, Name: "writable ü𝄞"},
	}
}

func TestReadGPT(t *testing.T) {
	hybrid := func(unit int64) testimg.Mem {
		d := newGPT(unit, 1024, 128, gptParts...)
		setMBR(d, 0, unit, part{num: 1, start: 100, count: 50, typ: 0x0c}, part{num: 2, start: 1, count: 99, typ: typeGPT})
		return d
	}
	for name, tt := range map[string]struct {
		unit, entrySize int64
		disk            testimg.Mem
		damage          func(d testimg.Mem, unit int64)
		backup          bool
	}{
		"512":                       {unit: 512, entrySize: 128},
		"4096":                      {unit: 4096, entrySize: 128},
		"large entries":             {unit: 512, entrySize: 256},
		"larger entries":            {unit: 512, entrySize: 512},
		"hybrid":                    {unit: 512, disk: hybrid(512)},
		"hybrid 4096":               {unit: 4096, disk: hybrid(4096)},
		"primary header damaged":    {unit: 512, entrySize: 128, damage: func(d testimg.Mem, unit int64) { d[unit+40]++ }, backup: true},
		"primary header gone":       {unit: 4096, entrySize: 128, damage: func(d testimg.Mem, unit int64) { clear(d[unit : 2*unit]) }, backup: true},
		"primary entries damaged":   {unit: 512, entrySize: 128, damage: func(d testimg.Mem, unit int64) { d[2*unit+40]++ }, backup: true},
		"backup damaged":            {unit: 512, entrySize: 128, damage: func(d testimg.Mem, unit int64) { d[len(d)-1] = 1; d[1023*unit+40]++ }},
		"flag of the MBR is absurd": {unit: 512, entrySize: 128, damage: func(d testimg.Mem, _ int64) { d[entriesOffset] = 7 }},
	} {
		t.Run(name, func(t *testing.T) {
			disk := tt.disk
			if disk == nil {
				disk = newGPT(tt.unit, 1024, tt.entrySize, gptParts...)
			}
			if tt.damage != nil {
				tt.damage(disk, tt.unit)
			}
			table, err := Read(disk, int64(len(disk)))
			if err != nil || table.Damage != nil {
				t.Fatalf("error %v, table %+v", err, table)
			}
			if table.Scheme != GPT || table.SectorSize != tt.unit || table.FromBackup != tt.backup || !slices.Equal(table.Partitions, wantGPT(tt.unit)) {
				t.Errorf("got %+v; want %+v", table, wantGPT(tt.unit))
			}
		})
	}
}

// An image that was made longer still has its backup where the primary says.
func TestReadGPTBackupBeforeTheEnd(t *testing.T) {
	disk := append(newGPT(512, 1024, 128, gptParts...), make([]byte, 1<<20)...)
	disk[2*512]++
	table, err := Read(disk, int64(len(disk)))
	if err != nil || !table.FromBackup || !slices.Equal(table.Partitions, wantGPT(512)) {
		t.Errorf("got %+v, %v", table, err)
	}
}

// A table may take 1 MiB, whatever the size of its entries.
func TestReadLargeGPT(t *testing.T) {
	for _, size := range []int64{128, 256, 4096} {
		last := 1<<20/size - 1 // partition number of the entry before the last
		disk := newGPTOf(1<<20/size, 512, 8192, size, part{num: int(last), start: 4000, count: 50, typ: 0x83})
		table, err := Read(disk, int64(len(disk)))
		want := []Partition{{Num: int(last), Start: 4000 * 512, Size: 50 * 512, Type: linuxGUID}}
		if err != nil || !slices.Equal(table.Partitions, want) {
			t.Errorf("entries of %d bytes: %+v, %v", size, table, err)
		}
	}
}

// A truncated image keeps its primary table.
func TestReadGPTTruncated(t *testing.T) {
	disk := newGPT(512, 1024, 128, gptParts...)[:120*512]
	table, err := Read(disk, int64(len(disk)))
	if err != nil || !slices.Equal(table.Partitions, wantGPT(512)) {
		t.Errorf("got %+v, %v", table, err)
	}
}

// A real MBR in front of a stale GPT is an MBR.
func TestReadStaleGPT(t *testing.T) {
	disk := newGPT(512, 1024, 128, gptParts...)
	setMBR(disk, 0, 512, part{num: 1, start: 64, count: 64, typ: 0x0c})
	table, err := Read(disk, int64(len(disk)))
	want := []Partition{{Num: 1, Start: 64 * 512, Size: 64 * 512, Type: "0c"}}
	if err != nil || table.Scheme != MBR || !slices.Equal(table.Partitions, want) {
		t.Errorf("got %+v, %v", table, err)
	}
}

func TestReadDamagedGPT(t *testing.T) {
	const unit = 512
	// both changes the headers and, if seal is set, makes their checksums right again.
	both := func(seal bool, change func(h gptHeader)) func(testimg.Mem) {
		return func(d testimg.Mem) {
			for _, lba := range []int64{1, 1023} {
				h := gptHeader(d[lba*unit:][:unit])
				change(h)
				if seal {
					le.PutUint32(h[16:], h.sum())
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		damage func(testimg.Mem)
		want   string
	}{
		"no headers": {func(d testimg.Mem) { clear(d[unit : 2*unit]); clear(d[1023*unit:]) },
			"damaged partition table: the first sector says that a GPT follows, but neither that nor its backup is there: is the image whole? (at byte 512)"},
		"header checksums": {both(false, func(h gptHeader) { h[60]++ }),
			"damaged partition table: the checksum of the GPT header does not match, and there is no whole backup (at byte 512)"},
		"header size": {both(false, func(h gptHeader) { le.PutUint32(h[12:], 4000000000) }),
			"damaged partition table: the GPT header has a size of 4000000000 bytes, and there is no whole backup (at byte 512)"},
		"header place": {both(true, func(h gptHeader) { h.setMyLBA(77) }),
			"damaged partition table: the GPT header is not where it says it is, and there is no whole backup (at byte 512)"},
		"usable sectors": {both(true, func(h gptHeader) { le.PutUint64(h[40:], 1000) }),
			"damaged partition table: the GPT header has sectors 1000 to 990 for partitions, and there is no whole backup (at byte 512)"},
		"entry size zero": {both(true, func(h gptHeader) { le.PutUint32(h[84:], 0) }),
			"damaged partition table: the GPT header has entries of 0 bytes, and there is no whole backup (at byte 512)"},
		"entry size small": {both(true, func(h gptHeader) { le.PutUint32(h[84:], 64) }),
			"damaged partition table: the GPT header has entries of 64 bytes, and there is no whole backup (at byte 512)"},
		"entry size odd": {both(true, func(h gptHeader) { le.PutUint32(h[84:], 384) }),
			"damaged partition table: the GPT header has entries of 384 bytes, and there is no whole backup (at byte 512)"},
		"number of entries": {both(true, func(h gptHeader) { le.PutUint32(h[80:], 4000000000) }),
			"damaged partition table: the GPT header has 4000000000 entries, and there is no whole backup (at byte 512)"},
		"entries times size overflow": {both(true, func(h gptHeader) { le.PutUint32(h[80:], 1<<31); le.PutUint32(h[84:], 1<<31) }),
			"damaged partition table: the GPT header has 2147483648 entries, and there is no whole backup (at byte 512)"},
		"entries past the disk": {both(true, func(h gptHeader) { le.PutUint64(h[72:], 1<<63) }),
			"damaged partition table: the GPT entries are outside the disk, and there is no whole backup (at byte 524288)"},
		"entries past the end": {both(true, func(h gptHeader) { le.PutUint64(h[72:], 1000) }),
			"damaged partition table: the GPT entries are outside the disk, and there is no whole backup (at byte 512000)"},
		"entry checksums": {func(d testimg.Mem) { d[2*unit]++; d[(1023-32)*unit]++ },
			"damaged partition table: the checksum of the GPT entries does not match, and there is no whole backup (at byte 1024)"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newGPT(unit, 1024, 128, gptParts...)
			tt.damage(d)
			table, err := Read(d, int64(len(d)))
			if table != nil || errText(err) != tt.want || !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %+v, error %q; want %q", table, errText(err), tt.want)
			}
		})
	}
}

// The third and fourth entry of a boot record of a logical partition count, as for Linux, where they are inside
// the extended partition.
func TestReadFurtherLogical(t *testing.T) {
	img := newMBR(512, 8192, nil)
	setMBR(img, 0, 512, part{num: 1, start: 2048, count: 4096, typ: 0x05})
	setMBR(img, 2048, 512, part{num: 1, start: 1, count: 1023, typ: 0x83}, part{num: 3, start: 1024, count: 3072, typ: 0x83},
		part{num: 4, start: 3072, count: 1025, typ: 0x83})
	table, err := Read(img, int64(len(img)))
	if err != nil || table.Damage != nil || len(table.Partitions) != 2 {
		t.Fatalf("got %+v, %v", table, err)
	}
	for i, start := range []int64{2049, 3072} {
		if p := table.Partitions[i]; p.Num != 5+i || p.Start != start*512 {
			t.Errorf("got %+v, want partition %d at sector %d", p, 5+i, start)
		}
	}
}

// The link to the next logical partition may stand before the partition itself.
func TestReadLinkFirst(t *testing.T) {
	img := newMBR(512, 8192, nil)
	setMBR(img, 0, 512, part{num: 1, start: 2048, count: 4096, typ: 0x0f})
	setMBR(img, 2048, 512, part{num: 1, start: 3000, count: 100, typ: 0x05}, part{num: 2, start: 1, count: 50, typ: 0x83})
	setMBR(img, 5048, 512, part{num: 1, start: 1, count: 50, typ: 0x83})
	table, err := Read(img, int64(len(img)))
	if err != nil || len(table.Partitions) != 2 || table.Partitions[0].Start != 2049*512 || table.Partitions[1].Start != 5049*512 {
		t.Errorf("got %+v, %v", table, err)
	}
}

// An error does not list partitions without end.
func TestMissing(t *testing.T) {
	var parts []part
	for num := range 22 {
		parts = append(parts, part{num: num + 1, start: 2048 + 8*int64(num), count: 8, typ: 0x83})
	}
	img := newGPT(512, 4096, 128, parts...)
	table, err := Read(img, int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	const want = "no partition 99 (the image has 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, ...)"
	if got := errText(table.Missing(99)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A damaged entry does not hide its neighbours.
func TestReadDamagedGPTEntry(t *testing.T) {
	for name, p := range map[string]part{
		"ends before it starts": {num: 2, start: 500, count: -5},
		"beyond any disk":       {num: 2, start: 500, count: 1 << 61},
	} {
		d := newGPT(512, 1024, 128, append(slices.Clone(gptParts), p)...)
		table, err := Read(d, int64(len(d)))
		if err != nil || !slices.Equal(table.Partitions, wantGPT(512)) || !errors.Is(table.Damage, ErrCorrupt) {
			t.Errorf("%s: got %+v, %v", name, table, err)
		}
		if !strings.Contains(errText(table.Damage), "GPT entry 2 reaches from sector 500 to") {
			t.Errorf("%s: damage %v", name, table.Damage)
		}
	}
}

// failing is a disk that cannot be read.
type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestReadError(t *testing.T) {
	if _, err := Read(failing{}, 1<<20); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Read = %v, want the disk's error", err)
	}
	shrunk := newGPT(512, 1024, 128)
	if _, err := Read(shrunk[:600], int64(len(shrunk))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read of a disk that shrank = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestHoldsSystem(t *testing.T) {
	types := map[string]bool{"83": true, "fd": true, "85": true, linuxGUID: true}
	for _, typ := range []string{
		"00", "82", "ef", "01", "04", "06", "0b", "0c", "0e", "11", "14", "16", "1b", "1c", "1e",
		espGUID,
		"EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", // basic data
		"E3C9E316-0B5C-4DB8-817D-F92DF00215AE", // Microsoft reserved
		"21686148-6449-6E6F-744E-656564454649", // BIOS boot
		"0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", // swap
	} {
		types[typ] = false
	}
	for typ, want := range types {
		if got := (Partition{Type: typ}).HoldsSystem(); got != want {
			t.Errorf("HoldsSystem of %s = %v", typ, got)
		}
	}
}

// FuzzRead: no input panics, hangs or changes the disk, what is read is sane, and a
// plan for it does what it says. With seal the checksums of a GPT are made right first.
func FuzzRead(f *testing.F) {
	pi := []part{{num: 1, start: 2, count: 2, typ: 0x0c}, {num: 2, start: 4, count: 8, typ: 0x05}}
	seeds := [][]byte{
		newMBR(512, 12, pi, part{start: 5, count: 2, typ: 0x83}, part{start: 8, count: 2, typ: 0x83}),
		newMBR(4096, 4, pi[:1]),
		newGPTOf(4, 512, 10, 128, part{num: 1, start: 3, count: 2, typ: 0xef, name: "a"}, part{num: 2, start: 5, count: 1, typ: 0x83}),
		newGPTOf(2, 512, 10, 256, part{num: 2, start: 3, count: 2, typ: 0x83}),
		newGPTOf(4, 4096, 8, 128, part{num: 1, start: 3, count: 2, typ: 0x83}),
		make([]byte, 512),
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for i, s := range seeds {
		f.Add(s, false, int64(4096), 2)
		f.Add(s, true, int64(1024*i), i-1)
	}
	f.Fuzz(func(t *testing.T, img []byte, seal bool, more int64, grow int) {
		if seal {
			img = bytes.Clone(img)
			sealAll(img)
		}
		disk := testimg.Mem(bytes.Clone(img))
		for _, unit := range []int64{512, 4096} {
			table, err := ReadUnit(disk, int64(len(disk)), unit)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNoTable) {
					t.Fatalf("Read = %v", err)
				}
				continue
			}
			for i, p := range table.Partitions {
				if p.Num < 1 || p.Start < 0 || p.Size <= 0 || p.End() < p.Start || i > 0 && p.Num <= table.Partitions[i-1].Num {
					t.Errorf("partition %+v after %+v", p, table.Partitions[:i])
				}
			}
			fuzzPlan(t, img, table, more%(1<<20), grow)
		}
		if !bytes.Equal(disk, img) {
			t.Error("reading changed the disk")
		}
	})
}

// sealAll makes the checksums of what could be a GPT right.
func sealAll(img []byte) {
	for _, unit := range gptSectorSizes {
		for _, off := range []int64{unit, int64(len(img))/unit*unit - unit} {
			if off < unit || off+unit > int64(len(img)) {
				continue
			}
			h := gptHeader(img[off:][:unit])
			if size := h.size(); string(h[:8]) != gptSignature || size < minHeaderSize || size > unit {
				continue
			}
			start, n := int64(h.arrayLBA())*unit, int64(uint32(h.arrayBytes()))
			if h.arrayLBA() < 1<<20 && h.arrayBytes() == n && start+n <= int64(len(img)) {
				h.seal(img[start:][:n])
			}
		}
	}
}

// fuzzPlan changes a copy of the disk; what is refused changes nothing, and what
// is done is read back as it was planned.
func fuzzPlan(t *testing.T, img []byte, table *Table, more int64, grow int) {
	size := int64(len(img))
	p, err := NewPlan(testimg.Mem(img), size, table, max(size+more, 0), grow)
	if err != nil {
		return
	}
	d := newGrowDisk(testimg.NewPaged(img))
	if err := p.Apply(d); err != nil {
		t.Fatal(err)
	}
	after, err := ReadUnit(d, d.Size(), table.SectorSize)
	if err != nil || d.Size() != p.NewSize || !slices.Equal(after.Partitions, p.After.Partitions) {
		t.Errorf("after the plan: %+v, %v; planned %+v", after, err, p.After)
	}
}
