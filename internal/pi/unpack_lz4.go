// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/pierrec/lz4/v4"
)

const (
	lz4LegacyMagic = "\x02\x21\x4c\x18"
	lz4FrameMagic  = "\x04\x22\x4d\x18"
	lz4BlockSize   = 8 << 20 // bytes of the legacy frame, unpacked
	lz4MaxRatio    = 255     // bytes that one byte can stand for
)

func newLZ4(in *input) (io.ReadCloser, error) {
	magic, err := in.Peek(4)
	if err != nil {
		return nil, short(err)
	}
	switch string(magic) {
	case lz4LegacyMagic:
		return &lz4Legacy{in: in}, in.skip(4)
	case lz4FrameMagic:
		return nil, errors.New("lz4's newer format, which kernels do not read; lz4 -l makes the right one")
	}
	return nil, errors.New("lz4's magic cut short")
}

// lz4Legacy is a decoder of lz4's legacy frame: blocks with their size before each. The
// frame has no end of its own, so anything that cannot be the size of a block is past it,
// zeros above all. Source: lz4, doc/lz4_Frame_format.md, "Legacy frame", and Linux,
// lib/decompress_unlz4.c.
type lz4Legacy struct {
	in     *input
	packed []byte
	block  []byte // unpacked
	rest   []byte // of block
}

func (z *lz4Legacy) Read(p []byte) (int, error) {
	for len(z.rest) == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// next unpacks a block.
func (z *lz4Legacy) next() error {
	head, err := z.in.Peek(4)
	if len(head) == 0 {
		return err
	}
	if len(head) < 4 {
		return io.EOF // less than a block; zeros or junk
	}
	size := binary.LittleEndian.Uint32(head)
	if string(head) == lz4LegacyMagic { // another frame, which goes on with the same data
		return z.in.skip(4)
	}
	if size == 0 || size > uint32(lz4.CompressBlockBound(lz4BlockSize)) {
		return io.EOF
	}
	z.packed = slices.Grow(z.packed[:0], int(size))
	z.block = slices.Grow(z.block[:0], min(lz4BlockSize, lz4MaxRatio*int(size)))
	z.in.Discard(4)
	if _, err := io.ReadFull(z.in, z.packed[:size]); err != nil {
		return short(err)
	}
	n, err := lz4.UncompressBlock(z.packed[:size], z.block[:cap(z.block)])
	if err != nil {
		return err
	}
	z.rest = z.block[:n]
	return nil
}

func (z *lz4Legacy) Close() error { return nil }
