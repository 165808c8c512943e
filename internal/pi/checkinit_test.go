// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
)

// TestInitramfsChecks: what is said of an initramfs in the place of Ubuntu 24.04's, and of the
// command line beside it, from warnings on.
func TestInitramfsChecks(t *testing.T) {
	const v = "6.8.0-1013-raspi"
	const nbd = "usr/lib/modules/" + v + "/kernel/drivers/block/nbd.ko.xz"
	noble := ubuntu2404()
	in := func(initrd []byte) fstest.MapFS { return with(noble, "initrd.img", string(initrd)) }
	named := func(fsys fstest.MapFS) fstest.MapFS { return edit(fsys, "cmdline.txt", "192.168.0.4", "server") }
	resolv := entry{name: "scripts/init-premount/resolv",
		body: "#!/bin/sh\necho nameserver $IPV4DNS0 >/etc/resolv.conf\n"}
	libc := "usr/lib/aarch64-linux-gnu/libc.so.6"
	old := entry{name: libc, body: elf + "GNU C Library (Ubuntu GLIBC 2.31) stable release version 2.31.\n"}
	for _, tt := range []struct {
		name string
		fsys fstest.MapFS
		want string
	}{
		{"whole", in(initramfsTools(v)), ""},
		{"another version", in(initramfsTools("6.8.0-1005-raspi")),
			"FAIL nbd: its modules are for 6.8.0-1005-raspi; this kernel, " + v + ", will not load nbd\n"},
		{"two versions", in(append(initramfsTools("6.8.0-1005-raspi"), initramfsTools(v)...)), ""},
		{"in two files", with(edit(in(initramfsTools("6.8.0-1005-raspi")), "config.txt", "initrd.img",
			"initrd.img,more.img"), "more.img", string(initramfsTools(v))), ""},
		{"no client", in(lacking(bootable(v), "usr/sbin/nbd-client")),
			"FAIL nbd: there is no nbd-client in the initramfs\n"},
		{"no script", in(lacking(bootable(v), "scripts/local-top/nbd")),
			"FAIL nbd: there is no script of initramfs-tools in the initramfs that calls nbd-client\n"},
		{"no module", in(lacking(bootable(v), nbd)),
			"FAIL nbd: the initramfs has no nbd module among those for " + v + "\n"},
		{"nbd built in", in(gzipped(newc(append(bootable(v)[:9:9],
			entry{name: "usr/lib/modules/" + v + "/modules.builtin",
				body: "kernel/drivers/block/nbd.ko\n"})...))), ""},
		{"nbd built in, by the kernel", with(in(lacking(bootable(v), nbd)), "vmlinuz", string(append(arm64Image(v, 1),
			"\x00nbd.nbds_max\x00"...))), ""},
		{"no modules", in(gzipped(newc(bootable(v)[:8]...))),
			"FAIL nbd: the initramfs has no modules, and the kernel no NBD built in\n"},
		{"nothing", in(gzipped(newc(entry{name: "init", body: "#!/bin/sh\n"}))),
			"warn initramfs: initrd.img is made neither by initramfs-tools nor by dracut: how it reads its " +
				"command line is not known\n" +
				"FAIL nbd: there is no nbd-client in the initramfs\nFAIL nbd: the initramfs has no modules, " +
				"and the kernel no NBD built in\n"},
		{"made on a PC", in(gzipped(newc(append(bootable(v), entry{name: "usr/sbin/nbd-client",
			body: strings.Replace(elf, "\xb7", "\x3e", 1)})...))),
			"FAIL nbd: nbd-client in the initramfs is a program for x86-64\n"},
		{"empty", in(nil), "FAIL initramfs: initrd.img is damaged: byte 0: an empty file\n"},
		{"text", in([]byte("<html>")),
			"FAIL initramfs: initrd.img is damaged: byte 0: no initramfs: neither a cpio archive nor a " +
				"compressed one, it begins with \"<html>\"\n"},
		{"cut", in(initramfsTools(v)[:200]),
			"FAIL initramfs: initrd.img is damaged: the gzip archive at byte 0: ends early; it was cut, or did " +
				"not fit where it was copied to\n"},
		{"lzo", in([]byte("\x89LZO\x00\r\n\x1a\n")),
			"warn initramfs: initrd.img cannot be looked into: the lzo archive at byte 0: lzo is not known here\n"},
		{"a version that cannot be told", with(noble, "vmlinuz", string(arm64Image(v, 1)[:4096])),
			"warn nbd: which version the kernel is cannot be told; there is an nbd module for " + v + "\n"},
		{"a host name", named(noble),
			"FAIL host: server: the initramfs cannot look up names: it has no etc/resolv.conf, and no script " +
				"that writes one\n"},
		{"a host name that it can look up", named(in(gzipped(newc(append(bootable(v), resolv)...)))), ""},
		{"a host name without DNS", named(in(gzipped(newc(append(bootable(v), resolv, old)...)))),
			"FAIL host: server: the initramfs cannot look up names: its glibc 2.31 cannot ask name servers: " +
				"libnss_dns is missing\n"},
		{"a host name in etc/hosts", named(in(gzipped(newc(append(bootable(v), old, entry{name: "etc/hosts",
			body: "192.168.0.4 server\n"})...)))), ""},
		{"netroot alone", edit(noble, "cmdline.txt", "nbdroot=192.168.0.4/jammy", "netroot=nbd:192.168.0.4:jammy"),
			"FAIL server: cmdline.txt has netroot=, but the initramfs is one of initramfs-tools, which reads " +
				"nbdroot=HOST/EXPORT\n"},
		{"dracut", edit(in(dracutInitramfs(v)), "cmdline.txt", "nbdroot=192.168.0.4/jammy",
			"netroot=nbd:192.168.0.4:jammy"), ""},
		{"dracut 059 with systemd-networkd", edit(in(lacking(dracutEntries(v), netrootCaller)), "cmdline.txt",
			"nbdroot=192.168.0.4/jammy", "netroot=nbd:192.168.0.4:jammy"),
			"FAIL nbd: nothing in the initramfs calls dracut's netroot once the network is up, and so nothing " +
				"calls nbd-client\n"},
		{"dracut with nbdroot alone", in(dracutInitramfs(v)),
			"FAIL server: cmdline.txt has nbdroot=, but the initramfs is dracut's, which reads " +
				"netroot=nbd:HOST:EXPORT\n"},
		{"an address of the initramfs's own", edit(in(gzipped(newc(append(bootable(v),
			entry{name: "conf/initramfs.conf", body: "IP=dhcp\n"})...))), "cmdline.txt", "ip=dhcp ", ""), ""},
	} {
		if got := lines(check(t, tt.fsys, "pi4"), Warn); got != tt.want {
			t.Errorf("%s:\n%swant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestInitramfsFindings: all that is said of a good initramfs.
func TestInitramfsFindings(t *testing.T) {
	for _, tt := range []struct {
		fsys fstest.MapFS
		want string
	}{
		{ubuntu2404(),
			"ok initramfs: initrd.img: initramfs-tools, gzip\nok nbd: nbd-client, scripts/local-top/nbd, " +
				"nbd.ko for 6.8.0-1013-raspi\n"},
		{ubuntu2604(),
			"ok initramfs: current/initrd.img: dracut, gzip\nok nbd: nbd-client, " +
				"usr/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh, nbd.ko for 7.0.0-1003-raspi\n"},
	} {
		var got string
		for _, line := range strings.SplitAfter(lines(check(t, tt.fsys, "pi4"), OK), "\n") {
			if strings.Contains(line, " initramfs:") || strings.Contains(line, " nbd:") {
				got += line
			}
		}
		if got != tt.want {
			t.Errorf("%swant\n%s", got, tt.want)
		}
	}
}

// TestNoInitramfs: --no-initramfs asks for nothing that only the inside shows, and takes either
// way to name a server.
func TestNoInitramfs(t *testing.T) {
	for _, words := range []string{"nbdroot=server/jammy", "netroot=nbd:server:jammy"} {
		fsys := edit(with(ubuntu2404(), "initrd.img", "damaged"), "cmdline.txt", "nbdroot=192.168.0.4/jammy", words)
		rep, err := New(fsys, Options{Disk: Disk{Root: 2}, NoInitramfs: true}).Check(t.Context(), FindModel("pi4"))
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(rep, Info); got != "info initramfs: initrd.img, not looked into\n" {
			t.Errorf("%s: %s", words, got)
		}
	}
}

// TestReadOnce: what several models load is read once, and no more once the context is cancelled.
func TestReadOnce(t *testing.T) {
	fsys := &counting{MapFS: ubuntu2404(), opened: map[string]int{}}
	c := New(fsys, Options{Disk: Disk{Root: 2}})
	for _, m := range Models {
		if _, err := c.Check(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if fsys.opened["initrd.img"] != 1 || fsys.opened["vmlinuz"] != 1 {
		t.Errorf("initrd.img was opened %d times, vmlinuz %d times", fsys.opened["initrd.img"],
			fsys.opened["vmlinuz"])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(fsys, Options{}).Check(ctx, Models[0]); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}
