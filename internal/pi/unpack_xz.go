// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// newLZMA returns a decoder of the format that precedes xz.
// Source: XZ Utils, doc/lzma-file-format.txt, 1.1.
func newLZMA(in *input) (io.ReadCloser, error) {
	head, err := in.Peek(13)
	if err != nil {
		return nil, short(err)
	}
	window := binary.LittleEndian.Uint32(head[1:])
	if window > maxWindow {
		return nil, tooWide(uint64(window))
	}
	makeRoom(int(window))
	z, err := lzma.NewReader(in)
	return io.NopCloser(z), err
}

const (
	xzMagic       = "\xfd7zXZ\x00"
	xzHeaderSize  = 12 // of a stream; its footer has the same size
	xzFilterLZMA2 = 0x21
)

// xzStream is a decoder of one stream of xz, of the kind that the kernel knows: with
// checksums by CRC32 or none, and LZMA2 alone. Source: XZ Utils, doc/xz-file-format.txt.
type xzStream struct {
	in      *input
	checked bool // a checksum follows each block
	block   io.Reader
	start   int64 // of the data of the block, in the file
	sum     uint32
	windows int // bytes of memory that all blocks asked for, which takes time
	done    bool
}

// newXZ reads the header of a stream (xz-file-format.txt, 2.1.1).
func newXZ(in *input) (io.ReadCloser, error) {
	head, err := take(in, xzHeaderSize)
	if err != nil {
		return nil, err
	}
	if string(head[:6]) != xzMagic || crc32.ChecksumIEEE(head[6:8]) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, errors.New("a damaged header of xz")
	}
	if head[6] != 0 || head[7] > 1 {
		return nil, errors.New("an integrity check of xz that kernels do not know; " +
			"xz --check=crc32 makes the right one")
	}
	return &xzStream{in: in, checked: head[7] == 1}, nil
}

func (z *xzStream) Close() error { return nil }

func (z *xzStream) Read(p []byte) (int, error) {
	for !z.done {
		if z.block == nil {
			if err := z.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := z.block.Read(p)
		z.sum = crc32.Update(z.sum, crc32.IEEETable, p[:n])
		if err == io.EOF {
			err = z.endBlock()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// next reads what follows a block: the header of another one, or the index.
func (z *xzStream) next() error {
	first, err := z.in.Peek(1)
	if err != nil {
		return short(err)
	}
	if first[0] == 0 {
		z.done = true
		return z.skipIndex()
	}
	head, err := take(z.in, (int(first[0])+1)*4)
	if err != nil {
		return err
	}
	body := head[:len(head)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(head[len(body):]) {
		return errors.New("a damaged header of a block of xz")
	}
	window, err := xzWindow(body[1:])
	if err != nil {
		return err
	}
	if z.windows += window; z.windows > 256*maxWindow {
		return unreadable("it has too many small blocks")
	}
	makeRoom(window)
	z.start, z.sum = z.in.offset(), 0
	z.block, err = lzma.Reader2Config{DictCap: window}.NewReader2(z.in)
	return err
}

// xzWindow returns how far back, in bytes, a block refers that has a header with these
// fields (xz-file-format.txt, 3.1).
func xzWindow(b []byte) (int, error) {
	errHeader := errors.New("a header of a block of xz that makes no sense")
	flags, b := b[0], b[1:]
	for _, size := range []byte{0x40, 0x80} { // of the block, packed and unpacked
		if flags&size == 0 {
			continue
		}
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, errHeader
		}
		b = b[n:]
	}
	switch {
	case flags&0x3c != 0 || len(b) < 3:
		return 0, errHeader
	case flags&3 != 0 || b[0] != xzFilterLZMA2:
		return 0, unreadable("xz with other filters than LZMA2 is not known here")
	case b[1] != 1 || b[2] > 40:
		return 0, errHeader
	}
	window, err := lzma.DecodeDictCap(b[2])
	if err == nil && window > maxWindow {
		err = tooWide(uint64(window))
	}
	return int(max(window, lzma.MinDictCap)), err
}

// endBlock reads the padding and the checksum after the data of a block.
func (z *xzStream) endBlock() error {
	z.block = nil
	if err := z.in.skip(pad4(z.in.offset() - z.start)); err != nil || !z.checked {
		return err
	}
	sum, err := take(z.in, 4)
	if err == nil && binary.LittleEndian.Uint32(sum) != z.sum {
		err = errors.New("wrong checksum")
	}
	return err
}

// skipIndex passes over the index of the blocks and the footer (xz-file-format.txt, 4 and
// 2.1.2), which say again what is known by then.
func (z *xzStream) skipIndex() error {
	start := z.in.offset()
	z.in.Discard(1)
	count, err := binary.ReadUvarint(z.in)
	for i := uint64(0); i < 2*count && err == nil; i++ {
		_, err = binary.ReadUvarint(z.in)
	}
	if err != nil {
		return short(err)
	}
	if err := z.in.skip(pad4(z.in.offset()-start) + 4); err != nil {
		return err
	}
	footer, err := take(z.in, xzHeaderSize)
	if err == nil && string(footer[10:]) != "YZ" {
		err = fmt.Errorf("a footer of xz that ends in %q", footer[10:])
	}
	return err
}

// take returns the next n bytes of in, until it is read again.
func take(in *input, n int) ([]byte, error) {
	b, err := in.Peek(n)
	if err != nil {
		return nil, short(err)
	}
	in.Discard(n)
	return b, nil
}
