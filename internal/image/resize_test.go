// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
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

	"nobodd/internal/partition"
	"nobodd/internal/testimg"
)

func TestResizeErrors(t *testing.T) {
	for _, tt := range []struct {
		fixture string
		r       Resize
		want    string
	}{
		{"mbr", Resize{Size: 1 << 62, Relative: true, Shrink: true}, ""},
		{"mbr", Resize{Size: 1<<63 - 1, Relative: true}, "the size is too large"},
		{"mbr", Resize{Size: 1<<63 - 1}, "the size is too large"},
		{"mbr", Resize{Size: 1 << 30, Grow: 1}, "partition 1 cannot grow: partition 2 lies behind it"},
		{"mbr", Resize{Size: 1 << 30, Grow: GrowRoot}, "partition 3 cannot grow: partition 4 lies behind it"},
		{"mbr", Resize{Size: 3 << 40, Grow: GrowLast}, "partition 4 cannot grow to 3298534883328 bytes: an MBR reaches 2199023255552 bytes and no further"},
		{"mbr", Resize{Size: 512, Shrink: true}, "the image cannot be smaller than 655360 bytes: partition 4 ends there"},
		{"mbr", Resize{KeepSize: true, Grow: 9}, "no partition 9 (the image has 1, 2, 3, 4)"},
		{"fat12", Resize{KeepSize: true, Grow: GrowLast}, "there is no partition to grow: the image is one FAT file system without a partition table"},
		{"fat12", Resize{Size: 131071, Shrink: true}, ""},
		{"fat12", Resize{Size: 65536, Shrink: true}, "cannot shrink to 65536 bytes: the FAT file system is larger"},
	} {
		im := mustOpen(t, testimg.FixtureFile(t, tt.fixture), Read)
		p, err := im.PlanResize(tt.r)
		if p != nil && err != nil || errText(err) != tt.want {
			t.Errorf("PlanResize(%s, %+v) = %q, want %q", tt.fixture, tt.r, errText(err), tt.want)
		}
	}
	for name, tt := range map[string]struct {
		img  []byte
		grow int
		want string
	}{
		"nothing":     {make([]byte, 4096), 0, "neither a partition table nor a FAT file system"},
		"empty table": {emptyTable(), GrowLast, "there is no partition to grow: the partition table is empty"},
		"no root":     {emptyTable(), GrowRoot, "the image has no root partition"},
		"damaged":     {announced(), 0, "damaged partition table: the MBR announces a GPT, but neither its header nor a backup is there (at byte 512)"},
	} {
		im := mustOpen(t, write(t, tt.img), Read)
		if _, err := im.PlanResize(Resize{Size: 8192, Grow: tt.grow}); errText(err) != tt.want {
			t.Errorf("%s: PlanResize = %q, want %q", name, errText(err), tt.want)
		}
	}
}

