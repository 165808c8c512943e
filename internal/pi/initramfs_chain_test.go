// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

var zeros = make([]byte, 4096)

// early is what stands in front of many initramfs: microcode, which does not pack.
var early = newc(dir("kernel"), file("kernel/x86/microcode/GenuineIntel.bin", "microcode"))

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestChain is about what the kernel takes for an initramfs, by its init/initramfs.c.
func TestChain(t *testing.T) {
	main := newc(client)
	packed := gzipped(main)
	n, e := int64(len(main)), int64(len(early))
	at := func(offset int64, format string, packed, unpacked int64, entries int) Archive {
		return Archive{offset, format, packed, unpacked, entries}
	}
	two := gzipped(join(early, zeros[:512], main))
	for _, tt := range []struct {
		name string
		in   []byte
		want []Archive
		junk int64
	}{
		{"plain", main, []Archive{at(0, "cpio", n, n, 1)}, -1},
		{"packed", packed, []Archive{at(0, "gzip", int64(len(packed)), n, 1)}, -1},
		{"zeros in front", join(zeros[:512], main), []Archive{at(512, "cpio", n, n, 1)}, -1},
		{"zeros after", join(packed, zeros[:511]), []Archive{at(0, "gzip", int64(len(packed)), n, 1)}, -1},
		{"microcode in front", join(early, zeros[:512], packed),
			[]Archive{at(0, "cpio", e, e, 2), at(e+512, "gzip", int64(len(packed)), n, 1)}, -1},
		{"packed after packed", join(gzipped(early), packed),
			[]Archive{at(0, "gzip", int64(len(gzipped(early))), e, 2), at(int64(len(gzipped(early))), "gzip", int64(len(packed)), n, 1)}, -1},
		{"plain after plain", join(early, main), []Archive{at(0, "cpio", e, e, 2), at(e, "cpio", n, n, 1)}, -1},
		{"two in one packed", two, []Archive{at(0, "gzip", int64(len(two)), e+512+n, 3)}, -1},
		{"junk", join(packed, []byte("junk")), []Archive{at(0, "gzip", int64(len(packed)), n, 1)}, int64(len(packed))},
		{"junk after zeros", join(main, zeros[:4], []byte{1}), []Archive{at(0, "cpio", n, n, 1)}, n + 4},
		{"junk inside packed", gzipped(join(main, []byte("junk"))), []Archive{at(0, "gzip", int64(len(gzipped(join(main, []byte("junk"))))), n, 1)},
			int64(len(gzipped(join(main, []byte("junk")))))},
		{"a plain one at an odd place", join(main, zeros[:1], main), []Archive{at(0, "cpio", n, n, 1)}, n + 1},
	} {
		in := mustRead(t, tt.in)
		if !reflect.DeepEqual(in.Archives, tt.want) || in.Junk != tt.junk {
			t.Errorf("%s: %+v, junk at %d\nwant %+v, %d", tt.name, in.Archives, in.Junk, tt.want, tt.junk)
		}
		entries, unpacked := 0, int64(0)
		for _, a := range in.Archives {
			entries += a.Entries
			unpacked += a.Unpacked
		}
		if in.Entries != entries || in.Unpacked != unpacked {
			t.Errorf("%s: %d entries and %d bytes in all, want %d and %d", tt.name, in.Entries, in.Unpacked, entries, unpacked)
		}
		if in.Client == nil {
			t.Errorf("%s: no client", tt.name)
		}
	}
}

