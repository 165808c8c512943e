// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"io"
)

// Storage is what an image is stored on: a file, a block device, or what a test makes
// fail. Its errors are causes, without the path. What not every storage can do is in the
// interfaces below.
type Storage interface {
	io.ReaderAt
	io.WriterAt
	Sync() error          // makes all earlier writes durable before any later one
	Size() (int64, error) // in bytes
	Close() error
}

// truncater is a Storage whose size can change; what it gains reads as zeros.
type truncater interface {
	Truncate(size int64) error
}

// sectored is a Storage that knows how many bytes an MBR on it counts in.
type sectored interface {
	SectorSize() (int64, error)
}

// errBounds: a bug or a hostile volume; what is beside a partition is not touched.
var errBounds = errors.New("outside the partition")

// section is the part of an image that a volume may read. Offsets count from its start.
type section struct {
	st        Storage
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
	n, err := s.st.ReadAt(p, s.off+off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// writableSection is a section that a volume may write too.
type writableSection struct{ section }

// WriteAt writes all of p, or refuses it if the section has no room for all of it.
func (s *writableSection) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.size || int64(len(p)) > s.size-off {
		return 0, fmt.Errorf("write of %d bytes at %d: %w", len(p), off, errBounds)
	}
	return s.st.WriteAt(p, s.off+off)
}

// Sync makes all earlier writes durable before any later one.
func (s *writableSection) Sync() error { return s.st.Sync() }
