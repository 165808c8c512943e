// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nobodd/internal/addr"
	"nobodd/internal/partition"
	"nobodd/internal/testimg"
)

func TestPlanResizeErrors(t *testing.T) {
	fixture := func(name string) []byte { return testimg.Fixture(t, name) }
	for name, tt := range map[string]struct {
		img  []byte
		size int64
		grow int
		want string
	}{
		"as large as can be": {fixture("mbr"), 1 << 62, 0, ""},
		"too large":          {fixture("mbr"), 1<<63 - 1, 0, "the size is too large"},
		"not the last":       {fixture("mbr"), 1 << 30, 1, "partition 1 cannot grow: partition 2 comes after it"},
		"smaller":            {fixture("mbr"), 512, 0, "the image cannot be smaller than 655360 bytes: partition 4 ends there"},
		"absent":             {fixture("mbr"), 1 << 20, 9, "no partition 9 (the image has 1, 2, 3, 4)"},
		"past 2 TiB": {fixture("mbr"), 3 << 40, 4,
			"partition 4 cannot grow to 3298534883328 bytes: an MBR reaches 2199023255552 bytes and no further"},
		"bare, partition": {fixture("fat12"), 1 << 20, 1,
			"no partition 1 (the image is one FAT file system without a partition table, number 0)"},
		"bare, rounded up":   {fixture("fat12"), 131071, 0, ""},
		"bare, smaller":      {fixture("fat12"), 65536, 0, "cannot shrink to 65536 bytes: the FAT file system is larger"},
		"neither of the two": {make([]byte, 4096), 8192, 0, "neither a partition table nor a FAT file system: is it an OS image, unpacked and whole?"},
		"damaged": {announced(), 8192, 0, "damaged partition table: the first sector says that a GPT follows, " +
			"but neither that nor its backup is there: is the image whole? (at byte 512)"},
	} {
		p, err := mustOpen(t, write(t, tt.img), Read).PlanResize(tt.size, tt.grow)
		if p != nil && err != nil || errText(err) != tt.want {
			t.Errorf("%s: PlanResize(%d, %d) = %q, want %q", name, tt.size, tt.grow, errText(err), tt.want)
		}
	}
}

func TestResizeSizes(t *testing.T) {
	const size = 1048576
	for _, tt := range []struct {
		fixture        string
		old, new, want int64
	}{
		{"mbr", size, 16 << 30, 16 << 30},
		{"mbr", size, size + 1, size + 512},
		{"gpt4k", 2 * size, 2*size + 1, 2*size + 4096},
		{"mbr", size, size, size},
		{"mbr", size, 700000, 700416},
		{"fat12", 131072, size, size},
	} {
		path := testimg.FixtureFile(t, tt.fixture)
		im := mustOpen(t, path, Write)
		p, err := im.PlanResize(tt.new, 0)
		if err != nil {
			t.Fatal(err)
		}
		if p.OldSize != tt.old || p.NewSize != tt.want || p.Changes() != (tt.old != tt.want) {
			t.Errorf("%s to %d: plan from %d to %d, changes: %v; want %d to %d",
				tt.fixture, tt.new, p.OldSize, p.NewSize, p.Changes(), tt.old, tt.want)
		}
		if err := im.Resize(p); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil || fi.Size() != tt.want || im.Size() != tt.want {
			t.Errorf("%s to %d: size %d (%d known), %v; want %d", tt.fixture, tt.new, fi.Size(), im.Size(), err, tt.want)
		}
		if used := fi.Sys().(*syscall.Stat_t).Blocks * 512; used > 4*size {
			t.Errorf("%s to %d: %d bytes are taken on the disk: not sparse", tt.fixture, tt.new, used)
		}
	}
}

// memory is a Storage without a file. With a device that fails, it fails.
type memory struct {
	testimg.Device
	size int64
}

func (m memory) Size() (int64, error) { return m.size, nil }
func (m memory) Close() error         { return nil }

