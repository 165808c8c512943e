// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"nobodd/internal/testimg"
)

// checkVersion is the version of the kernel that the initramfs is for.
const checkVersion = "6.8.0-1013-raspi"

// benchCheck judges an initramfs of the size that Ubuntu makes them, beside programs that only list it.
func benchCheck(b *bench) error {
	const what = "nobodd-check, an initramfs of 80 MB in zstd"
	if b.lacks(what, "mkfs.vfat", "mcopy", "cpio", "zstd") {
		return nil
	}
	if err := b.initramfs(); err != nil {
		return err
	}
	if err := b.checkImage(); err != nil {
		return err
	}
	// The image is a file system without a root: that is the one failure.
	check := `"$0" -q -m pi4 check.img:0: | grep -v "as a Raspberry Pi 4" | head -n 1 | grep -q "FAIL  root "`
	c, err := b.turns(
		program{args: append([]string{"sh", "-c", check}, b.tool("nobodd-check")...)},
		program{args: []string{"sh", "-c", "zstd -dcq initramfs.zst | cpio -t --quiet >list"}},
	)
	if err != nil {
		return err
	}
	b.against(what, "zstd | cpio -t", c[0].ms(), c[1].ms(), 1.5, "ms")
	b.atMost("  its peak memory", c[0].mib(), 64, "MiB")
	return nil
}

// initramfs makes initramfs.zst: 172 files of a mebibyte, a third of it noise, and what nobodd-check
// looks for.
func (b *bench) initramfs() error {
	dir := b.path("initramfs")
	program := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + "\xb7\x00" + strings.Repeat("\x00", 44)
	modules := "usr/lib/modules/" + checkVersion + "/kernel/"
	files := map[string][]byte{
		"scripts/functions":                  []byte("configure_networking() { :; }\n"),
		"scripts/local-top/nbd":              []byte("#!/bin/sh\n/sbin/nbd-client $nbdsrv\n"),
		"usr/sbin/nbd-client":                []byte(program),
		modules + "drivers/block/nbd.ko.zst": []byte("module"),
	}
	for i := range 172 {
		var body bytes.Buffer
		for j := 0; body.Len() < 1<<20; j++ {
			body.Write(noise(uint64(i*1000+j), 4096))
			for end := body.Len() + 8192; body.Len() < end; {
				fmt.Fprintf(&body, "%d: symbol %x of object %d\n", body.Len(), body.Len()*j, i)
			}
		}
		files[fmt.Sprintf("%sdrivers/net/module%d.ko", modules, i)] = body.Bytes()
	}
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, body, 0o777); err != nil {
			return err
		}
	}
	err := b.do("sh", "-c", "cd initramfs && find . | cpio -o -H newc --quiet | zstd -q -3 -o ../initramfs.zst")
	if err == nil {
		err = os.RemoveAll(dir)
	}
	return err
}

// checkImage makes check.img: a boot partition of a Pi 4 with initramfs.zst in it.
func (b *bench) checkImage() error {
	for name, body := range testimg.BootFiles(checkVersion, checkVersion) {
		if err := os.WriteFile(b.path(name), body, 0o666); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"config.txt":  "kernel=vmlinuz\ninitramfs initramfs.zst followkernel\n",
		"cmdline.txt": "ip=dhcp nbdroot=192.168.0.4/jammy root=/dev/nbd0p2\n",
		"start4.elf":  "firmware", "fixup4.dat": "firmware",
	} {
		if err := os.WriteFile(b.path(name), []byte(text), 0o666); err != nil {
			return err
		}
	}
	if err := b.fat32("check.img", 256); err != nil {
		return err
	}
	if err := b.do("mcopy", "-i", "check.img", "config.txt", "cmdline.txt", "start4.elf", "fixup4.dat", "vmlinuz",
		"bcm2711-rpi-4-b.dtb", "initramfs.zst", "::"); err != nil {
		return err
	}
	out, _ := exec.Command(filepath.Join(b.bin, "nobodd-check"), "-m", "pi4", b.path("check.img")+":0:").Output()
	if !bytes.Contains(out, []byte("\nok    nbd  ")) {
		return fmt.Errorf("nobodd-check does not find the NBD client:\n%s", out)
	}
	return nil
}
