// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

var (
	// ErrShrank says that a source holds less than its Size.
	ErrShrank = errors.New("the file shrank while it was copied")
	// ErrGrew says that a source holds more than its Size.
	ErrGrew = errors.New("the file grew while it was copied")
)

// Source is a file to write.
type Source struct {
	Size    int64                         // bytes
	Stored  int64                         // bytes of it that are no holes, if it has some; else 0
	ModTime time.Time                     // zero: the time of writing
	Perm    fs.FileMode                   // of a new file where files have a mode, before umask; 0: 0666
	Open    func() (io.ReadCloser, error) // called once, during Commit; may be a reader over this same volume

	// Done may be nil. It is called with nil once the file stands in its place, or with
	// what failed in the source, whose file is left as it was. It is not called where
	// the destination failed: that is the error of Commit.
	Done func(err error)

	// Copied may be nil. It is called with how many bytes were written, as they are.
	Copied func(n int64)
}

// Progress calls Copied.
func (s *Source) Progress(n int64) {
	if s.Copied != nil {
		s.Copied(n)
	}
}

// done calls Done.
func (s *Source) done(err error) {
	if s.Done != nil {
		s.Done(err)
	}
}

// Copy opens the source and has write called with all of it, piece by piece; each piece fills
// buf but the last one. failed is what is wrong with the source, which must hold Size bytes;
// err is that of write, which ends the copy.
func (s *Source) Copy(buf []byte, write func(piece []byte) error) (failed, err error) {
	r, err := s.Open()
	if err != nil {
		return err, nil
	}
	defer r.Close()
	return s.CopyFrom(r, buf, write)
}

// CopyFrom is Copy of what r, which Open returned, holds.
func (s *Source) CopyFrom(r io.Reader, buf []byte, write func(piece []byte) error) (failed, err error) {
	for left := s.Size; left > 0; {
		n, err := io.ReadFull(r, buf[:min(left, int64(len(buf)))])
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return ErrShrank, nil
		default:
			return err, nil
		}
		if err := write(buf[:n]); err != nil {
			return nil, err
		}
		s.Progress(int64(n))
		left -= int64(n)
	}
	switch _, err := io.ReadFull(r, buf[:1]); err {
	case io.EOF:
		return nil, nil
	case nil:
		return ErrGrew, nil
	default:
		return err, nil
	}
}
