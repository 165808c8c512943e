// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// fixtures returns all that make-initramfs.sh made.
func fixtures(t testing.TB) [][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/initramfs/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures (%v)", err)
	}
	var list [][]byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// checkRead reads b within limits that keep fuzzing quick, and checks what it is told.
func checkRead(t *testing.T, b []byte) {
	t.Helper()
	c := newChain(context.Background(), bytes.NewReader(b), InitramfsOptions{})
	c.limit.unpacked = 64 << 20
	c.names.steps = maxSteps - 1_000_000
	err := c.read()
	if !documented(err) {
		t.Fatalf("error %v is none that is documented", err)
	}
	in := c.in
	c.names.facts(in)
	if c.file.offset() > int64(len(b)) || in.Junk > int64(len(b)) {
		t.Errorf("%d bytes of %d read, junk at %d", c.file.offset(), len(b), in.Junk)
	}
	end := int64(0)
	for _, a := range in.Archives {
		if a.Offset < end || a.Packed < 0 || a.Offset+a.Packed > int64(len(b)) || a.Format == "" && err == nil {
			t.Errorf("archives overlap or leave the file of %d bytes: %+v", len(b), in.Archives)
		}
		end = a.Offset + a.Packed
	}
	if ok, why := in.CanResolve("server"); ok == (why != "") {
		t.Errorf("CanResolve = %v, %q", ok, why)
	}
	texts := append(in.Scripts, in.Network.Programs...)
	texts = append(texts, in.Network.IP, in.Libc, in.Servers)
	for _, m := range in.Modules {
		texts = append(texts, m.Version, m.NBD)
	}
	for _, text := range texts {
		if !printable(text) {
			t.Errorf("%q goes to a terminal", text)
		}
	}
}

// FuzzInitramfs: whatever the bytes are, reading ends, with an error that is documented.
func FuzzInitramfs(f *testing.F) {
	for _, b := range fixtures(f) {
		if len(b) < 10<<10 { // mutations of a large packed file only break it
			f.Add(b)
		}
	}
	whole := newc(append(toolsEntries, client, symlink("etc/resolv.conf", "/proc/net/pnp"))...)
	for _, b := range [][]byte{
		whole, cpioOf("070702", client), gzipped(whole), zstdOf(f, whole), xzOf(f, whole), lzmaOf(f, whole),
		lz4Of(whole), join(early, zeros[:64], gzipped(whole)), []byte("\x89LZO\x00\r\n\x1a\n"),
	} {
		f.Add(b)
	}
	f.Fuzz(checkRead)
}

// FuzzCPIO is the same for what is inside of a compressed archive.
func FuzzCPIO(f *testing.F) {
	f.Add(newc(append(toolsEntries, glibc("2.31"), client, entry{name: "bin/a", ino: 7, links: 2}, entry{name: "bin/nbd-client", ino: 7, links: 2, body: program(40)})...))
	f.Add(newc(append(dracutBase, symlink("a", "b/../a"), symlink("b", "a"), file("a/b", "x"), file("lib/modules/6.1/modules.builtin", "nbd.ko"))...))
	f.Add(cpioOf("070702", client, file("etc/hosts", "10.0.0.1 server\n"), dir("usr/lib/modules/6.1")))
	f.Add(join(early, zeros[:4], newc(symlink("x", "/y"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRead(t, b)
		checkRead(t, zstdRaw(b, 2<<20))
	})
}
