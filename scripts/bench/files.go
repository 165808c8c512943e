// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// initrdSize is the size of an initrd.img as Ubuntu 22.04 makes it.
const initrdSize = 78601311

// noise returns n bytes, always the same for a seed.
func noise(seed uint64, n int) []byte {
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	p := make([]byte, n)
	src.Read(p) // never fails
	return p
}

// fat32 makes the image name with an empty FAT32 volume of 512-byte clusters.
func (b *bench) fat32(name string, mib int) error {
	os.Remove(b.path(name))
	return b.do("mkfs.vfat", "-C", "-F", "32", "-s", "1", "-n", "BENCH", name, strconv.Itoa(mib*1024))
}

// initrd makes initrd.img, unless it is there.
func (b *bench) initrd() error {
	if _, err := os.Stat(b.path("initrd.img")); err == nil {
		return nil
	}
	return os.WriteFile(b.path("initrd.img"), noise(1, initrdSize), 0o666)
}

// big makes big.img, unless it is there: FAT32 of 256 MiB with initrd.img in it.
func (b *bench) big() error {
	if _, err := os.Stat(b.path("big.img")); err == nil {
		return nil
	}
	if err := b.initrd(); err != nil {
		return err
	}
	if err := b.fat32("big.img", 256); err != nil {
		return err
	}
	return b.do("mcopy", "-i", "big.img", "initrd.img", "::")
}

// sameInitrd demands that an image holds initrd.img.
func (b *bench) sameInitrd(img string) error {
	cmd := exec.Command("sh", "-c", `"$0" "$1:0:/initrd.img" | cmp - initrd.img`, filepath.Join(b.bin, "nobodd-cat"), img)
	cmd.Dir = b.tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s holds another initrd.img: %w\n%s", img, err, out)
	}
	return nil
}

func benchCat(b *bench) error {
	const what = "nobodd-cat, 78,601,311 bytes"
	if b.lacks(what, "mkfs.vfat", "mcopy", "mtype") {
		return nil
	}
	if err := b.big(); err != nil {
		return err
	}
	if err := b.sameInitrd("big.img"); err != nil {
		return err
	}
	for _, pipe := range []bool{false, true} {
		to := " to /dev/null"
		if pipe {
			to = " through a pipe"
		}
		c, err := b.turns(
			program{args: b.tool("nobodd-cat", "big.img:0:/initrd.img"), pipe: pipe},
			program{args: []string{"mtype", "-i", "big.img", "::/initrd.img"}, pipe: pipe},
		)
		if err != nil {
			return err
		}
		b.against(what+to, "mtype", c[0].ms(), c[1].ms(), 1.2, "ms")
		b.atMost("  its peak memory", c[0].mib(), 32, "MiB")
	}
	return nil
}