func TestResizeSizes(t *testing.T) {
	const size = 1048576
	for _, tt := range []struct {
		fixture  string
		old      int64
		r        Resize
		want     int64
		noChange bool
	}{
		{"mbr", size, Resize{Size: 16 << 30}, 16 << 30, false},
		{"mbr", size, Resize{Size: 4 << 30, Relative: true}, 4<<30 + size, false},
		{"mbr", size, Resize{Size: size + 1}, size + 512, false},
		{"gpt4k", 2 * size, Resize{Size: 2*size + 1}, 2*size + 4096, false},
		{"mbr", size, Resize{Size: size}, size, true},
		{"mbr", size, Resize{Relative: true}, size, true},
		{"mbr", size, Resize{Size: 1}, size, true},
		{"mbr", size, Resize{KeepSize: true}, size, true},
		{"mbr", size, Resize{Size: 700000, Shrink: true}, 700416, false},
		{"mbr", size, Resize{Size: 2 * size, Shrink: true}, 2 * size, false},
		{"fat12", 131072, Resize{Size: size}, size, false},
	} {
		path := testimg.FixtureFile(t, tt.fixture)
		im := mustOpen(t, path, Write)
		p, err := im.PlanResize(tt.r)
		if err != nil {
			t.Fatal(err)
		}
		if p.OldSize != tt.old || p.NewSize != tt.want || p.Changes() == tt.noChange {
			t.Errorf("%s, %+v: plan from %d to %d, changes: %v; want %d to %d", tt.fixture, tt.r, p.OldSize, p.NewSize, p.Changes(), tt.old, tt.want)
		}
		if err := im.Resize(p); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil || fi.Size() != tt.want || im.Size() != tt.want {
			t.Errorf("%s, %+v: size %d (%d known), %v; want %d", tt.fixture, tt.r, fi.Size(), im.Size(), err, tt.want)
		}
		if used := fi.Sys().(*syscall.Stat_t).Blocks * 512; used > 4*size {
			t.Errorf("%s, %+v: %d bytes are taken on the disk: not sparse", tt.fixture, tt.r, used)
		}
		if parts, err := im.Partitions(); err != nil || !slices.Equal(parts, p.After) {
			t.Errorf("%s, %+v: partitions %+v, %v; planned %+v", tt.fixture, tt.r, parts, err, p.After)
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
	p, err := im.PlanResize(Resize{Size: 1<<63 - 4096, Grow: GrowLast})
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

// Nothing that nobodd-resize makes gives partition tools something to say, and they
// see what was there before, and the growth alone.
func TestResizePeers(t *testing.T) {
	testimg.NeedPeer(t, "sfdisk", "sgdisk", "parted", "fdisk")
	for _, fixture := range []string{"mbr", "mbr-gaps", "mbr-logical-5", "mbr-logical-85", "mbr-logical-f", "pinn", "ubuntu", "gpt", "hybrid", "gpt4k"} {
		for _, r := range []Resize{
			{Size: 64 << 20},
			{Size: 64 << 20, Grow: GrowLast},
			{Size: 1 << 20, Relative: true, Grow: GrowLast},
			{Size: 5 << 30, Grow: GrowLast},
			{Size: 3 << 40},
			{KeepSize: true, Grow: GrowLast},
			{Size: 1, Relative: true},
			{Size: -4096, Relative: true, Shrink: true},
		} {
			t.Run(fmt.Sprintf("%s/%d+%v/%d", fixture, r.Size, r.Relative, r.Grow), func(t *testing.T) {
				path := testimg.FixtureFile(t, fixture)
				im := mustOpen(t, path, Write)
				before := dump(t, im)
				p, err := im.PlanResize(r)
				if err == nil {
					err = im.Resize(p)
				}
				if err != nil {
					t.Fatal(err)
				}
				judge(t, im)
				if r.Grow == GrowNone && dump(t, im) != before {
					t.Errorf("the table changed\nfrom\n%sto\n%s", before, dump(t, im))
				}
				last := p.After[len(p.After)-1]
				if end := last.Start*p.SectorSize + last.Size; r.Grow == GrowLast && p.NewSize > p.OldSize && p.NewSize-end > 2<<20 {
					t.Errorf("partition %d ends at %d of %d", last.Num, end, p.NewSize)
				}
			})
		}
	}
}

// sectorArgs makes fdisk take the sector size of the image.
func sectorArgs(im *Image) []string { return []string{"-b", fmt.Sprint(im.SectorSize())} }

// dump is the table as sfdisk has it, without what depends on the image's size and name.
func dump(t *testing.T, im *Image) string {
	t.Helper()
	if im.SectorSize() != 512 {
		return ""
	}
	out, err := exec.Command("sfdisk", "--dump", im.Path()).Output()
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
func judge(t *testing.T, im *Image) {
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
	path := im.Path()
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
	p, err := im.PlanResize(Resize{Size: 64 << 20, Grow: GrowLast})
	if err == nil {
		err = im.Resize(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	im.Close()
	loop := loopDevice(t, path, 4096)
	if out, err := exec.Command("sgdisk", "-v", loop).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk: %v\n%s", err, out)
	}
	if out, err := exec.Command("sfdisk", "--verify", loop).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk: %v\n%s", err, out)
	}
}

// loopDevice makes a block device of the image, or skips: that needs root and a kernel
// that lets it.
func loopDevice(t *testing.T, path string, sector int) string {
	t.Helper()
	out, err := exec.Command("losetup", "--sector-size", fmt.Sprint(sector), "--find", "--show", path).Output()
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	loop := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "--detach", loop).Run(); err != nil {
			t.Error(err)
		}
	})
	return loop
}

// A block device lists, keeps its size and lets its partitions grow.
func TestBlockDevice(t *testing.T) {
	path := testimg.FixtureFile(t, "gpt4k")
	if err := os.Truncate(path, 32<<20); err != nil {
		t.Fatal(err)
	}
	loop := loopDevice(t, path, 4096)
	link := filepath.Join(t.TempDir(), "disk")
	if err := os.Symlink(loop, link); err != nil {
		t.Fatal(err)
	}
	im := mustOpen(t, link, Write)
	if im.Size() != 32<<20 || im.SectorSize() != 4096 || !im.IsDevice() || !IsFile(link) {
		t.Fatalf("size %d, sectors of %d, device: %v", im.Size(), im.SectorSize(), im.IsDevice())
	}
	if _, err := im.PlanResize(Resize{Size: 64 << 20}); !errors.Is(err, ErrDevice) {
		t.Errorf("PlanResize = %v, want %v", err, ErrDevice)
	}
	p, err := im.PlanResize(Resize{KeepSize: true, Grow: GrowRoot})
	if err == nil {
		err = im.Resize(p)
	}
	parts, perr := im.Partitions()
	if err != nil || perr != nil || len(parts) != 2 || parts[1].Size < 29<<20 || im.Size() != 32<<20 {
		t.Errorf("got %+v, %v, %v", parts, err, perr)
	}
}
