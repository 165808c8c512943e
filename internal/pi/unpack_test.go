// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

func zstdOf(t testing.TB, b []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, opts...)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(b)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func xzOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 20, BlockSize: 100_000}.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func lzmaOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := lzma.WriterConfig{DictCap: 1 << 20}.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// The same, as if made with another window: that says how far back the data may refer.

// zstdRaw wraps b in a frame of zstd as it is, in blocks of up to 100,000 bytes.
func zstdRaw(b []byte, window int) []byte {
	log := bits.Len(uint(window)) - 1
	out := append([]byte("\x28\xb5\x2f\xfd\x00"), byte(log-10)<<3)
	for {
		n := min(len(b), 100_000)
		header := uint32(n) << 3
		if n == len(b) {
			header |= 1
		}
		out = append(out, byte(header), byte(header>>8), byte(header>>16))
		out = append(out, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return out
		}
	}
}

// xzRaw wraps b in a stream of xz as it is, in chunks of up to 64 KiB.
func xzRaw(b []byte, window int64) []byte {
	sum := func(out []byte, b []byte) []byte { return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(b)) }
	out := sum([]byte(xzMagic+"\x00\x01"), []byte{0, 1})
	header := []byte{2, 0, xzFilterLZMA2, 1, lzma.EncodeDictCap(window), 0, 0, 0}
	out = append(out, sum(header, header)...)
	start := len(out)
	control := byte(1) // an uncompressed chunk, the dictionary begins anew
	for chunk := range slices.Chunk(b, 64<<10) {
		out = append(out, control, byte((len(chunk)-1)>>8), byte(len(chunk)-1))
		out, control = append(out, chunk...), 2
	}
	out = append(out, 0)
	unpadded := len(header) + 4 + len(out) - start + 4
	out = sum(append(out, make([]byte, pad4(int64(len(out)-start)))...), b)
	index := binary.AppendUvarint(binary.AppendUvarint([]byte{0, 1}, uint64(unpadded)), uint64(len(b)))
	index = append(index, make([]byte, pad4(int64(len(index))))...)
	out = append(out, sum(index, index)...)
	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4)) // with its checksum, in 4 bytes, less 1
	footer = append(footer, 0, 1)
	return append(append(sum(out, footer), footer...), "YZ"...)
}

func lzmaWindow(t testing.TB, b []byte, window int) []byte {
	out := lzmaOf(t, b)
	binary.LittleEndian.PutUint32(out[1:], uint32(window))
	return out
}

// lz4Of packs b without making it smaller, in the legacy frame.
func lz4Of(b []byte) []byte {
	out := []byte(lz4LegacyMagic)
	for chunk := range slices.Chunk(b, lz4BlockSize) {
		block := []byte{0xf0}
		n := len(chunk) - 15
		for ; n >= 255; n -= 255 {
			block = append(block, 255)
		}
		block = append(append(block, byte(n)), chunk...)
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(block))), block...)
	}
	return out
}

// fixture returns what make-initramfs.sh made.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/initramfs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// few are the fixtures with the same files, in the formats that the kernel knows.
var few = []struct{ name, format string }{
	{"few.gz", "gzip"}, {"few.bz2", "bzip2"}, {"few.lzma", "lzma"}, {"few.xz", "xz"}, {"few.lz4", "lz4"}, {"few.zst", "zstd"},
}

// Each format by the program it comes from, alone and with all that may follow.
func TestFormats(t *testing.T) {
	for _, f := range few {
		packed := fixture(t, f.name)
		size := int64(len(packed))
		after := map[string][]byte{"nothing": nil, "a zero": zeros[:1], "zeros": zeros, "junk": []byte("\xffjunk"), "a byte of junk": {1}}
		for _, g := range few {
			if f.format != "lz4" { // what follows its frame has to begin with a zero
				after[g.format] = fixture(t, g.name)
			}
			after["zeros, "+g.format] = append(make([]byte, 8), fixture(t, g.name)...)
		}
		if f.format == "bzip2" { // streams in a row are one archive
			delete(after, "bzip2")
		}
		for what, more := range after {
			in, err := readInitramfs(join(packed, more))
			switch {
			case f.format == "lz4" && strings.HasSuffix(what, "junk"):
				continue // for a size
			case err != nil:
				t.Errorf("%s, then %s: %v", f.name, what, err)
				continue
			}
			a := in.Archives[0]
			if a.Format != f.format || a.Packed != size || a.Entries != 7 || a.Unpacked < 300_000 {
				t.Errorf("%s, then %s: %+v, want %d bytes packed", f.name, what, a, size)
			}
			if junk := strings.HasSuffix(what, "junk"); junk != (in.Junk == size) {
				t.Errorf("%s, then %s: junk at %d", f.name, what, in.Junk)
			}
			if in.Generator != InitramfsTools || in.Client == nil {
				t.Errorf("%s, then %s: generator %q, client %v", f.name, what, in.Generator, in.Client)
			}
		}
	}
}

