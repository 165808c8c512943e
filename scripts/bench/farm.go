// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// benchDirect compares an image that is read past the page cache with one that is not: one daemon
// each, by turns.
func benchDirect(b *bench) error {
	const what = "O_DIRECT, one client, 78,601,311 bytes"
	if b.lacks(what, "mkfs.vfat", "sfdisk") {
		return nil
	}
	initrd, small := noise(1, initrdSize), noise(6, 2000)
	if err := b.tftpFiles(map[string][]byte{"2000.bin": small}); err != nil {
		return err
	}
	if err := b.disk("direct.img", "512M", "tftp.img"); err != nil {
		return err
	}
	var servers [2]*server
	for i, uncached := range []string{"yes", "no"} {
		s, err := b.tftpd("uncached = "+uncached, fmt.Sprintf("[board:%s]\nimage = direct.img\nuncached = %s\n", serial, uncached))
		if err != nil {
			return err
		}
		defer s.stop()
		servers[i] = s
	}
	const requests = 200
	var waits [2][]time.Duration
	for range requests {
		for i, s := range servers {
			took, err := load{"2000.bin", small, 1, 1}.run(s.addr, serial+"/2000.bin")
			if err != nil {
				return err
			}
			waits[i] = append(waits[i], took)
		}
	}
	more := medianOf(waits[0]) - medianOf(waits[1])
	b.atMost("O_DIRECT: more a request, 2000 bytes", float64(more.Microseconds())/1000, 2, "ms")
	for round := range b.rounds + 1 {
		for _, s := range servers {
			if err := s.load(load{"initrd.img", initrd, 1, 1}, round > 0); err != nil {
				return err
			}
		}
	}
	b.against(what, "page cache", servers[0].rate(), servers[1].rate(), -0.8, "MB/s")
	return nil
}

// disk makes an image of a disk with a boot partition, which is a copy of the file boot of 256 MiB, and
// a root partition.
func (b *bench) disk(name, size, boot string) error {
	const script = `truncate -s "$1" "$0" &&
		printf 'start=2048, size=524288, type=c\nstart=526336, type=83\n' | sfdisk -q --label dos "$0" &&
		dd if="$2" of="$0" bs=1M seek=1 conv=notrunc,sparse status=none`
	return b.do("sh", "-c", script, name, size, boot)
}

func medianOf[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// tftpd starts nobodd-tftpd with a configuration.
func (b *bench) tftpd(name, conf string) (*server, error) {
	file := strings.ReplaceAll(name, " ", "") + ".conf"
	if err := os.WriteFile(b.path(file), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	s, err := b.start(peer{name, "", netip.MustParseAddr("127.0.0.1"), 0, func(addr, port string) []string {
		return b.tool("nobodd-tftpd", "-q", "--listen", addr, "--port", port, "--config", b.path(file))
	}})
	if err != nil {
		return nil, err
	}
	s.prefix = serial + "/"
	return s, s.ready()
}

const (
	reflinkBoards = 100
	fleetBoards   = 200
	copiedBoards  = 3
)

// benchFarm makes boards of a template of 4 GiB with 2.7 GB of data: where blocks can be shared, and where
// they are copied; and serves a fleet.
func benchFarm(b *bench) error {
	const what = "nobodd-farm, 100 boards of 4 GiB on XFS"
	if b.lacks(what, "mkfs.xfs", "sfdisk", "mkfs.vfat", "mount") {
		return nil
	}
	if os.Geteuid() != 0 {
		b.skip(what, []string{"root"})
		return nil
	}
	if err := b.do("sh", "-c", "mkdir -p shelf && truncate -s 16G disk && mkfs.xfs -q disk && mount -o loop disk shelf"); err != nil {
		b.skip(what, []string{"loop device"})
		return nil
	}
	defer b.do("umount", "--lazy", "shelf")
	if err := b.farmTemplate(); err != nil {
		return err
	}
	if err := b.farmShared(what); err != nil {
		return err
	}
	if err := b.farmFleet(); err != nil {
		return err
	}
	return b.farmCopied()
}

// farmTemplate makes shelf/template.img.
func (b *bench) farmTemplate() error {
	if err := os.WriteFile(b.path("small.bin"), noise(4, smallSize), 0o644); err != nil {
		return err
	}
	if err := b.fat32("farmboot.img", 256); err != nil {
		return err
	}
	const boot = `echo 'console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc quiet splash' >cmdline.txt
		for name in one.bin two.bin three.bin; do cp small.bin $name; done
		"$0" cmdline.txt one.bin two.bin three.bin farmboot.img:0:/`
	if err := b.do("sh", "-c", boot, filepath.Join(b.bin, "nobodd-cp")); err != nil {
		return err
	}
	if err := b.disk("shelf/template.img", "4G", "farmboot.img"); err != nil {
		return err
	}
	const root = `head -c 2700000000 /dev/urandom | dd of=shelf/template.img bs=1M seek=257 conv=notrunc iflag=fullblock status=none
		mkdir shelf/conf.d && sync -f shelf`
	return b.do("sh", "-c", root)
}

// farm returns the command that makes boards from number first up to last, in the folder dir.
func (b *bench) farm(dir, template string, first, last int, options ...string) ([]string, error) {
	farm, err := filepath.Abs("scripts/nobodd-farm")
	table := fmt.Sprintf("boards%d-%d", first, last)
	var lines strings.Builder
	for i := first; i <= last; i++ {
		fmt.Fprintf(&lines, "%d pi%d\n", i, i)
	}
	if err == nil {
		err = os.WriteFile(b.path(table), []byte(lines.String()), 0o644)
	}
	return append(append([]string{"env", "PATH=" + b.bin + ":" + os.Getenv("PATH"), farm, "-q", "-t", template, "-d", dir,
		"--tftpd-dir", dir + "/conf.d", "--nbd-dir=", table}, options...), "--", "--nbd-host", "server"), err
}

// farmShared makes boards that share their blocks with the template.
func (b *bench) farmShared(what string) error {
	args, err := b.farm("shelf", "shelf/template.img", 1, reflinkBoards, "-j", "2")
	if err != nil {
		return err
	}
	before, err := b.used("shelf")
	if err != nil {
		return err
	}
	start := time.Now()
	if err := b.do(args...); err != nil {
		return err
	}
	b.atMost(what, time.Since(start).Seconds()*1000, 60000, "ms")
	after, err := b.used("shelf")
	b.atMost("  disk a board", float64(after-before)/reflinkBoards, 1024, "KiB")
	return err
}

// used returns how many KiB of the file system at dir are used.
func (b *bench) used(dir string) (kib int64, err error) {
	cmd := exec.Command("sh", "-c", `sync -f "$0" && df -Pk "$0" | awk 'NR == 2 { print $3 }'`, dir)
	cmd.Dir = b.tmp
	out, err := cmd.Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &kib)
	}
	return kib, err
}