// smallFiles makes a directory of n small files with long, alike names.
func (b *bench) smallFiles(n int) (string, error) {
	dir := fmt.Sprintf("files%d", n)
	if err := os.MkdirAll(b.path(dir), 0o777); err != nil {
		return "", err
	}
	for i := range n {
		name := fmt.Sprintf("a device tree overlay with a long name, number %04d.dtbo", i)
		if err := os.WriteFile(filepath.Join(b.path(dir), name), noise(uint64(i), 100+i%700), 0o666); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func benchLs(b *bench) error {
	const what = "nobodd-ls -l, 200 long names"
	if b.lacks(what, "mkfs.vfat", "mdir") {
		return nil
	}
	dir, err := b.smallFiles(200)
	if err != nil {
		return err
	}
	if err := b.fat32("ls.img", 64); err != nil {
		return err
	}
	if err := b.do(b.tool("nobodd-cp", "-r", dir, "ls.img:0:/")...); err != nil {
		return err
	}
	few := *b
	few.rounds = 4 * b.rounds // short runs: more of them
	c, err := few.turns(
		program{args: b.tool("nobodd-ls", "-l", "ls.img:0:/"+dir)},
		program{args: []string{"mdir", "-i", "ls.img", "::/" + dir}},
	)
	if err != nil {
		return err
	}
	b.atMost(what, c[0].ms(), 10, "ms")
	b.against("  beside mdir", "mdir", c[0].ms(), c[1].ms(), 0, "ms")
	return nil
}

func benchCp(b *bench) error {
	const what = "nobodd-cp, 78,601,311 bytes over as many"
	if b.lacks(what, "mkfs.vfat", "mcopy", "dd", "sync") {
		return nil
	}
	if err := b.initrd(); err != nil {
		return err
	}
	for _, img := range []string{"ours.img", "mcopy.img", "dd.img"} {
		if err := b.fat32(img, 256); err != nil {
			return err
		}
		if err := b.do("mcopy", "-i", img, "initrd.img", "::"); err != nil {
			return err
		}
	}
	settle := func() error { return b.do("sync") }
	ours := func(args ...string) program {
		return program{args: b.tool("nobodd-cp", append(args, "initrd.img", "ours.img:0:/")...), prep: settle,
			then: func(round int, _ cost) error {
				if round > 1 {
					return nil
				}
				return b.sameInitrd("ours.img")
			}}
	}
	c, err := b.turns(
		ours("--no-sync"),
		program{args: []string{"mcopy", "-o", "-i", "mcopy.img", "initrd.img", "::"}, prep: settle},
		program{args: []string{"dd", "if=initrd.img", "of=dd.img", "bs=1M", "seek=8", "conv=notrunc", "status=none"}, prep: settle},
		ours(),
		program{args: []string{"sh", "-c", "mcopy -o -i mcopy.img initrd.img :: && sync mcopy.img"}, prep: settle},
	)
	if err != nil {
		return err
	}
	b.against(what+", --no-sync", "mcopy", c[0].ms(), c[1].ms(), 1.2, "ms")
	b.against("  beside dd", "dd conv=notrunc", c[0].ms(), c[2].ms(), 1.5, "ms")
	b.atMost("  its peak memory", c[0].mib(), 32, "MiB")
	b.against(what+", synced", "mcopy; sync", c[3].ms(), c[4].ms(), 1.2, "ms")
	b.atMost("  its peak memory", c[3].mib(), 32, "MiB")
	return b.fsck("ours.img")
}

// fsck demands that fsck.vfat, where it is installed, finds nothing wrong with an image.
func (b *bench) fsck(img string) error {
	if len(testimg.Absent("fsck.vfat")) > 0 {
		return nil
	}
	return b.do("fsck.vfat", "-n", img)
}

func benchDir(b *bench) error {
	const what = "nobodd-cp -r, %d small files"
	if b.lacks(fmt.Sprintf(what, 2000), "mkfs.vfat", "cp") {
		return nil
	}
	if err := b.fat32("empty.img", 64); err != nil {
		return err
	}
	fresh := func(name string) func() error {
		return func() error { return b.do("sh", "-c", "cp --sparse=always empty.img "+name+" && sync "+name) }
	}
	times := map[int]cost{}
	for _, n := range []int{200, 2000, 4000} {
		dir, err := b.smallFiles(n)
		if err != nil {
			return err
		}
		programs := []program{{args: b.tool("nobodd-cp", "-r", dir, "dir.img:0:/"), prep: fresh("dir.img")}}
		if n == 200 && !b.lacks(fmt.Sprintf(what, n)+" beside mcopy -s", "mcopy") {
			programs = append(programs, program{args: []string{"mcopy", "-s", "-i", "mdir.img", dir, "::"}, prep: fresh("mdir.img")})
		}
		c, err := b.turns(programs...)
		if err != nil {
			return err
		}
		times[n] = c[0]
		if len(c) > 1 {
			b.against(fmt.Sprintf(what, n), "mcopy -s", c[0].ms(), c[1].ms(), 0, "ms")
		}
		if err := b.sameFiles(dir, "dir.img"); err != nil {
			return err
		}
	}
	b.atMost(fmt.Sprintf(what, 2000), times[2000].ms(), 1000, "ms")
	b.against(fmt.Sprintf(what, 4000), "2000 files", times[4000].ms(), times[2000].ms(), 2.3, "ms")
	b.atMost("  its peak memory", times[4000].mib(), 32, "MiB")
	return nil
}

// sameFiles demands that img holds what dir holds, as the second reader sees it.
func (b *bench) sameFiles(dir, img string) error {
	f, err := os.Open(b.path(img))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	tree, err := fatcheck.ReadTree(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", img, err)
	}
	files, err := os.ReadDir(b.path(dir))
	if err != nil {
		return err
	}
	for _, file := range files {
		want, err := os.ReadFile(filepath.Join(b.path(dir), file.Name()))
		if err != nil {
			return err
		}
		if !bytes.Equal(tree[dir+"/"+file.Name()], want) {
			return fmt.Errorf("%s holds another %s", img, file.Name())
		}
	}
	return nil
}

// benchFsync counts how often a command waits for the disk.
func benchFsync(b *bench) error {
	if b.lacks("calls of fsync", "strace", "mkfs.vfat") {
		return nil
	}
	dir, err := b.smallFiles(200)
	if err != nil {
		return err
	}
	if err := b.fat32("fsync.img", 64); err != nil {
		return err
	}
	if err := os.WriteFile(b.path("one"), noise(2, 100000), 0o666); err != nil {
		return err
	}
	for _, c := range []struct {
		what string
		args []string
	}{
		{"nobodd-cp, one file", b.tool("nobodd-cp", "one", "fsync.img:0:/")},
		{"nobodd-cp, over an old one", b.tool("nobodd-cp", "one", "fsync.img:0:/")},
		{"nobodd-cp -r, 200 files", b.tool("nobodd-cp", "-r", dir, "fsync.img:0:/")},
		{"nobodd-cat -o", b.tool("nobodd-cat", "-o", "fsync.img:0:/two", "one")},
		{"nobodd-rm -r, 200 files", b.tool("nobodd-rm", "-r", "fsync.img:0:/"+dir)},
		{"nobodd-cp --no-sync", b.tool("nobodd-cp", "--no-sync", "one", "fsync.img:0:/")},
	} {
		n, err := b.countSyncs(c.args)
		if err != nil {
			return err
		}
		bar := 4.0
		if c.what == "nobodd-cp --no-sync" {
			bar = 0
		}
		b.atMost("calls of fsync: "+c.what, float64(n), bar, "")
	}
	return nil
}

var syncCall = regexp.MustCompile(`(?m)^.*\b(fsync|fdatasync|syncfs|sync|sync_file_range|msync)\(`)

func (b *bench) countSyncs(args []string) (int, error) {
	trace := []string{"strace", "-f", "-o", "trace", "-e", "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync"}
	if err := b.do(append(trace, args...)...); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(b.path("trace"))
	if err != nil {
		return 0, err
	}
	return len(syncCall.FindAll(text, -1)), nil
}

// benchPrep prepares a 4 GiB image, sparse as one that was just unpacked.
func benchPrep(b *bench) error {
	const what = "nobodd-prep, 4 GiB image to 16GB"
	prep, err := filepath.Abs("scripts/nobodd-prep")
	if err != nil {
		return err
	}
	if b.lacks(what, "sfdisk", "mkfs.vfat", "cp", prep) {
		return nil
	}
	if err := b.initrd(); err != nil {
		return err
	}
	const script = `set -e
		rm -f template.img boot.img
		mkfs.vfat -C -F 32 -s 1 -n system-boot boot.img 262144 >/dev/null 2>&1
		echo 'console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc quiet splash' >cmdline.txt
		"$0" cmdline.txt initrd.img boot.img:0:/`
	if err := b.do("sh", "-c", script, filepath.Join(b.bin, "nobodd-cp")); err != nil {
		return err
	}
	if err := b.disk("template.img", "4G", "boot.img"); err != nil {
		return err
	}
	fresh := func() error { return b.do("sh", "-c", "cp --sparse=always template.img prep.img && sync prep.img") }
	env := []string{"env", "PATH=" + b.bin + ":" + os.Getenv("PATH"), prep, "--nbd-host", "server"}
	c, err := b.turns(
		program{args: append(env, "prep.img"), prep: fresh},
		program{args: append(env, "--copy", "initrd.img", "prep.img"), prep: fresh},
	)
	if err != nil {
		return err
	}
	b.atMost(what, c[0].ms(), 100, "ms")
	b.atMost(what+", initrd.img copied", c[1].ms(), 200, "ms") // a tenth of what the Python nobodd-prep takes at best
	return nil
}
