// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"io"

	"github.com/pin/tftp/v3/netascii"
)

// File is what a transfer sends.
type File struct {
	io.ReaderAt
	Size     int64 // in bytes; if ReaderAt ends earlier, that is io.ErrUnexpectedEOF
	MaxBlock int   // the most bytes that a block may have; 0 for any number

	// Last is called once, after the last block has been read and before the first packet of the
	// window that holds it goes out. Its error ends the transfer. It may be nil.
	Last func() error
}

// reader returns what is sent of the file, and how many bytes that may be at most.
func (f *File) reader(asciiMode bool) (r io.Reader, most int64) {
	c := &content{from: f.ReaderAt, left: f.Size}
	if asciiMode {
		return netascii.ToReader(c), 2 * f.Size
	}
	return c, f.Size
}

// content reads a file from its beginning to its size. The end comes by itself, with no bytes: a
// netascii reader loses the bytes that come with it.
type content struct {
	from io.ReaderAt
	off  int64
	left int64
}

func (c *content) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.left)]
	n, err := c.from.ReadAt(p, c.off)
	c.off += int64(n)
	c.left -= int64(n)
	switch {
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// fill reads from r until p is full or the end of r, and returns the number of bytes.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case m == 0:
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}
