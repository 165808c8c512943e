// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"
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

// newBzip2 returns a decoder of bzip2. That of the standard library wants another stream
// after the first or the end of the file, and reads two bytes to see.
func newBzip2(in *input) io.ReadCloser {
	b := &bunzip{in: in}
	b.z = bzip2.NewReader(b)
	return b
}

// bunzip leaves the two bytes that were read last in its input until it is clear whose
// they are.
type bunzip struct {
	z     io.Reader
	in    *input
	ahead int // bytes that were read and not taken from in
}

func (b *bunzip) Read(p []byte) (int, error) {
	n, err := b.z.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.in.Discard(b.ahead)
	case err.Error() == "bzip2 data invalid: bad magic value in continuation file":
		return n, io.EOF
	}
	return n, err
}

// ReadByte implements io.ByteReader for the decoder.
func (b *bunzip) ReadByte() (byte, error) {
	if b.ahead == 2 {
		b.in.Discard(1)
		b.ahead--
	}
	p, err := b.in.Peek(b.ahead + 1)
	if err != nil {
		return 0, err
	}
	b.ahead++
	return p[b.ahead-1], nil
}

func (b *bunzip) Close() error { return nil }
