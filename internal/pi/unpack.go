// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"
	"runtime"
)

// The formats of an archive.
const (
	formatCPIO  = "cpio"
	formatGzip  = "gzip"
	formatBzip2 = "bzip2"
	formatLZMA  = "lzma"
	formatXZ    = "xz"
	formatLZO   = "lzo"
	formatLZ4   = "lz4"
	formatZstd  = "zstd"
)

// maxWindow is the most memory that a decoder may take to look back, in bytes. Kernels
// take zstd windows of up to 128 MiB and any that xz asks for; initramfs-tools and dracut
// make windows of up to 8 MiB by default.
const maxWindow = 32 << 20

// makeRoom frees the memory of the decoder before, where the next one needs much.
func makeRoom(window int) {
	if window > maxWindow/4 {
		runtime.GC()
	}
}

// magics tell the formats apart. Source: Linux, lib/decompress.c; the newer frame of lz4,
// which no kernel knows, has a magic of its own.
var magics = []struct{ magic, format string }{
	{"\x1f\x8b", formatGzip},
	{"\x1f\x9e", formatGzip},
	{"BZ", formatBzip2},
	{"\x5d\x00", formatLZMA},
	{"\xfd7", formatXZ},
	{"\x89\x4c", formatLZO},
	{"\x02\x21", formatLZ4},
	{lz4FrameMagic, formatLZ4},
	{"\x28\xb5", formatZstd},
}

// unreadable says why an archive cannot be unpacked here; the kernel may well do it.
type unreadable string

func (e unreadable) Error() string { return string(e) }

// detect returns the format of the archive that begins where in is, or "".
func detect(in *input) string {
	head, _ := in.Peek(4)
	if len(head) > 0 && head[0] == '0' && in.offset()%4 == 0 {
		return formatCPIO
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.format
		}
	}
	return ""
}

// newDecoder returns what unpacks the archive at in. It takes the bytes of that archive
// from in, and not one more, once it has returned io.EOF.
func newDecoder(format string, in *input) (io.ReadCloser, error) {
	switch format {
	case formatGzip:
		return newGzip(in)
	case formatBzip2:
		return newBzip2(in), nil
	case formatLZMA:
		return newLZMA(in)
	case formatXZ:
		return newXZ(in)
	case formatLZ4:
		return newLZ4(in)
	case formatZstd:
		return newZstd(in)
	}
	return nil, unreadable(format + " is not known here")
}

func newGzip(in *input) (io.ReadCloser, error) {
	z, err := gzip.NewReader(in.Reader)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

// newBzip2 returns a decoder of bzip2. Several streams in a row are one archive to it.
func newBzip2(in *input) io.ReadCloser {
	b := &bunzip{in: in}
	b.z = bzip2.NewReader(b)
	return b
}

// bunzip feeds the decoder of the standard library, which after the end of a stream reads
// two bytes to see whether another one follows. So the two that were read last stay in
// the input until more are read; past its end two zeros are, which begin no stream.
type bunzip struct {
	z     io.Reader
	in    *input
	ahead int // of the last two bytes, how many are in the input
	past  int // and how many are past its end
}

func (b *bunzip) Read(p []byte) (int, error) {
	n, err := b.z.Read(p)
	if err != nil && err.Error() == "bzip2 data invalid: bad magic value in continuation file" {
		err = io.EOF
	}
	return n, err
}

// ReadByte implements io.ByteReader, for the decoder.
func (b *bunzip) ReadByte() (byte, error) {
	if b.ahead > 0 && b.ahead+b.past == 2 {
		b.in.Discard(1)
		b.ahead--
	}
	p, err := b.in.Peek(b.ahead + 1)
	switch {
	case err == io.EOF && b.past < 2:
		b.past++
		return 0, nil
	case err != nil:
		return 0, err
	}
	b.ahead++
	return p[b.ahead-1], nil
}

func (b *bunzip) Close() error { return nil }