// An image is as good on another storage, whose errors come through as they are.
func TestStorage(t *testing.T) {
	img := testimg.Fixture(t, "gpt")
	whole, err := mustOpen(t, write(t, img), Read).readLayout()
	if err != nil {
		t.Fatal(err)
	}
	last := lastOf(whole.table)
	grown := func(dev testimg.Device) error {
		im, err := New(memory{dev, int64(len(img))}, Write)
		if err != nil {
			t.Fatal(err)
		}
		if _, num, err := im.Volume(addr.Boot); num != 2 || err != nil {
			t.Fatalf("Volume(Boot) = %d, %v", num, err)
		}
		if im.Resizable() {
			t.Error("a storage that knows no Truncate can change its size")
		}
		if _, err := im.PlanResize(int64(len(img))+512, 0); err != ErrFixedSize {
			t.Errorf("PlanResize = %v, want %v", err, ErrFixedSize)
		}
		p, err := im.PlanResize(int64(len(img)), last.Num)
		if err != nil {
			t.Fatal(err)
		}
		return im.Resize(p)
	}
	damaged := bytes.Clone(img)
	damaged[512+20]++ // there is something to write: the primary header
	for n, hit := 0, true; hit; n++ {
		disk := testimg.Mem(bytes.Clone(damaged))
		faulty := testimg.NewFailWrite(disk, n)
		err := grown(faulty)
		if hit = faulty.Hit; hit && !errors.Is(err, testimg.ErrFault) || !hit && err != nil {
			t.Errorf("write %d: hit = %v, error %v", n, hit, err)
		}
		im, err := New(memory{disk, int64(len(disk))}, Read)
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := im.Partitions(); len(parts) != 4 || err != nil {
			t.Errorf("write %d failed and left %+v, %v", n, parts, err)
		}
	}
}