func TestIsNoInitramfs(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "byte 0: an empty file"},
		{"zeros", zeros, "byte 0: nothing but zeros"},
		{"a program", []byte("\x7fELF\x02\x01\x01\x00"), `byte 0: no initramfs: neither a cpio archive nor a compressed one, it begins with "\x7fELF\x02\x01"`},
		{"a web page", []byte("<htm"), `byte 0: no initramfs: neither a cpio archive nor a compressed one, it begins with "<htm"`},
		{"after zeros", []byte("\x00\x00page"), `byte 2: no initramfs: neither a cpio archive nor a compressed one, it begins with "page"`},
		{"no cpio in it", gzipped([]byte(strings.Repeat("#!/bin/sh\n", 20))), `the gzip archive at byte 0: no cpio header, but "#!/bin"`},
		{"without trailer", newc(client)[:len(newc(client))-124], "the cpio archive at byte 0: ends early; it was cut, or did not fit where it was copied to"},
		{"the second is cut", join(early, gzipped(newc(client))[:40]), "the gzip archive at byte 404: ends early; it was cut, or did not fit where it was copied to"},
	} {
		if got := damage(t, tt.in); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// What was found up to the damage stands.
func TestDamagedIsReadUpToThere(t *testing.T) {
	in, err := readInitramfs(join(newc(client), []byte("0short")))
	if _, ok := err.(*DamageError); !ok || in.Client == nil {
		t.Errorf("client %v, error %v", in.Client, err)
	}
}

func TestLimits(t *testing.T) {
	c := newChain(context.Background(), nil, InitramfsOptions{})
	if c.limit.entries != 1_000_000 || c.limit.unpacked != 2<<30 {
		t.Errorf("limits %+v", c.limit)
	}
	whole := join(newc(file("a", strings.Repeat("x", 999)), dir("b")), gzipped(newc(file("c", ""))))
	const size, entries = (112 + 1000 + 112 + 124) + (112 + 124), 3
	for _, tt := range []struct {
		entries  int
		unpacked int64
		want     error
	}{
		{entries, size, nil},
		{entries - 1, size, ErrTooLarge},
		{entries, size - 1, ErrTooLarge},
	} {
		c := newChain(context.Background(), bytes.NewReader(whole), InitramfsOptions{})
		c.limit.entries, c.limit.unpacked = tt.entries, tt.unpacked
		if err := c.read(); err != tt.want {
			t.Errorf("%d entries and %d bytes with a limit of %d and %d: %v, want %v", c.entries, c.unpacked, tt.entries, tt.unpacked, err, tt.want)
		}
	}
	// What an entry claims counts before it is read.
	if _, err := readInitramfs(bytes.Replace(newc(file("f", "x")), []byte("00000001"), []byte("ffffffff"), -1)); err != ErrTooLarge {
		t.Errorf("a file of 4 GiB: %v", err)
	}
}

// What keeps from reading is no damage.
func TestFailedRead(t *testing.T) {
	for name, whole := range map[string][]byte{"plain": newc(client), "gzip": gzipped(newc(client)), "zstd": zstdOf(t, newc(client))} {
		for n := range whole {
			r := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(errDisk))
			if _, err := ReadInitramfs(context.Background(), r, InitramfsOptions{}); err != errDisk {
				t.Errorf("%s: error after %d bytes: %v", name, n, err)
			}
		}
	}
}

var errDisk = errors.New("disk on fire")

func TestCancel(t *testing.T) {
	for name, whole := range map[string][]byte{"plain": newc(client), "gzip": gzipped(newc(client)), "zstd": zstdOf(t, newc(client))} {
		ctx, cancel := context.WithCancel(context.Background())
		opt := InitramfsOptions{Progress: func(Progress) { cancel() }}
		_, err := ReadInitramfs(ctx, iotest.OneByteReader(bytes.NewReader(whole)), opt)
		if err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProgress(t *testing.T) {
	big := newc(file("f", strings.Repeat("x", 500_000)))
	whole := join(big, zstdOf(t, big))
	var got []Progress
	_, err := ReadInitramfs(context.Background(), bytes.NewReader(whole), InitramfsOptions{Progress: func(p Progress) { got = append(got, p) }})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Format != "cpio" || got[len(got)-1] != (Progress{"zstd", int64(len(whole))}) || len(got) < 6 {
		t.Errorf("%+v", got)
	}
	for i := range got[1:] {
		if got[i+1].Read < got[i].Read {
			t.Errorf("went back: %+v", got)
		}
	}
}

// Links that lead in circles or nowhere cost their entries, and nothing else.
func TestLinkCircles(t *testing.T) {
	in := mustRead(t, newc(
		symlink("a", "b"), symlink("b", "a"), file("a/scripts/functions", "x"), symlink("sbin", "sbin/sbin"), file("sbin/nbd-client", "x"),
		symlink("c", "../../c/../c"), file("c/nbd-client", "x"), symlink("deep", strings.Repeat("deep/", 60)), file("deep/nbd-client", "x"),
		client))
	if in.Client == nil || in.Client.Name != "usr/sbin/nbd-client" || in.Generator != "" {
		t.Errorf("%+v", in)
	}
}

// A thousand million steps are not taken.
func TestManySteps(t *testing.T) {
	name := strings.Repeat("d/", 60)
	links := []entry{symlink(name[:len(name)-1], "/"+name[:len(name)-2]+"e")}
	for range 60_000 {
		links = append(links, file(strings.Repeat("e/", 62)+"f", ""))
	}
	c := newChain(context.Background(), bytes.NewReader(newc(links...)), InitramfsOptions{})
	c.names.steps = maxSteps - 1_000_000
	if err := c.read(); err == nil || err.Error() != "the cpio archive at byte 0: more symbolic links than any initramfs has" {
		t.Errorf("error %v", err)
	}
}

func TestManyNames(t *testing.T) {
	links := make([]entry, maxKept+1)
	for i := range links {
		links[i] = symlink("l"+strings.Repeat("i", i%400)+string(rune('a'+i%26))+string(rune('A'+i/400%26))+string(rune(0x400+i/10_400)), "t")
	}
	if got := damage(t, newc(links...)); got != "the cpio archive at byte 0: more symbolic links than any initramfs has" {
		t.Error(got)
	}
}
