// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// entry is one file of an archive that a test makes.
type entry struct {
	name  string
	mode  uint32 // 0 is a regular file
	body  string
	ino   uint32 // 0 is one of its own
	links uint32
}

// newc makes a cpio archive of the format newc, with its trailer.
func newc(entries ...entry) []byte { return cpioOf("070701", entries...) }

// cpioOf makes a cpio archive with that magic. Its checksums are right.
func cpioOf(magic string, entries ...entry) []byte {
	var b bytes.Buffer
	for i, e := range append(slices.Clip(entries), entry{name: cpioTrailer}) {
		if e.mode == 0 {
			e.mode = modeRegular | 0o755
		}
		if e.ino == 0 {
			e.ino = uint32(i + 1000)
		}
		sum := uint32(0)
		for _, c := range []byte(e.body) {
			sum += uint32(c)
		}
		fmt.Fprintf(&b, "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", magic, e.ino, e.mode, 0, 0,
			max(e.links, 1), 0, len(e.body), 0, 0, 0, 0, len(e.name)+1, sum)
		b.WriteString(e.name)
		b.WriteByte(0)
		b.Write(make([]byte, pad4(int64(b.Len()))))
		b.WriteString(e.body)
		b.Write(make([]byte, pad4(int64(b.Len()))))
	}
	return b.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func readInitramfs(b []byte) (*Initramfs, error) {
	return ReadInitramfs(context.Background(), bytes.NewReader(b), InitramfsOptions{})
}

// mustRead reads an initramfs in which nothing is wrong.
func mustRead(t *testing.T, b []byte) *Initramfs {
	t.Helper()
	in, err := readInitramfs(b)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func file(name, body string) entry { return entry{name: name, body: body} }
func dir(name string) entry        { return entry{name: name, mode: modeDir | 0o755} }
func symlink(name, target string) entry {
	return entry{name: name, mode: modeLink | 0o777, body: target}
}

// elf returns the beginning of a program for a machine.
func program(machine byte) string {
	return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + string([]byte{machine, 0}) + strings.Repeat("\x00", 44)
}

// elf is the beginning of a program for arm64.
var elf = program(0xb7)

// bootable is what initramfs-tools makes for one kernel, as far as it matters.
func bootable(version string) []entry {
	return []entry{
		symlink("lib", "usr/lib"), symlink("sbin", "usr/sbin"),
		file("conf/initramfs.conf", "MODULES=most\nIP=\n"),
		file("scripts/functions", "configure_networking()\n"),
		file("scripts/local-top/nbd", "#!/bin/sh\n/sbin/nbd-client $nbdsrv\n"),
		file("usr/sbin/nbd-client", elf),
		file("usr/bin/ipconfig", elf),
		glibc("2.36"),
		dir("usr/lib/modules"), dir("usr/lib/modules/" + version),
		file("usr/lib/modules/"+version+"/kernel/drivers/block/nbd.ko.xz", "module"),
		file("usr/lib/modules/"+version+"/kernel/drivers/net/phy.ko.xz", "module"),
	}
}

// glibc returns a file that says it is that version of the C library.
func glibc(version string) entry {
	return file("usr/lib/aarch64-linux-gnu/libc.so.6", elf+strings.Repeat("x", 70_000)+
		"GNU C Library (Debian GLIBC "+version+"-9) stable release version "+version+".\n")
}

// client is an NBD client where Debian has it.
var client = file("usr/sbin/nbd-client", elf)

// toolsEntries is what initramfs-tools makes, as far as it matters.
var toolsEntries = []entry{
	symlink("lib", "usr/lib"), symlink("sbin", "usr/sbin"), symlink("bin", "usr/bin"),
	file("conf/initramfs.conf", "MODULES=most\nIP=\n"),
	file("scripts/functions", "configure_networking()\n"),
	file("usr/bin/ipconfig", program(0xb7)),
}

// dracut is what dracut makes, as far as it matters.
var dracutBase = []entry{file("usr/lib/dracut-lib.sh", "getarg()\n"), file("usr/lib/dracut/dracut-059-4", "")}

func TestGenerator(t *testing.T) {
	for _, tt := range []struct {
		entries             []entry
		generator, evidence string
	}{
		{toolsEntries, InitramfsTools, "scripts/functions"},
		{dracutBase, Dracut, "usr/lib/dracut-lib.sh"},
		{[]entry{file("lib/dracut-lib.sh", "old dracuts have no usr")}, Dracut, "lib/dracut-lib.sh"},
		{[]entry{file("init_functions", "mkinitcpio"), file("config", "")}, "", ""},
		{[]entry{file("scripts/functions", "")}, "", ""}, // empty
		{nil, "", ""},
	} {
		in := mustRead(t, newc(tt.entries...))
		if in.Generator != tt.generator || in.Evidence != tt.evidence {
			t.Errorf("generator %q by %q, want %q by %q", in.Generator, in.Evidence, tt.generator, tt.evidence)
		}
	}
}

func TestClient(t *testing.T) {
	busybox := file("usr/bin/busybox", program(0x28))
	for _, tt := range []struct {
		name    string
		entries []entry
		want    *Client
	}{
		{"Debian", []entry{client}, &Client{"usr/sbin/nbd-client", "usr/sbin/nbd-client", "arm64"}},
		{"root", []entry{file("/sbin/nbd-client", program(62))}, &Client{"sbin/nbd-client", "sbin/nbd-client", "x86-64"}},
		{"local", []entry{file("./usr/local/sbin/nbd-client", "#!/bin/sh\n")}, &Client{"usr/local/sbin/nbd-client", "usr/local/sbin/nbd-client", ""}},
		{"link to busybox", []entry{symlink("usr/bin/nbd-client", "busybox"), busybox},
			&Client{"usr/bin/nbd-client", "usr/bin/busybox", "arm"}},
		{"absolute link through a link", []entry{symlink("bin", "usr/bin"), symlink("sbin/nbd-client", "/bin/busybox"), busybox},
			&Client{"sbin/nbd-client", "usr/bin/busybox", "arm"}},
		{"hard link", []entry{{name: "bin/nbd-client", ino: 7, links: 2}, {name: "bin/busybox", ino: 7, links: 2, body: program(0x28)}},
			&Client{"bin/nbd-client", "bin/nbd-client", "arm"}},
		{"broken link", []entry{symlink("usr/bin/nbd-client", "busybox")}, nil},
		{"links in a circle", []entry{symlink("usr/bin/nbd-client", "nbd-client")}, nil},
		{"empty", []entry{file("sbin/nbd-client", "")}, nil},
		{"a directory", []entry{dir("sbin/nbd-client")}, nil},
		{"elsewhere", []entry{file("usr/share/bash-completion/nbd-client", "x"), file("etc/init.d/nbd-client", "#!/bin/sh")}, nil},
		{"replaced", []entry{client, file("usr/sbin/nbd-client", "")}, nil},
		{"replaced through a link", []entry{client, symlink("sbin", "usr/sbin"), dir("sbin/nbd-client")}, nil},
		{"later wins", []entry{file("usr/sbin/nbd-client", ""), client}, &Client{"usr/sbin/nbd-client", "usr/sbin/nbd-client", "arm64"}},
		{"dots", []entry{file("../../usr/./lib/../sbin/nbd-client", program(0xb7))}, &Client{"usr/sbin/nbd-client", "usr/sbin/nbd-client", "arm64"}},
	} {
		in := mustRead(t, newc(tt.entries...))
		if !reflect.DeepEqual(in.Client, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, in.Client, tt.want)
		}
	}
}

func TestScripts(t *testing.T) {
	nbd := file("scripts/local-top/nbd", "#!/bin/sh\nNBDCLIENT=${NBDCLIENT:-/sbin/nbd-client}\n")
	hook := file("usr/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh", "#!/bin/sh\nnbd-client -check /dev/nbd0\n")
	root := file("usr/sbin/nbdroot", "#!/bin/sh\nnbd-client -p \"$nbdserver\"\n")
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{"initramfs-tools", append(slices.Clip(toolsEntries), nbd), []string{"scripts/local-top/nbd"}},
		{"own script", append(slices.Clip(toolsEntries), file("scripts/init-premount/mine", "nbd-client 10.0.0.1\n")),
			[]string{"scripts/init-premount/mine"}},
		{"only a comment", append(slices.Clip(toolsEntries), file("scripts/local-top/nbd", "#!/bin/sh\n # nbd-client\n")), nil},
		{"not where it is called", append(slices.Clip(toolsEntries), file("etc/init.d/nbd-client", "#!/bin/sh\nnbd-client\n")), nil},
		{"dracut", append(slices.Clip(dracutBase), hook, root),
			[]string{"usr/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh", "usr/sbin/nbdroot"}},
		{"dracut's newer place", append(slices.Clip(dracutBase), file("var/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh", "nbd-client -check\n")),
			[]string{"var/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh"}},
		{"initramfs-tools' script in dracut", append(slices.Clip(dracutBase), nbd), nil},
		{"unknown generator", []entry{file("init", "#!/bin/sh\nnbd-client\n"), file("hooks/nbd", "#!/usr/bin/ash\n nbd-client\n")},
			[]string{"hooks/nbd", "init"}},
		{"a program is no script", []entry{file("bin/x", "\x7fELF nbd-client\n")}, nil},
		{"hard link", append(slices.Clip(toolsEntries), entry{name: "scripts/a", ino: 9, links: 2},
			entry{name: "scripts/b", ino: 9, links: 2, body: "nbd-client\n"}), []string{"scripts/a", "scripts/b"}},
		{"replaced", append(slices.Clip(toolsEntries), nbd, file("scripts/local-top/nbd", "#!/bin/sh\nexit 0\n")), nil},
	} {
		in := mustRead(t, newc(tt.entries...))
		if !slices.Equal(in.Scripts, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, in.Scripts, tt.want)
		}
	}
}

