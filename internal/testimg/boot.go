// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"strings"
)

// BootFiles returns stand-ins for what a Pi 4 boots Ubuntu from, by name: small, with headers that
// are right. The kernel is of one version; the initramfs, as initramfs-tools makes it with
// nbd-client installed, has modules for another, or for the same.
func BootFiles(kernel, modules string) map[string][]byte {
	return map[string][]byte{
		"vmlinuz":             Gzip(ARM64Image(kernel, 1)),
		"initrd.img":          Gzip(initramfs(modules)),
		"bcm2711-rpi-4-b.dtb": DeviceTree("bcm2711"),
	}
}

// ARM64Image returns an arm64 Image with a banner. pages are two bits of its flags: 1 stands for
// pages of 4 KiB, 2 for 16. Spec: Linux, Documentation/arch/arm64/booting.rst.
func ARM64Image(version string, pages int) []byte {
	p := make([]byte, 4096)
	copy(p, "MZ")
	binary.LittleEndian.PutUint64(p[16:], uint64(len(p)))
	p[24] = byte(pages << 1)
	copy(p[56:], "ARM\x64")
	return append(p, Banner(version)...)
}

// Banner returns what an unpacked kernel holds of its version.
func Banner(version string) string {
	return "\x00%s version %s (%s)\x00Linux version of no kernel\x00Linux version " +
		version + " (build@host) #1 SMP\n\x00"
}

// Gzip packs data.
func Gzip(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data) // never fails
	z.Close()
	return b.Bytes()
}

// DeviceTree returns the beginning of a device tree that names the chip: bcm2711.
// Spec: Devicetree Specification 0.4, 5.2.
func DeviceTree(chip string) []byte {
	p := binary.BigEndian.AppendUint32(nil, 0xd00dfeed)
	p = binary.BigEndian.AppendUint32(p, 72)
	return append(p, fmt.Sprintf("%-64s", "raspberrypi,x\x00brcm,"+chip+"\x00")...)
}

// initramfs is a cpio archive of the format newc.
func initramfs(version string) []byte {
	program := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + "\xb7\x00" + strings.Repeat("\x00", 44)
	dir := "usr/lib/modules/" + version + "/kernel/drivers/"
	var b bytes.Buffer
	for _, file := range [][2]string{
		{"scripts/functions", "configure_networking() { :; }\n"},
		{"scripts/local-top/nbd", "#!/bin/sh\n/sbin/nbd-client $nbdsrv -N $nbdpath\n"},
		{"usr/sbin/nbd-client", program},
		{"usr/bin/ipconfig", program},
		{"usr/lib/aarch64-linux-gnu/libc.so.6", program + "GNU C Library stable release version 2.35.\n"},
		{dir + "block/nbd.ko.zst", "module"},
		{dir + "net/phy/broadcom.ko.zst", "module"},
		{"TRAILER!!!", ""},
	} {
		name, body := file[0]+"\x00", file[1]
		b.WriteString("070701")
		for _, field := range []int{b.Len(), 0o100755, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name), 0} {
			fmt.Fprintf(&b, "%08x", field)
		}
		b.WriteString(name)
		b.Write(make([]byte, -b.Len()&3))
		b.WriteString(body)
		b.Write(make([]byte, -b.Len()&3))
	}
	return b.Bytes()
}