// An archive that is cut anywhere is damaged, unless only the zeros at its end are gone.
func TestCuts(t *testing.T) {
	body := file("scripts/functions", strings.Repeat("#!/bin/sh\nset -e\n", 20))
	whole := newc(client, body, symlink("lib", "usr/lib"))
	for name, packed := range map[string][]byte{
		"plain": whole, "crc": cpioOf("070702", client, body), "gzip": gzipped(whole), "zstd": zstdOf(t, whole),
		"xz": xzOf(t, whole), "lzma": lzmaOf(t, whole), "lz4": lz4Of(whole), "bzip2": fixture(t, "few.bz2"),
		"a chain": join(early, gzipped(whole)),
	} {
		full := mustRead(t, packed)
		step := 1
		if testing.Short() {
			step = 7
		}
		if name == "bzip2" || name == "lz4" { // a whole block each time
			step = 20
		}
		for n := 0; n < len(packed); n += step {
			in, err := readInitramfs(packed[:n])
			if d := (*DamageError)(nil); errors.As(err, &d) {
				continue
			}
			if n == len(early) || n == len(early)+1 {
				continue // one byte of an archive shows no format
			}
			if lost := packed[n:]; err != nil || in.Entries != full.Entries || len(bytes.Trim(lost, "\x00")) > 0 {
				t.Errorf("%s, cut at %d of %d: %d entries, %v", name, n, len(packed), in.Entries, err)
			}
		}
	}
}

// Whatever bytes are changed, an error is one of those that are documented.
func TestFlippedBytes(t *testing.T) {
	whole := newc(client, file("scripts/functions", strings.Repeat("#!/bin/sh\nset -e\n", 20)))
	for name, packed := range map[string][]byte{
		"gzip": gzipped(whole), "zstd": zstdOf(t, whole), "xz": xzOf(t, whole), "lzma": lzmaOf(t, whole),
		"lz4": lz4Of(whole), "plain": whole,
	} {
		for i := 0; i < len(packed); i += 5 {
			changed := bytes.Clone(packed)
			changed[i] ^= 0x55
			if _, err := readInitramfs(changed); !documented(err) {
				t.Errorf("%s, byte %d changed: %v", name, i, err)
			}
		}
	}
}

// documented reports whether err is one that ReadInitramfs may return of a file that can
// be read.
func documented(err error) bool {
	var damage *DamageError
	var unread *UnreadError
	return err == nil || err == ErrTooLarge || errors.As(err, &damage) || errors.As(err, &unread)
}

// What kernels do not unpack, whatever other programs do.
func TestKernelDoesNotUnpack(t *testing.T) {
	split := newc(client)
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"lz4's newer frame", fixture(t, "few.lz4frame"), "the lz4 archive at byte 0: lz4's newer format, which kernels do not read; lz4 -l makes the right one"},
		{"xz with CRC64", fixture(t, "few.xz-crc64"), "the xz archive at byte 0: an integrity check of xz that kernels do not know; xz --check=crc32 makes the right one"},
		{"one archive in two frames", join(zstdOf(t, split[:150]), zstdOf(t, split[150:])), "the zstd archive at byte 0: ends early; it was cut, or did not fit where it was copied to"},
		{"wrong checksum", wrongSum(xzOf(t, newc(client))), "the xz archive at byte 0: wrong checksum"},
	} {
		if got := damage(t, tt.in); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// wrongSum changes the checksum of the only block of a stream of xz, which stands before
// the index of 8 bytes, its checksum of 4 and the footer.
func wrongSum(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-xzHeaderSize-8-4-1] ^= 1
	return b
}

