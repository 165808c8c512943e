// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"strings"
	"testing"
)

// damage returns the text of the error of an initramfs that the kernel cannot unpack.
func damage(t *testing.T, b []byte) string {
	t.Helper()
	_, err := readInitramfs(b)
	if d, ok := err.(*DamageError); ok {
		return d.Error()
	}
	t.Errorf("error %v, want a *DamageError", err)
	return ""
}

func TestCPIODamage(t *testing.T) {
	good := newc(client)
	field := func(n int, text string) []byte { // n counts from 0, after the magic
		b := bytes.Clone(good)
		copy(b[6+8*n:], text)
		return b
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"old format", cpioOf("070707", client), "the cpio archive at byte 0: cpio's old format, which kernels do not read; cpio -H newc makes the right one"},
		{"no header", append(newc(client)[:len(newc(client))-124], "0nothing"+strings.Repeat("x", 200)...),
			`the cpio archive at byte 0: no cpio header, but "0nothi"`},
		{"no number", field(6, "0000001x"), `the cpio archive at byte 0: a cpio header with "0000001x" for a number`},
		{"a sign", field(6, "-0000001"), `the cpio archive at byte 0: a cpio header with "-0000001" for a number`},
		{"name without end", bytes.Replace(good, []byte("nbd-client\x00"), []byte("nbd-client!"), 1),
			`the cpio archive at byte 0: a name without its end: "usr/sbin/nbd-client!"`},
		{"wrong checksum", bytes.Replace(cpioOf("070702", client), []byte("ELF\x02"), []byte("ELF\x03"), 1),
			`the cpio archive at byte 0: wrong checksum of "usr/sbin/nbd-client"`},
		{"a name of 1 GiB", field(11, "40000000"), "the cpio archive at byte 0: ends early; it was cut, or did not fit where it was copied to"},
	} {
		if got := damage(t, tt.in); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestCPIOChecksums(t *testing.T) {
	in := mustRead(t, cpioOf("070702", client, file("lib/modules/6.1/nbd.ko", strings.Repeat("\xff", 300_000)), dir("etc"), symlink("a", "b")))
	if in.Client == nil || len(in.Modules) != 1 {
		t.Errorf("%+v", in)
	}
}

// The kernel passes over entries whose names are too long, or empty, and goes on.
func TestCPIOLongNames(t *testing.T) {
	long := strings.Repeat("n", cpioMaxName)
	in := mustRead(t, newc(file(long, "body"), file("", "x"), client))
	if in.Client == nil || in.Entries != 3 {
		t.Errorf("%+v", in)
	}
}

// Names that are kept go to terminals.
func TestNamesArePrintable(t *testing.T) {
	in := mustRead(t, newc(dir("lib/modules/\x1b[2J"), file("lib/modules/6.1\xff/nbd.ko", "m"), file("scripts/a\nb", "nbd-client\n"), dir("lib/modules/é")))
	if len(in.Modules) != 1 || in.Modules[0].Version != "é" || len(in.Scripts) != 0 {
		t.Errorf("%+v, %q", in.Modules, in.Scripts)
	}
}
