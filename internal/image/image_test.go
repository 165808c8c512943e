// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/partition"
	"nobodd/internal/testimg"
)

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func mustOpen(t *testing.T, path string, mode Mode) *Image {
	t.Helper()
	im, err := Open(path, mode, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// write makes an image of the given bytes.
func write(t *testing.T, img []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.img")
	if err := testimg.WriteSparse(path, img); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPartitions(t *testing.T) {
	for _, tt := range []struct {
		fixture    string
		sectorSize int64
		boot, root int
		want       []Partition // compared as far as given: Num, Start, Size, Type, FAT
	}{
		{"mbr", 512, 1, 3, []Partition{{Num: 1, Start: 64, Size: 256 * 512, Type: "0c", FAT: 12}, {Num: 2, Start: 384, Size: 128 * 512, Type: "82"}}},
		{"mbr-gaps", 512, 1, 3, nil},
		{"mbr-logical-5", 512, 5, 6, []Partition{
			{Num: 1, Start: 64, Size: 128 * 512, Type: "82"}, {Num: 5, Start: 320, Size: 256 * 512, Type: "0c", FAT: 12},
			{Num: 6, Start: 640, Size: 512 * 512, Type: "83"}, {Num: 7, Start: 1216, Size: 256 * 512, Type: "0e", FAT: 12},
		}},
		{"mbr-logical-85", 512, 5, 6, nil},
		{"mbr-logical-f", 512, 5, 6, nil},
		{"gpt", 512, 2, 3, nil},
		{"gpt4k", 4096, 1, 2, nil},
		{"hybrid", 512, 2, 3, nil},
		{"ubuntu", 512, 1, 2, nil},
		{"fat12", 512, 0, -1, []Partition{{Num: 0, Size: 131072, FAT: 12}}},
		{"fat16", 512, 0, -1, []Partition{{Num: 0, Size: 2355200, FAT: 16}}},
		{"fat32-4k", 512, 0, -1, []Partition{{Num: 0, Size: 917504, FAT: 32}}},
	} {
		t.Run(tt.fixture, func(t *testing.T) {
			im := mustOpen(t, testimg.FixtureFile(t, tt.fixture), Read)
			parts, err := im.Partitions()
			if err != nil {
				t.Fatal(err)
			}
			boot, root := -1, -1
			for i, p := range parts {
				if p.Boot {
					boot = p.Num
				}
				if p.Root {
					root = p.Num
				}
				if i < len(tt.want) {
					if p.Free != -1 {
						t.Errorf("partition %d has %d bytes free before it was measured", p.Num, p.Free)
					}
					p.Label, p.Boot, p.Root, p.Free = "", false, false, 0
					if p != tt.want[i] {
						t.Errorf("got %+v, want %+v", p, tt.want[i])
					}
				}
			}
			if boot != tt.boot || root != tt.root || im.SectorSize() != tt.sectorSize {
				t.Errorf("boot %d, root %d, sectors of %d; want %d, %d, %d\n%+v", boot, root, im.SectorSize(), tt.boot, tt.root, tt.sectorSize, parts)
			}
			if _, num, err := im.Volume(addr.Boot); num != tt.boot || err != nil {
				t.Errorf("Volume(Boot) = %d, %v; want %d", num, err, tt.boot)
			}
		})
	}
}

// Measure finds the free space of FAT file systems, and which are in use.
func TestMeasure(t *testing.T) {
	for fixture, want := range map[string][]string{
		"mbr":     {"1 126464 false", "2 -1 false", "3 -1 false", "4 126976 false"},
		"dirty16": {"0 2308096 true"},
		"dirty32": {"0 48640 true"},
	} {
		im := mustOpen(t, testimg.FixtureFile(t, fixture), Read)
		parts, err := im.Partitions()
		if err = errors.Join(err, im.Measure(parts)); err != nil {
			t.Error(err)
		}
		var got []string
		for _, p := range parts {
			got = append(got, fmt.Sprint(p.Num, p.Free, p.InUse))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", fixture, got, want)
		}
	}
}

// A volume that cannot be measured costs nobody else its figures.
func TestMeasureDamaged(t *testing.T) {
	path := testimg.FixtureFile(t, "mbr")
	im := mustOpen(t, path, Read)
	parts, err := im.Partitions()
	if err == nil {
		err = os.Truncate(path, (parts[3].Start+1)*512) // its boot sector is all there is
	}
	if err != nil {
		t.Fatal(err)
	}
	err = im.Measure(parts)
	if !strings.HasPrefix(errText(err), "partition 4: ") || parts[0].Free != 126464 || parts[3].Free != -1 {
		t.Errorf("%v, free %d and %d", err, parts[0].Free, parts[3].Free)
	}
}

func TestLabel(t *testing.T) {
	im := mustOpen(t, testimg.FixtureFile(t, "gpt"), Read)
	parts, err := im.Partitions()
	if err != nil {
		t.Fatal(err)
	}
	if parts[0].Label != "bios" || parts[2].Label != "Wurzel über alles" {
		t.Errorf("labels %q and %q are not the GPT names", parts[0].Label, parts[2].Label)
	}
	im = mustOpen(t, testimg.FixtureFile(t, "ubuntu"), Read)
	if parts, err = im.Partitions(); err != nil || parts[0].Label != "system-boot" {
		t.Errorf("label %q, %v; want system-boot", parts[0].Label, err)
	}
}

func TestVolumeErrors(t *testing.T) {
	mbr, fat12 := testimg.Fixture(t, "mbr"), testimg.Fixture(t, "fat12")
	noFAT := bytes.Clone(mbr)
	clear(noFAT[64*512:])
	damaged := bytes.Clone(mbr)
	damaged[64*512+16] = 9 // FATs
	bare := bytes.Clone(fat12)
	bare[16] = 9
	broken := testimg.Fixture(t, "mbr-logical-5")
	broken[256*512+510] = 0
	for name, tt := range map[string]struct {
		img  []byte
		num  int
		want string
	}{
		"absent":                     {mbr, 7, "no partition 7 (the image has 1, 2, 3, 4)"},
		"bare number, with a table":  {mbr, 0, "no partition 0 (the image has 1, 2, 3, 4)"},
		"no FAT":                     {mbr, 2, "partition 2 holds no FAT file system, but swap (FAT is in partition 1, 4)"},
		"no boot":                    {noFAT, addr.Boot, "no FAT file system in the image"},
		"no FAT, unknown":            {noFAT, 2, "partition 2 holds no FAT file system"},
		"FAT beside a damaged one":   {damaged, 2, "partition 2 holds no FAT file system, but swap (FAT is in partition 1, 4)"},
		"number, without a table":    {fat12, 1, "no partition 1 (the image is one FAT file system without a partition table, number 0)"},
		"nothing":                    {make([]byte, 1<<20), addr.Boot, "neither a partition table nor a FAT file system: is it an OS image, unpacked and whole?"},
		"damaged boot":               {damaged, addr.Boot, "partition 1: damaged file system: 9 file allocation tables (byte 16 of the volume)"},
		"damaged":                    {damaged, 1, "damaged file system: 9 file allocation tables (byte 16 of the volume)"},
		"damaged, without a table":   {bare, addr.Boot, "damaged file system: 9 file allocation tables (byte 16 of the volume)"},
		"truncated inside":           {mbr[:100*512], 1, ""},
		"truncated before its data":  {mbr[:66*512], 1, "damaged file system: truncated: the data begins at byte 3584, but only 1024 of 131072 bytes are there (byte 19 of the volume)"},
		"truncated before":           {mbr[:64*512], 1, "partition 1 starts past the end of the image, which is truncated: get or unpack it anew"},
		"truncated before, boot":     {mbr[:64*512], addr.Boot, "no FAT file system in the image: partition 4 starts past the end of the image, which is truncated: get or unpack it anew"},
		"after a damaged record":     {broken, 6, "no partition 6 (the image has 1): damaged partition table: the boot record of a logical partition has no signature (at byte 131072)"},
		"no boot, a damaged record":  {broken, addr.Boot, "no FAT file system in the image (partition 1: swap): damaged partition table: the boot record of a logical partition has no signature (at byte 131072)"},
		"no partition in the table":  {emptyTable(), 1, "no partition 1 (the image has none)"},
		"no partition, boot":         {emptyTable(), addr.Boot, "no FAT file system in the image"},
		"GPT without its structures": {announced(), 1, "damaged partition table: the first sector says that a GPT follows, but neither that nor its backup is there: is the image whole? (at byte 512)"},
	} {
		t.Run(name, func(t *testing.T) {
			im := mustOpen(t, write(t, tt.img), Unlocked)
			v, _, err := im.Volume(tt.num)
			if v != nil && err != nil || errText(err) != tt.want {
				t.Errorf("Volume(%d) = %q, want %q", tt.num, errText(err), tt.want)
			}
		})
	}
}

func emptyTable() []byte {
	img := make([]byte, 4096)
	img[510], img[511] = 0x55, 0xaa
	return img
}

func announced() []byte {
	img := emptyTable()
	img[446+4], img[446+8], img[446+12] = 0xee, 1, 7
	return img
}

// What is sound is listed beside what is damaged.
func TestPartitionsOfDamagedImage(t *testing.T) {
	broken := testimg.Fixture(t, "mbr-logical-5")
	broken[575*512+510] = 0 // the second boot record
	img := bytes.Clone(broken)
	img[320*512+16] = 9 // FATs of partition 5
	im := mustOpen(t, write(t, img), Read)
	parts, err := im.Partitions()
	if len(parts) < 2 || !errors.Is(err, fat.ErrCorrupt) || !strings.Contains(err.Error(), "partition 5: damaged file system: 9 file") {
		t.Errorf("got %+v, %v", parts, err)
	}
}

// A truncated image still lists.
func TestPartitionsOfTruncatedImage(t *testing.T) {
	im := mustOpen(t, write(t, testimg.Fixture(t, "mbr")[:400*512]), Read)
	parts, err := im.Partitions()
	if len(parts) != 4 || err != nil || !parts[0].Boot || !parts[2].Root {
		t.Errorf("got %+v, %v", parts, err)
	}
}

// Of the partitions that could be the root, the first is.
func TestOneRoot(t *testing.T) {
	img := testimg.Fixture(t, "mbr") // swap in 2, an ext4 in 3
	img[446+16+4] = 0x83
	parts, err := mustOpen(t, write(t, img), Read).Partitions()
	if err != nil || len(parts) != 4 || !parts[1].Root || parts[2].Root {
		t.Errorf("got %+v, %v", parts, err)
	}
	img[446+2*16+4], img[446+3*16+4] = 0x82, 0x83 // swap, and a third that could be one
	clear(img[1024*512:][:512])
	parts, err = mustOpen(t, write(t, img), Read).Partitions()
	if err != nil || len(parts) != 4 || !parts[1].Root || parts[2].Root || parts[3].Root {
		t.Errorf("got %+v, %v", parts, err)
	}
}

// A FAT partition is no root, whatever its type says.
func TestRootHoldsNoFAT(t *testing.T) {
	img := testimg.Fixture(t, "mbr") // FAT in 1 and 4, an ext4 in 3
	img[446+4], img[446+3*16+4] = 0x83, 0x83
	parts, err := mustOpen(t, write(t, img), Read).Partitions()
	if err != nil || len(parts) != 4 || !parts[0].Boot || parts[0].Root || !parts[2].Root {
		t.Errorf("got %+v, %v", parts, err)
	}
}

// An MBR counts in 2048-byte or 4096-byte sectors where its FAT volume is found so alone.
func TestMBRUnits(t *testing.T) {
	vol := testimg.Fixture(t, "fat16-4k")
	for _, unit := range []int{2048, 4096} {
		img := make([]byte, 8*unit+len(vol))
		img[510], img[511] = 0x55, 0xaa
		e := img[446:]
		e[4], e[8] = 0x0e, 8
		sectors := len(vol) / unit
		e[12], e[13], e[14] = byte(sectors), byte(sectors>>8), byte(sectors>>16)
		copy(img[8*unit:], vol)
		im := mustOpen(t, write(t, img), Read)
		parts, err := im.Partitions()
		if err != nil || im.SectorSize() != int64(unit) || len(parts) != 1 || parts[0].FAT != 16 || parts[0].Size != int64(len(vol)) {
			t.Errorf("%d: got %+v, %v, sectors of %d", unit, parts, err, im.SectorSize())
		}
	}
}

// large is a disk of 4096-byte sectors.
type large struct{ memory }

func (large) SectorSize() (int64, error) { return 4096, nil }

// An MBR on a block device counts in the sectors of that, whatever its partitions hold.
func TestMBRUnitOfDevice(t *testing.T) {
	img := make([]byte, 32<<12)
	img[510], img[511] = 0x55, 0xaa
	e := img[446:]
	e[4], e[8], e[12] = 0x83, 8, 16
	im, err := New(large{memory{testimg.Mem(img), int64(len(img))}}, Read)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := im.Partitions()
	if err != nil || im.SectorSize() != 4096 || len(parts) != 1 || parts[0].Size != 16*4096 {
		t.Errorf("got %+v, %v, sectors of %d", parts, err, im.SectorSize())
	}
}

// What sfdisk leaves of a FAT volume's boot sector in front of a table is no bare volume;
// a boot sector with a table's entry for itself, as mkfs.fat --mbr makes it, is one.
func TestBareOrTable(t *testing.T) {
	stale := testimg.Fixture(t, "mbr")
	copy(stale[:446], testimg.Fixture(t, "fat12")[:446])
	im := mustOpen(t, write(t, stale), Read)
	if _, num, err := im.Volume(addr.Boot); num != 1 || err != nil {
		t.Errorf("Volume after a stale boot sector = %d, %v; want 1", num, err)
	}
	self := testimg.Fixture(t, "fat12")
	copy(self[446:], []byte{0x80, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0})
	im = mustOpen(t, write(t, self), Read)
	for _, part := range []int{addr.Boot, 0, 1} {
		if _, num, err := im.Volume(part); num != 1 || err != nil {
			t.Errorf("Volume(%d) of one with an entry for itself = %d, %v; want 1", part, num, err)
		}
	}
	if parts, err := im.Partitions(); len(parts) != 1 || parts[0].Num != 1 || parts[0].FAT != 12 || err != nil {
		t.Errorf("Partitions of one with an entry for itself = %+v, %v", parts, err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fifo, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(ErrNoImage, fs.ErrNotExist) || errors.Is(ErrNoImage, fs.ErrPermission) {
		t.Error("no such image is not what does not exist, or something else too")
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such image",
		dir:                        "is a directory",
		fifo:                       "neither a regular file nor a block device",
		filepath.Join(dir, "link"): "neither a regular file nor a block device",
		filepath.Join(dir, "loop"): "too many levels of symbolic links",
		"/dev/null":                "neither a regular file nor a block device",
		filepath.Join(fifo, "x"):   "not a directory",
		"a\x00b":                   "invalid argument",
		"":                         "no such image",
	} {
		for _, mode := range []Mode{Read, Write, Unlocked} {
			if _, err := Open(path, mode, nil); errText(err) != want {
				t.Errorf("Open(%q) = %q, want %q", path, errText(err), want)
			}
		}
		if IsFile(path) {
			t.Errorf("IsFile(%q)", path)
		}
	}
	if _, err := Open(filepath.Join(dir, "none"), Read, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// All names of one image have one key; other images, and none, have others.
func TestKey(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(name, []byte("the same"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("a", "symbolic"), os.Link("a", "hard"), os.Symlink("none", "dangling")); err != nil {
		t.Fatal(err)
	}
	for name, same := range map[string]bool{
		"a": true, "./a": true, filepath.Join(dir, "a"): true, "symbolic": true, "hard": true,
		"b": false, "none": false, "dangling": false, ".": false, "/dev/null": false,
	} {
		if got := Key(name) == Key("a"); got != same {
			t.Errorf("Key(%q) = %q, Key(a) = %q", name, Key(name), Key("a"))
		}
	}
	if Key("none") == Key("dangling") {
		t.Errorf("two images that are not there have the key %q", Key("none"))
	}
	node := filepath.Join(dir, "node")
	if err := syscall.Mknod(node, syscall.S_IFBLK|0o600, 7<<8); err != nil {
		t.Skipf("no block device: %v", err)
	}
	other := filepath.Join(dir, "other")
	if err := syscall.Mknod(other, syscall.S_IFBLK|0o600, 7<<8); err != nil {
		t.Fatal(err)
	}
	if Key(node) != Key(other) {
		t.Errorf("two nodes of one device have the keys %q and %q", Key(node), Key(other))
	}
}

func TestReadOnlyFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write every file")
	}
	path := testimg.FixtureFile(t, "mbr")
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Write, nil); errText(err) != "permission denied" {
		t.Errorf("Open = %q, want permission denied", errText(err))
	}
}

// Only an image opened for writing has volumes that can be written.
func TestVolumeWritable(t *testing.T) {
	path := testimg.FixtureFile(t, "mbr")
	for _, mode := range []Mode{Read, Unlocked, Write} {
		im := mustOpen(t, path, mode)
		_, writable := im.section(0, 512).(fat.Device)
		if writable != (mode == Write) {
			t.Errorf("mode %d: writable = %v", mode, writable)
		}
		im.Close()
	}
}

// A section cannot be left, by reading or by writing.
func TestSection(t *testing.T) {
	path := write(t, []byte("0123456789"))
	im := mustOpen(t, path, Write)
	d := im.section(2, 6).(fat.Device)
	for _, tt := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{
		{0, 6, "234567", nil},
		{0, 9, "234567", io.EOF},
		{4, 2, "67", nil},
		{4, 3, "67", io.EOF},
		{6, 1, "", io.EOF},
		{7, 0, "", io.EOF},
		{1 << 62, 1, "", io.EOF},
		{-1, 1, "", errBounds},
	} {
		buf := make([]byte, tt.n)
		n, err := d.ReadAt(buf, tt.off)
		if string(buf[:n]) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ReadAt(%d bytes, %d) = %q, %v; want %q, %v", tt.n, tt.off, buf[:n], err, tt.want, tt.err)
		}
	}
	for _, tt := range []struct {
		off int64
		p   string
		ok  bool
	}{{0, "abcdef", true}, {5, "x", true}, {6, "", true}, {6, "x", false}, {5, "xx", false}, {-1, "x", false}, {1 << 62, "x", false}, {0, "1234567", false}} {
		n, err := d.WriteAt([]byte(tt.p), tt.off)
		if tt.ok && (err != nil || n != len(tt.p)) || !tt.ok && !errors.Is(err, errBounds) {
			t.Errorf("WriteAt(%q, %d) = %d, %v", tt.p, tt.off, n, err)
		}
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "01abcdex89" {
		t.Errorf("the image holds %q, %v", got, err)
	}
}

// Reading the boot volume of an image must stay cheap: the daemon does it at each request.
func TestVolumeReadsLittle(t *testing.T) {
	path := testimg.FixtureFile(t, "ubuntu")
	im := mustOpen(t, path, Unlocked)
	allocs := testing.AllocsPerRun(10, func() {
		im.layout = nil
		if _, _, err := im.Volume(addr.Boot); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 60 {
		t.Errorf("finding the boot volume takes %v allocations", allocs)
	}
}

func TestLocks(t *testing.T) {
	path := testimg.FixtureFile(t, "mbr")
	a := mustOpen(t, path, Read)
	mustOpen(t, path, Read).Close() // readers share
	unlocked := mustOpen(t, path, Unlocked)

	waits := make(chan bool)
	opened := make(chan *Image)
	go func() {
		im, err := Open(path, Write, func() { waits <- true })
		if err != nil {
			t.Error(err)
		}
		opened <- im
	}()
	<-waits
	select {
	case <-opened:
		t.Error("a writer did not wait for a reader")
	default:
	}
	a.Close()
	writer := <-opened
	go func() {
		im, err := Open(path, Read, func() { waits <- true })
		if err != nil {
			t.Error(err)
		}
		opened <- im
	}()
	<-waits
	if _, _, err := unlocked.Volume(1); err != nil {
		t.Errorf("the daemon's way beside a writer: %v", err)
	}
	mustOpen(t, path, Unlocked)
	writer.Close()
	(<-opened).Close()
}

// An image that was replaced while a tool waited for its lock is the new one.
func TestReplacedWhileWaiting(t *testing.T) {
	path := testimg.FixtureFile(t, "mbr")
	old := mustOpen(t, path, Write)
	opened := make(chan *Image)
	go func() {
		im, err := Open(path, Write, func() {
			if err := os.Rename(testimg.FixtureFile(t, "fat12"), path); err != nil {
				t.Error(err)
			}
			old.Close()
		})
		if err != nil {
			t.Error(err)
		}
		opened <- im
	}()
	im := <-opened
	defer im.Close()
	if im.Size() != 131072 {
		t.Errorf("size %d, want that of the new image", im.Size())
	}
}

// What is written to an image that was removed meanwhile would be lost.
func TestRemovedWhileWaiting(t *testing.T) {
	path := testimg.FixtureFile(t, "mbr")
	old := mustOpen(t, path, Write)
	opened := make(chan error)
	go func() {
		_, err := Open(path, Write, func() {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			old.Close()
		})
		opened <- err
	}()
	if err := <-opened; err != ErrNoImage {
		t.Errorf("Open = %v, want %v", err, ErrNoImage)
	}
}

// FuzzImage: no table and volumes below it panic, hang or are listed twice. The images
// are the fixtures with a patch at off, cut off at size.
func FuzzImage(f *testing.F) {
	bases := testimg.TableSeeds()
	if len(bases) == 0 {
		f.Fatal("no seeds")
	}
	for i, base := range bases {
		f.Add(uint8(i), uint32(446), base[446:512], uint32(len(base)))
		f.Add(uint8(i), uint32(512), base[512:604], uint32(len(base)/2))
		f.Add(uint8(i), uint32(64*512), base[64*512:][:64], uint32(100*512))
	}
	path := filepath.Join(f.TempDir(), "d.img")
	f.Fuzz(func(t *testing.T, which uint8, off uint32, patch []byte, size uint32) {
		base := bases[int(which)%len(bases)]
		img := bytes.Clone(base[:min(len(base), int(size))])
		copy(img[min(len(img), int(off)):], patch)
		if err := os.WriteFile(path, img, 0o600); err != nil {
			t.Fatal(err)
		}
		im, err := Open(path, Unlocked, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		parts, err := im.Partitions()
		if err != nil && !errors.Is(err, fat.ErrCorrupt) && !errors.Is(err, partition.ErrCorrupt) && !errors.Is(err, errNothing) {
			t.Fatalf("Partitions = %v", err)
		}
		boot := -1
		for _, p := range parts {
			if p.Boot {
				boot = p.Num
			}
			_, num, err := im.Volume(p.Num)
			if (err == nil) != (p.FAT != 0) || err == nil && num != p.Num {
				t.Errorf("Volume(%d) = %d, %v; listed as %+v", p.Num, num, err, p)
			}
		}
		if _, num, err := im.Volume(addr.Boot); err == nil && num != boot {
			t.Errorf("boot volume %d, listed %d", num, boot)
		}
	})
}
