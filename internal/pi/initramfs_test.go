// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// entry is one file of an archive that a test makes.
type entry struct {
	name  string
	mode  uint32 // 0 is a regular file
	body  string
	ino   uint32
	links uint32
}

// newc makes a cpio archive of the format newc, with its trailer.
func newc(entries ...entry) []byte {
	var b bytes.Buffer
	for i, e := range append(entries, entry{name: cpioTrailer}) {
		if e.mode == 0 {
			e.mode = modeRegular | 0o755
		}
		if e.ino == 0 {
			e.ino = uint32(i + 1000)
		}
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", e.ino, e.mode, 0, 0,
			max(e.links, 1), 0, len(e.body), 0, 0, 0, 0, len(e.name)+1, 0)
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
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func read(b []byte) (*Initramfs, error) {
	return ReadInitramfs(context.Background(), bytes.NewReader(b), InitramfsOptions{})
}

func dir(name string) entry { return entry{name: name, mode: modeDir | 0o755} }
func symlink(name, target string) entry {
	return entry{name: name, mode: modeLink | 0o777, body: target}
}

// elf is the beginning of a program for arm64.
var elf = "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + "\xb7\x00" + strings.Repeat("\x00", 44)

// bootable is what initramfs-tools makes for one kernel, as far as it matters.
func bootable(version string) []entry {
	return []entry{
		symlink("lib", "usr/lib"), symlink("sbin", "usr/sbin"),
		{name: "conf/initramfs.conf", body: "MODULES=most\nIP=\n"},
		{name: "scripts/functions", body: "configure_networking()\n"},
		{name: "scripts/local-top/nbd", body: "#!/bin/sh\n/sbin/nbd-client $nbdsrv\n"},
		{name: "usr/sbin/nbd-client", body: elf},
		{name: "usr/bin/ipconfig", body: elf},
		{name: "usr/lib/aarch64-linux-gnu/libc.so.6", body: elf + "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"},
		dir("usr/lib/modules"), dir("usr/lib/modules/" + version),
		{name: "usr/lib/modules/" + version + "/kernel/drivers/block/nbd.ko.xz", body: "module"},
		{name: "usr/lib/modules/" + version + "/kernel/drivers/net/phy.ko.xz", body: "module"},
	}
}

func TestReadInitramfs(t *testing.T) {
	in, err := read(gzipped(newc(bootable("6.8.0-1013-raspi")...)))
	if err != nil {
		t.Fatal(err)
	}
	if in.Generator != InitramfsTools || in.Evidence != "scripts/functions" {
		t.Errorf("generator %q by %q", in.Generator, in.Evidence)
	}
	if in.Client == nil || *in.Client != (Client{"usr/sbin/nbd-client", "usr/sbin/nbd-client", "arm64"}) {
		t.Errorf("client %+v", in.Client)
	}
	if !slices.Equal(in.Scripts, []string{"scripts/local-top/nbd"}) {
		t.Errorf("scripts %q", in.Scripts)
	}
	want := Modules{"6.8.0-1013-raspi", "usr/lib/modules/6.8.0-1013-raspi/kernel/drivers/block/nbd.ko.xz", false, 2}
	if !slices.Equal(in.Modules, []Modules{want}) {
		t.Errorf("modules %+v", in.Modules)
	}
	if ok, why := in.CanResolve("server"); ok || why != "it has no etc/resolv.conf, and no script that writes one" {
		t.Errorf("CanResolve = %v, %q", ok, why)
	}
}
