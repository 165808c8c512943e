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
)

// spoolMemory is how many bytes a Spool keeps in memory.
const spoolMemory = 1 << 20

// Spool holds input of unknown size until it can be written: a little of it in memory,
// more in a temporary file that has no name. The zero Spool is empty.
type Spool struct {
	Dest addr.Addr // what the input is for: it takes no more than fits there; the zero Addr takes all

	buf  bytes.Buffer
	file *os.File
	size int64
	err  error // of Write
}

// Write appends p. Errors are *fs.PathError: those of the temporary file, or that Dest cannot
// hold so much.
func (s *Spool) Write(p []byte) (n int, err error) {
	n, s.err = s.write(p)
	s.size += int64(n)
	return n, s.err
}

func (s *Spool) write(p []byte) (int, error) {
	if s.Dest.Kind == addr.Inside && s.size+int64(len(p)) > fat.MaxFile {
		return 0, fail(s.Dest, fat.ErrTooLarge)
	}
	if s.file == nil && s.buf.Len()+len(p) > spoolMemory {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	return s.writer().Write(p)
}

func (s *Spool) writer() io.Writer {
	if s.file != nil {
		return s.file
	}
	return &s.buf
}

// spill moves what is in memory to a temporary file.
func (s *Spool) spill() error {
	f, err := os.CreateTemp("", "nobodd-*")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return err
	}
	if _, err := s.buf.WriteTo(f); err != nil {
		f.Close()
		return err
	}
	s.buf, s.file = bytes.Buffer{}, f
	return nil
}

// Size is the number of bytes written so far.
func (s *Spool) Size() int64 { return s.size }

// Open gives a reader over all that was written so far.
func (s *Spool) Open() io.Reader {
	if s.file != nil {
		return io.NewSectionReader(s.file, 0, s.size)
	}
	return bytes.NewReader(s.buf.Bytes())
}

// Close frees the temporary file.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// spoolTree is a Spool as a Tree that holds one file, whatever the name.
type spoolTree struct {
	*Spool
	modTime time.Time
}

func (t spoolTree) Stat(string) (fs.FileInfo, error)            { return t, nil }
func (t spoolTree) ReadDir(string) ([]fs.DirEntry, error)       { return nil, errNotDir }
func (t spoolTree) Open(string) (io.ReadCloser, error)          { return io.NopCloser(t.Spool.Open()), nil }
func (t spoolTree) Join(_, base string) string                  { return base }
func (t spoolTree) Key(string) (string, error)                  { return "-", nil }
func (t spoolTree) ChildKey(string, string, fs.FileInfo) string { return "-" }
func (t spoolTree) Above(string) (map[string]bool, error)       { return nil, errNotDir }
func (t spoolTree) Begin(fat.TxOptions) (Tx, error)             { return nil, errors.ErrUnsupported }

// A spoolTree describes its file, too.

func (t spoolTree) Name() string       { return "-" }
func (t spoolTree) Mode() fs.FileMode  { return 0o666 }
func (t spoolTree) ModTime() time.Time { return t.modTime }
func (t spoolTree) IsDir() bool        { return false }
func (t spoolTree) Sys() any           { return nil }