func TestModules(t *testing.T) {
	const v1, v2 = "6.8.0-1005-raspi", "6.8.0-1013-raspi"
	nbd := func(root, version, ext string) entry {
		return file(root+"/modules/"+version+"/kernel/drivers/block/nbd.ko"+ext, "module")
	}
	other := file("usr/lib/modules/"+v2+"/kernel/fs/ext4.ko.zst", "module")
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []Modules
	}{
		{"none", nil, []Modules{}},
		{"plain", []entry{nbd("usr/lib", v1, "")}, []Modules{{v1, "usr/lib/modules/" + v1 + "/kernel/drivers/block/nbd.ko", false, 1}}},
		{"gz", []entry{nbd("lib", v1, ".gz")}, []Modules{{v1, "lib/modules/" + v1 + "/kernel/drivers/block/nbd.ko.gz", false, 1}}},
		{"xz", []entry{nbd("lib", v1, ".xz")}, []Modules{{v1, "lib/modules/" + v1 + "/kernel/drivers/block/nbd.ko.xz", false, 1}}},
		{"zst, through a link", []entry{symlink("lib", "usr/lib"), nbd("lib", v1, ".zst")},
			[]Modules{{v1, "usr/lib/modules/" + v1 + "/kernel/drivers/block/nbd.ko.zst", false, 1}}},
		{"two versions, nbd for one", []entry{nbd("usr/lib", v1, ""), other},
			[]Modules{{v1, "usr/lib/modules/" + v1 + "/kernel/drivers/block/nbd.ko", false, 1}, {v2, "", false, 1}}},
		{"built in", []entry{file("usr/lib/modules/"+v2+"/modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/drivers/block/nbd.ko\n"), other},
			[]Modules{{v2, "", true, 1}}},
		{"another one built in", []entry{file("usr/lib/modules/"+v2+"/modules.builtin", "kernel/drivers/block/nbd2.ko\n")},
			[]Modules{{v2, "", false, 0}}},
		{"an empty directory", []entry{dir("usr/lib/modules/" + v2)}, []Modules{{v2, "", false, 0}}},
		{"an empty module", []entry{file("usr/lib/modules/"+v2+"/updates/nbd.ko", "")}, []Modules{{v2, "", false, 1}}},
		{"an unknown compression", []entry{nbd("usr/lib", v2, ".lzma")}, []Modules{{v2, "", false, 0}}},
		{"updates", []entry{file("usr/lib/modules/"+v2+"/updates/dkms/nbd.ko", "m")},
			[]Modules{{v2, "usr/lib/modules/" + v2 + "/updates/dkms/nbd.ko", false, 1}}},
		{"no version", []entry{file("usr/lib/modules/nbd.ko", "m")}, []Modules{}},
	} {
		in := mustRead(t, newc(tt.entries...))
		if !reflect.DeepEqual(in.Modules, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, in.Modules, tt.want)
		}
		for _, m := range tt.want {
			if got, ok := in.ModulesFor(m.Version); !ok || got != m || got.Has() != (m.NBD != "" || m.Builtin) {
				t.Errorf("%s: ModulesFor(%s) = %+v, %v", tt.name, m.Version, got, ok)
			}
		}
	}
	if m, ok := new(Initramfs).ModulesFor(v1); ok {
		t.Errorf("modules of nothing: %+v", m)
	}
}

func TestNetwork(t *testing.T) {
	in := mustRead(t, newc(file("usr/bin/ipconfig", "x"), symlink("sbin/udhcpc", "../bin/busybox"), file("bin/busybox", "x"),
		symlink("sbin/dhclient", "nothing"), file("usr/lib/systemd/systemd-networkd", "x"),
		file("conf/initramfs.conf", "DEVICE=\nIP=\"dhcp\"\n")))
	want := Network{[]string{"sbin/udhcpc", "usr/bin/ipconfig", "usr/lib/systemd/systemd-networkd"}, "dhcp"}
	if !reflect.DeepEqual(in.Network, want) {
		t.Errorf("%+v, want %+v", in.Network, want)
	}
	in = mustRead(t, newc(file("conf/conf.d/ip", "IP=10.0.0.7::10.0.0.1:255.255.255.0:::off"), file("conf/initramfs.conf", "IP=dhcp\n")))
	if in.Network.IP != "10.0.0.7::10.0.0.1:255.255.255.0:::off" {
		t.Errorf("IP = %q, but conf/conf.d is read after conf/initramfs.conf", in.Network.IP)
	}
}