// farmFleet makes more boards and lets all of them fetch three files at once.
func (b *bench) farmFleet() error {
	args, err := b.farm("shelf", "shelf/template.img", reflinkBoards+1, fleetBoards, "-j", "2")
	if err != nil {
		return err
	}
	if err := b.do(args...); err != nil {
		return err
	}
	s, err := b.tftpd("fleet", "[tftp]\nincludedir = shelf/conf.d\n")
	if err != nil {
		return err
	}
	defer s.stop()
	var names []string
	for i := range fleetBoards {
		for _, name := range []string{"one.bin", "two.bin", "three.bin"} {
			names = append(names, fmt.Sprintf("%d/%s", i+1, name))
		}
	}
	var list []time.Duration
	for range b.rounds {
		_, slowest, err := load{want: noise(4, smallSize), clients: len(names), window: 1}.runAll(s.addr, names)
		if err != nil {
			return err
		}
		list = append(list, slowest)
	}
	b.atMost("TFTP, 200 boards, 3 files each: slowest first answer", float64(medianOf(list).Microseconds())/1000, 1000, "ms")
	return nil
}

// farmCopied makes boards where the blocks are copied. An image is on the disk when it is ready, so
// that of cp has to be, too; what cp takes without that is shown beside it.
func (b *bench) farmCopied() error {
	what := fmt.Sprintf("nobodd-farm, %d boards of 4 GiB, blocks copied", copiedBoards)
	if err := b.do("cp", "--sparse=always", "shelf/template.img", "template.img"); err != nil {
		return err
	}
	if err := b.do("sh", "-c", "mkdir -p copied/conf.d && ! cp --reflink=always template.img copied/1.img 2>/dev/null"); err != nil {
		b.skip(what, []string{"file system without reflinks"})
		return nil
	}
	args, err := b.farm("copied", "template.img", 1, copiedBoards)
	if err != nil {
		return err
	}
	few := *b
	few.rounds = min(b.rounds, 3)
	fresh := func() error { return b.do("sh", "-c", "rm -f copied/*.img copied/conf.d/*; sync -f .") }
	const copies = `for i in $(seq "$1"); do cp --sparse=always template.img "copied/$i.img"; $0 "copied/$i.img"; done`
	c, err := few.turns(
		program{args: args, prep: fresh},
		program{args: []string{"sh", "-c", copies, "sync", fmt.Sprint(copiedBoards)}, prep: fresh},
		program{args: []string{"sh", "-c", copies, "true", fmt.Sprint(copiedBoards)}, prep: fresh},
	)
	if err != nil {
		return err
	}
	b.against(what, "cp --sparse=always, sync", c[0].ms(), c[1].ms(), 1.1, "ms")
	b.against("  the same", "without sync", c[0].ms(), c[2].ms(), 0, "ms")
	return fresh()
}