// An image that cannot become so large is left as it was.
func TestResizeTooLarge(t *testing.T) {
	path := testimg.FixtureFile(t, "gpt")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im := mustOpen(t, path, Write)
	p, err := im.PlanResize(1<<63-4096, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Resize(p); !errors.Is(err, syscall.EFBIG) && !errors.Is(err, syscall.EINVAL) {
		t.Skipf("this file system takes a file of 8 EiB: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the image changed: %v", err)
	}
}

// uuids and names, sizes and places as sfdisk --dump has them, without the file's name.
var dumpName = regexp.MustCompile(`(?m)^(device:.*|.*img(\d+) :)`)

// Partition tools have nothing to say of what nobodd-resize makes, and they
// see what was there before, and the growth alone.
func TestResizePeers(t *testing.T) {
	testimg.NeedPeer(t, "sfdisk", "sgdisk", "parted", "fdisk")
	for _, fixture := range []string{"mbr", "mbr-gaps", "mbr-logical-5", "mbr-logical-85", "mbr-logical-f", "pinn", "ubuntu", "gpt", "hybrid", "gpt4k"} {
		for _, r := range []struct {
			size, more int64 // the new size, or what is added to the old one
			grow       bool  // the last partition
		}{
			{size: 64 << 20},
			{size: 64 << 20, grow: true},
			{more: 1 << 20, grow: true},
			{size: 5 << 30, grow: true},
			{size: 3 << 40},
			{grow: true},
			{more: 1},
			{more: -4096},
		} {
			t.Run(fmt.Sprintf("%s/%d+%d/%v", fixture, r.size, r.more, r.grow), func(t *testing.T) {
				path := testimg.FixtureFile(t, fixture)
				im := mustOpen(t, path, Write)
				before := dump(t, im, path)
				p := resizeLast(t, im, cmp.Or(r.size, im.Size()+r.more), r.grow)
				judge(t, im, path)
				if now := dump(t, im, path); !r.grow && now != before {
					t.Errorf("the table changed\nfrom\n%sto\n%s", before, now)
				}
				last := lastOf(p.After)
				if r.grow && p.NewSize > p.OldSize && p.NewSize-last.End() > 2<<20 {
					t.Errorf("partition %d ends at %d of %d", last.Num, last.End(), p.NewSize)
				}
			})
		}
	}
}

// lastOf returns the partition that is last on the disk.
func lastOf(t *partition.Table) partition.Partition {
	byEnd := func(a, b partition.Partition) int { return cmp.Compare(a.End(), b.End()) }
	return slices.MaxFunc(t.Partitions, byEnd)
}

// resizeLast changes the size of the image, and lets its last partition grow if grow is set.
func resizeLast(t *testing.T, im *Image, size int64, grow bool) *Plan {
	t.Helper()
	num := 0
	if l, err := im.readLayout(); err != nil {
		t.Fatal(err)
	} else if grow {
		num = lastOf(l.table).Num
	}
	p, err := im.PlanResize(size, num)
	if err == nil {
		err = im.Resize(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sectorArgs makes fdisk take the sector size of the image.
func sectorArgs(im *Image) []string { return []string{"-b", fmt.Sprint(im.SectorSize())} }

// dump is the table as sfdisk has it, without what depends on the image's size and name.
func dump(t *testing.T, im *Image, path string) string {
	t.Helper()
	if im.SectorSize() != 512 {
		return ""
	}
	out, err := exec.Command("sfdisk", "--dump", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var keep []string
	for line := range strings.Lines(dumpName.ReplaceAllString(string(out), "$2")) {
		if !strings.HasPrefix(line, "last-lba:") && !strings.HasPrefix(line, "grain:") && !strings.HasPrefix(line, "first-lba:") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "")
}

// judge lets the partition tools look at the image.
func judge(t *testing.T, im *Image, path string) {
	t.Helper()
	run := func(stdin, name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(stdin)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", fmt.Sprint("PARTED_SECTOR_SIZE=", im.SectorSize()))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	if out := run("v\nq\n", "fdisk", append(sectorArgs(im), path)...); !strings.Contains(out, "No errors detected") || strings.Contains(out, "mismatch") || strings.Contains(out, "not on the end") {
		t.Errorf("fdisk says\n%s", out)
	}
	if out := run("", "parted", "-s", path, "print"); strings.Contains(out, "Error") || strings.Contains(out, "Warning") {
		t.Errorf("parted says\n%s", out)
	}
	if im.SectorSize() != 512 {
		return
	}
	if out := run("", "sfdisk", "--verify", path); !strings.Contains(out, "No errors detected") || strings.Contains(out, "mismatch") {
		t.Errorf("sfdisk says\n%s", out)
	}
	if im.layout.table.Scheme == partition.GPT {
		out := run("", "sgdisk", "-v", path)
		if !strings.Contains(out, "No problems found") || strings.Contains(out, "Warning") || strings.Contains(out, "Caution: Partition") {
			t.Errorf("sgdisk says\n%s", out)
		}
	}
}

// sgdisk judges a table of 4096-byte sectors where a loop device can be made of it.
func TestResizePeersLoop(t *testing.T) {
	testimg.NeedPeer(t, "sgdisk", "sfdisk")
	path := testimg.FixtureFile(t, "gpt4k")
	im := mustOpen(t, path, Write)
	resizeLast(t, im, 64<<20, true)
	im.Close()
	loop := testimg.LoopDevice(t, path, 4096)
	if out, err := exec.Command("sgdisk", "-v", loop).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk: %v\n%s", err, out)
	}
	if out, err := exec.Command("sfdisk", "--verify", loop).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk: %v\n%s", err, out)
	}
}

// A block device lists, keeps its size and lets its partitions grow.
func TestBlockDevice(t *testing.T) {
	path := testimg.FixtureFile(t, "gpt4k")
	if err := os.Truncate(path, 32<<20); err != nil {
		t.Fatal(err)
	}
	loop := testimg.LoopDevice(t, path, 4096)
	link := filepath.Join(t.TempDir(), "disk")
	if err := os.Symlink(loop, link); err != nil {
		t.Fatal(err)
	}
	im := mustOpen(t, link, Write)
	if im.Size() != 32<<20 || im.SectorSize() != 4096 || im.Resizable() || !IsFile(link) {
		t.Fatalf("size %d, sectors of %d, resizable: %v", im.Size(), im.SectorSize(), im.Resizable())
	}
	if _, err := im.PlanResize(64<<20, 0); err != ErrFixedSize {
		t.Errorf("PlanResize = %v, want %v", err, ErrFixedSize)
	}
	resizeLast(t, im, im.Size(), true)
	parts, err := im.Partitions()
	if err != nil || len(parts) != 2 || parts[1].Size < 29<<20 || im.Size() != 32<<20 {
		t.Errorf("got %+v, %v", parts, err)
	}
}