// What a kernel may unpack, and this package does not.
func TestUnread(t *testing.T) {
	whole := newc(client)
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"lzo", []byte("\x89LZO\x00\r\n\x1a\n"), "the lzo archive at byte 0: lzo is not known here"},
		{"zstd", zstdRaw(whole, 64<<20), "the zstd archive at byte 0: it takes 64 MiB of memory to unpack, and this tool at most 32"},
		{"xz", xzRaw(whole, 64<<20), "the xz archive at byte 0: it takes 64 MiB of memory to unpack, and this tool at most 32"},
		{"lzma", lzmaWindow(t, whole, 64<<20), "the lzma archive at byte 0: it takes 64 MiB of memory to unpack, and this tool at most 32"},
	} {
		in, err := readInitramfs(join(early, tt.in))
		var unread *UnreadError
		want := strings.Replace(tt.want, "byte 0", fmt.Sprintf("byte %d", len(early)), 1)
		if !errors.As(err, &unread) || err.Error() != want || unread.Archive.Offset != int64(len(early)) {
			t.Errorf("%s: %v\nwant %s", tt.name, err, want)
		}
		if len(in.Archives) != 2 || in.Archives[0].Entries != 2 {
			t.Errorf("%s: %+v", tt.name, in.Archives)
		}
	}
	in, err := readInitramfs(bytes.Repeat(newc(), maxArchives+1))
	const many = "the cpio archive at byte 12400: there are more archives before it than any initramfs has"
	if d := (*UnreadError)(nil); !errors.As(err, &d) || err.Error() != many || len(in.Archives) != maxArchives+1 {
		t.Errorf("many archives: %d, %v", len(in.Archives), err)
	}
	for name, in := range map[string][]byte{
		"zstd": zstdRaw(whole, 32<<20), "xz": xzRaw(whole, 32<<20), "lzma": lzmaWindow(t, whole, 32<<20),
	} {
		if got := mustRead(t, in); got.Client == nil {
			t.Errorf("%s with a window of 32 MiB: no client", name)
		}
	}
}

// TestFixtures: what the real generators made, as make-initramfs.sh keeps it.
func TestFixtures(t *testing.T) {
	const old, new = "6.8.0-1005-raspi", "6.8.0-1013-raspi"
	nbd := func(version string) Modules {
		return Modules{version, "usr/lib/modules/" + version + "/kernel/drivers/block/nbd.ko", false, 2}
	}
	debian := &Client{"usr/sbin/nbd-client", "usr/sbin/nbd-client", "arm64"}
	hooks := []string{"usr/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh", "usr/sbin/nbdroot"}
	for _, tt := range []struct {
		name, format, generator string
		client                  *Client
		scripts                 []string
		modules                 []Modules
		programs                string // one of those that can configure a network
		resolves                bool
	}{
		{"initramfs-tools.zst", "zstd", InitramfsTools, debian, []string{"scripts/local-top/nbd"}, []Modules{nbd(new)}, "usr/bin/ipconfig", false},
		{"initramfs-tools-bare.gz", "gzip", InitramfsTools, nil, nil, []Modules{nbd(new)}, "usr/bin/ipconfig", false},
		{"initramfs-tools-two.lz4", "lz4", InitramfsTools, debian, []string{"scripts/local-top/nbd"}, []Modules{{old, nbd(old).NBD, false, 3}, nbd(new)}, "usr/bin/ipconfig", false},
		{"dracut.zst", "zstd", Dracut, debian, hooks, []Modules{nbd(new)}, "usr/lib/systemd/systemd-networkd", true},
		{"dracut-bare.gz", "gzip", Dracut, nil, nil, []Modules{{Version: new, Count: 1}}, "usr/sbin/dhclient", true},
	} {
		in := mustRead(t, fixture(t, tt.name))
		if len(in.Archives) != 1 || in.Archives[0].Format != tt.format || in.Junk != -1 || in.Generator != tt.generator {
			t.Errorf("%s: %+v, junk at %d, by %q", tt.name, in.Archives, in.Junk, in.Generator)
		}
		if !reflect.DeepEqual(in.Client, tt.client) || !slices.Equal(in.Scripts, tt.scripts) {
			t.Errorf("%s: client %+v, scripts %q", tt.name, in.Client, in.Scripts)
		}
		if want := tt.name == "dracut-bare.gz"; (len(in.Online) > 0) != want { // network-legacy's calls netroot
			t.Errorf("%s: %q call netroot", tt.name, in.Online)
		}
		if !slices.Equal(in.Modules, tt.modules) {
			t.Errorf("%s: modules %+v", tt.name, in.Modules)
		}
		if ok, why := in.CanResolve("server"); ok != tt.resolves || in.Libc != "glibc 2.36" {
			t.Errorf("%s: %s, resolves: %v %s", tt.name, in.Libc, ok, why)
		}
		if !slices.Contains(in.Network.Programs, tt.programs) {
			t.Errorf("%s: %q", tt.name, in.Network.Programs)
		}
	}
}

// Each block of xz may ask for memory anew, so their number is bounded by what they ask for.
func TestManyBlocks(t *testing.T) {
	blocks := xzRaw(newc(client), 32<<20)[xzHeaderSize:]
	for before, want := range map[int]error{255 * maxWindow: nil, 255*maxWindow + 1: unreadable("it has too many small blocks")} {
		z := &xzStream{in: newInput(context.Background(), bytes.NewReader(blocks)), windows: before}
		if err := z.next(); err != want {
			t.Errorf("after blocks of %d bytes in all: %v, want %v", before, err, want)
		}
	}
}
