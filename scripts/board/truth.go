// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// variant is an image that differs from one in order in one thing.
type variant struct {
	name string
	// change is a shell script that makes it so: in the folder of the files of the boot partition, where
	// $kernel and $initramfs are the names of these two, and $dracut is how those that dracut has made for this
	// kernel begin. The function unpacked of prelude is there for it.
	change string
}

// prelude is what the variants have in common. unpacked COMMAND changes what is in the initramfs.
const prelude = `set -eu
unpacked() {
	mkdir tree && cd tree
	{ zstd -qdc ../$initramfs 2>/dev/null || gzip -dc ../$initramfs; } | cpio --quiet -id
	eval "$1"
	find . | cpio --quiet -o -H newc | gzip -1 >../$initramfs
	cd .. && rm -r tree
}
`

var variants = []variant{
	{"all in order", ""},
	{"no nbd-client in the initramfs", `unpacked 'rm usr/sbin/nbd-client'`},
	{"no nbd module in the initramfs", `unpacked 'find . -name "nbd.ko*" -exec rm {} +'`},
	{"modules of another version", `unpacked 'cd usr/lib/modules && mv * 6.1.0-1-arm64 && cd ../../..'`},
	{"no nbdroot=", `sed -i 's/nbdroot=[^ ]* //' cmdline.txt`},
	{"no ip=", `sed -i 's/ip=dhcp //' cmdline.txt`},
	{"ip=off", `sed -i 's/ip=dhcp/ip=off/' cmdline.txt`},
	{"root= on the boot partition", `sed -i 's/nbd0p2/nbd0p1/' cmdline.txt`},
	{"root= on an SD card", `sed -i 's/nbd0p2/mmcblk0p2/' cmdline.txt`},
	{"config.txt names a missing initramfs", `sed -i 's/^initramfs /&no-/' config.txt`},
	{"initramfs cut short", `truncate -s -1000000 $initramfs`},
	{"kernel cut short", `truncate -s 20000000 $kernel`},
	{"a host name in nbdroot=", `sed -i 's/nbdroot=[^/]*/nbdroot=server.example/' cmdline.txt`},
	{"a host name, and etc/resolv.conf", `sed -i 's/nbdroot=[^/]*/nbdroot=server.example/' cmdline.txt
		unpacked 'mkdir -p etc; echo nameserver ` + server + ` >etc/resolv.conf'`},
	{"dracut's initramfs, netroot=", "cp $dracut-network-legacy.img $initramfs" + netroot},
	{"dracut's initramfs, nbdroot=", "cp $dracut-network-legacy.img $initramfs"},
	{"dracut's with systemd-networkd", "cp $dracut-systemd-networkd.img $initramfs" + netroot},
}

// netroot has the command line speak dracut's language.
const netroot = "\nsed -i 's/nbdroot=\\([^/]*\\).\\([^ ]*\\)/netroot=nbd:\\1:\\2/' cmdline.txt"

// truth compares what nobodd-check says of each variant with what becomes of a board that boots it. All
// of them must agree.
func truth(l *lab, template string, only []string) error {
	if err := l.serve("nbdkit"); err != nil {
		return err
	}
	table := fmt.Sprintf("%-38s %-14s %s\n", "IMAGE", "NOBODD-CHECK", "THE BOARD")
	wrong := 0
	for i, v := range variants {
		if len(only) > 0 && !strings.Contains(v.name, only[0]) {
			continue
		}
		row, agree, err := l.try(v, i, template)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		if !agree {
			wrong++
			row += "   <- they disagree"
		}
		say("%s", row)
		table += row + "\n"
	}
	fmt.Print("\n", table)
	if wrong > 0 {
		return fmt.Errorf("nobodd-check and the board disagree on %d of %d images", wrong, len(variants))
	}
	return nil
}

// try makes the variant, asks nobodd-check, and boots it.
func (l *lab) try(v variant, number int, template string) (row string, agree bool, err error) {
	name := fmt.Sprintf("variant%d", number)
	serial := fmt.Sprintf("%08x", 0xb0a2d000+number)
	image := name + ".img"
	if err := l.prepare(template, name, serial); err != nil {
		return "", false, err
	}
	defer os.Remove(l.path(image))
	if err := l.vary(image, v, filepath.Dir(template)); err != nil {
		return "", false, err
	}
	if err := l.reload(serial); err != nil {
		return "", false, err
	}
	fail, err := l.check(image)
	if err != nil {
		return "", false, err
	}
	b, err := l.power(name, serial, 0)
	if err != nil {
		return "", false, err
	}
	defer b.switchOff()
	end, err := b.boot()
	if err != nil {
		return "", false, err
	}
	verdict := "boots"
	if fail != "" {
		verdict = "FAIL " + strings.Fields(fail)[0]
	}
	return fmt.Sprintf("%-38s %-14s %s", v.name, verdict, end), (fail == "") == (end == loginPrompt), nil
}

// vary changes the files of an image's boot partition.
func (l *lab) vary(image string, v variant, cache string) error {
	files := l.path("files")
	if err := os.RemoveAll(files); err != nil {
		return err
	}
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	if _, err := l.do("nobodd-cp", "-r", image+":/*.txt", image+":/vmlinuz-*", image+":/initrd.img-*", files); err != nil {
		return err
	}
	names := "dracut=" + filepath.Join(cache, "dracut") + "\nkernel=$(echo vmlinuz-*) initramfs=$(echo initrd.img-*)\n"
	if _, err := l.do("sh", "-c", prelude+"cd files\n"+names+v.change); err != nil {
		return err
	}
	_, err := l.do("nobodd-cp", "-r", files+"/.", image+":/")
	return err
}
