// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// spoolMemory is how many bytes a Spool keeps in memory.
const spoolMemory = 1 << 20

// Spool holds input of unknown size until it can be written: a little of it in memory,
// more in a temporary file that has no name. The zero Spool is empty.
type Spool struct {
	Dest addr.Addr // what the input is for: it takes no more than fits there; the zero Addr takes all

	buf  bytes.Buffer
	file *os.File
	size int64 // bytes written so far
	err  error // of Write
}

// Write appends p. Errors are *addr.Error: those of the temporary file, or that Dest cannot
// hold so much.
func (s *Spool) Write(p []byte) (n int, err error) {
	n, s.err = s.write(p)
	s.size += int64(n)
	return n, s.err
}

func (s *Spool) write(p []byte) (int, error) {
	if s.Dest.Kind == addr.Inside && s.size+int64(len(p)) > fat.MaxFile {
		return 0, failure(s.Dest, fat.ErrTooLarge)
	}
	if s.file == nil && s.buf.Len()+len(p) > spoolMemory {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	if s.file == nil {
		return s.buf.Write(p)
	}
	n, err := s.file.Write(p)
	return n, spoolFailure(err)
}

// spoolFailure is an error of the temporary file, with its name.
func spoolFailure(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return failureOf(pe.Path, pe)
	}
	return err
}

// spill moves what is in memory to a temporary file.
func (s *Spool) spill() error {
	f, err := os.CreateTemp("", "nobodd-*")
	if err != nil {
		return spoolFailure(err)
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = s.buf.WriteTo(f)
	}
	if err != nil {
		f.Close()
		return spoolFailure(err)
	}
	s.buf, s.file = bytes.Buffer{}, f
	return nil
}

// Open returns a reader over all that was written so far.
func (s *Spool) Open() io.Reader { return s.reader() }

func (s *Spool) reader() spoolReader {
	if s.file != nil {
		return io.NewSectionReader(s.file, 0, s.size)
	}
	return bytes.NewReader(s.buf.Bytes())
}

type spoolReader interface {
	io.Reader
	io.ReaderAt
}

// holdsDisk reports whether what was written is a disk image.
func (s *Spool) holdsDisk() bool { return image.HoldsDisk(s.reader(), s.size) }

// Close frees the temporary file.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// source is the spool as a file to write.
func (s *Spool) source() fat.Source {
	return fat.Source{
		Size: s.size,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(s.Open()), nil },
	}
}

// olderThan reports whether a file that was changed later than now is at a destination.
func (s *Spool) olderThan(dest fs.FileInfo) bool {
	return dest != nil && !dest.IsDir() && !time.Now().After(dest.ModTime())
}

// pour writes all to w, which was opened with err.
func (s *Spool) pour(w io.WriteCloser, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(w, s.Open())
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}
