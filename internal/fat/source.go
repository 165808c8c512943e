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

// CopyFrom is Copy of what r, which Open returned, holds. One read is enough for a small file if r
// says with it that this is the end.
func (s *Source) CopyFrom(r io.Reader, buf []byte, write func(piece []byte) error) (failed, err error) {
	for left := s.Size; ; {
		n, err := fill(r, buf[:min(left+1, int64(len(buf)))])
		switch {
		case err != nil && err != io.EOF:
			return err, nil
		case int64(n) > left:
			return ErrGrew, nil
		case err == io.EOF && int64(n) < left:
			return ErrShrank, nil
		}
		if n > 0 {
			if err := write(buf[:n]); err != nil {
				return nil, err
			}
			s.Progress(int64(n))
		}
		if err == io.EOF {
			return nil, nil
		}
		left -= int64(n)
	}
}

// fill reads from r until p is full, or until an error, io.EOF too.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = r.Read(p[n:])
		n += got
	}
	return n, err
}
