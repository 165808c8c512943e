// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"slices"
	"strings"
)

// initramfsTools is what initramfs-tools makes with nbd-client installed.
func initramfsTools(version string) []byte {
	entries := bootable(version)
	if strings.Contains(version, "-v7") {
		for i := range entries {
			entries[i].body = strings.ReplaceAll(entries[i].body, "\xb7\x00", "\x28\x00") // for arm
		}
	}
	return gzipped(newc(entries...))
}

// netrootCaller is what dracut's systemd-networkd module has in 106, and lacks in 059.
const netrootCaller = "usr/lib/dracut/hooks/initqueue/settled/99-networkd-run.sh"

// dracutEntries is what dracut makes with its nbd module.
func dracutEntries(version string) []entry {
	return []entry{
		{name: "usr/lib/dracut-lib.sh", body: "#!/bin/sh\n"},
		{name: "usr/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh",
			body: "#!/bin/sh\necho 'nbd-client -check /dev/nbd0'\n"},
		{name: "usr/sbin/nbdroot", body: "#!/bin/sh\nnbd-client -p $nbdserver\n"},
		{name: "usr/sbin/nbd-client", body: elf},
		{name: netrootCaller, body: "for ifpath in /sys/class/net/*; do\n/sbin/netroot \"$ifname\"\ndone\n"},
		{name: "usr/lib/systemd/systemd-networkd", body: elf},
		{name: "usr/lib/systemd/systemd-resolved", body: elf},
		{name: "usr/lib/aarch64-linux-gnu/libc.so.6",
			body: elf + "GNU C Library (Ubuntu GLIBC 2.42) stable release version 2.42.\n"},
		dir("usr/lib/modules"), dir("usr/lib/modules/" + version),
		{name: "usr/lib/modules/" + version + "/kernel/drivers/block/nbd.ko.zst", body: "module"},
	}
}

func dracutInitramfs(version string) []byte { return gzipped(newc(dracutEntries(version)...)) }

// lacking is an initramfs without the entries of some names.
func lacking(entries []entry, names ...string) []byte {
	return gzipped(newc(slices.DeleteFunc(entries, func(e entry) bool { return slices.Contains(names, e.name) })...))
}
