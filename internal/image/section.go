// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// errBounds: a bug or a hostile volume; what lies beside a partition is not touched.
var errBounds = errors.New("outside the partition")

// section is the part of an image that a volume may read. Offsets count from its start.
type section struct {
	f         *os.File
	off, size int64 // bytes
}

// ReadAt reads as io.ReaderAt says; the section's end is the end of the file.
func (s *section) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: %w", off, errBounds)
	}
	if off >= s.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > s.size-off
	if short {
		p = p[:s.size-off]
	}
	n, err := s.f.ReadAt(p, s.off+off)
	if err == nil && short {
		err = io.EOF
	}
	return n, ioCause(err)
}

// device is a section that may be written too.
type device struct{ section }

// WriteAt writes all of p, or refuses it if the section has no room for all of it.
func (d *device) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > d.size || int64(len(p)) > d.size-off {
		return 0, fmt.Errorf("write of %d bytes at %d: %w", len(p), off, errBounds)
	}
	n, err := d.f.WriteAt(p, d.off+off)
	return n, ioCause(err)
}

// Sync makes all earlier writes durable before any later one.
func (d *device) Sync() error { return ioCause(d.f.Sync()) }

// ioCause is cause for the errors of reads and writes, most of which are none.
func ioCause(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return cause(err)
}
