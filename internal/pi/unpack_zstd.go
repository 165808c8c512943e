// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// newZstd returns a decoder for the one frame of zstd that begins at in. The kernel, too,
// takes each frame for an archive of its own.
func newZstd(in *input) (io.ReadCloser, error) {
	frame, window, err := newZstdFrame(in)
	if err != nil {
		return nil, err
	}
	if window > maxWindow {
		return nil, tooWide(window)
	}
	makeRoom(int(window))
	// Without goroutines: nothing reads on, or reports, past a Read of the decoder.
	z, err := zstd.NewReader(frame, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

// tooWide is the error of an archive that looks back further than maxWindow.
func tooWide(window uint64) error {
	return unreadable(fmt.Sprintf("it takes %d MiB of memory to unpack, and this tool at most %d",
		window>>20, maxWindow>>20))
}

// zstdFrame is a reader of one frame of zstd and nothing past its end, which the decoder
// itself would read, looking for another one.
type zstdFrame struct {
	in   *input
	left int64 // bytes up to the next header of a block, or to the end
	last bool  // no block follows
	sum  bool  // a checksum follows the last block
}

// newZstdFrame parses the header of a frame, which is left unread, and returns how far
// back, in bytes, the frame refers. Source: RFC 8878, 3.1.1.
func newZstdFrame(in *input) (*zstdFrame, uint64, error) {
	head, err := in.Peek(18)
	if len(head) < 6 {
		return nil, 0, short(err)
	}
	if string(head[:4]) != "\x28\xb5\x2f\xfd" {
		return nil, 0, fmt.Errorf("zstd's magic cut short: % x", head[:4])
	}
	flags, field := head[4], head[5:]
	single := flags&(1<<5) != 0
	size := int64(4 + 1)
	var window uint64
	if !single {
		window = 1 << (10 + field[0]>>3)
		window += window / 8 * uint64(field[0]&7)
		size, field = size+1, field[1:]
	}
	dict := [4]int{0, 1, 2, 4}[flags&3]
	content := [4]int{0, 2, 4, 8}[flags>>6]
	if single && content == 0 {
		content = 1
	}
	if len(field) < dict+content {
		return nil, 0, short(io.EOF)
	}
	if single {
		var b [8]byte
		copy(b[:], field[dict:dict+content])
		window = binary.LittleEndian.Uint64(b[:])
	}
	return &zstdFrame{in: in, left: size + int64(dict+content), sum: flags&(1<<2) != 0}, window, nil
}

func (f *zstdFrame) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}

// next sets left to the size of the next block with its header.
// Source: RFC 8878, 3.1.1.2.
func (f *zstdFrame) next() error {
	if f.last {
		return io.EOF
	}
	b, err := f.in.Peek(3)
	if err != nil {
		return short(err)
	}
	header := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	f.left = 3 + int64(header>>3)
	if header>>1&3 == 1 { // one byte, repeated
		f.left = 3 + 1
	}
	if f.last = header&1 != 0; f.last && f.sum {
		f.left += 4
	}
	return nil
}
