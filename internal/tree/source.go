// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// sourceError marks what went wrong with a source while a Tx read it, so that it is
// told from what went wrong with the destination.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

var (
	errShrank = errors.New("the file shrank while it was copied")
	errGrew   = errors.New("the file grew while it was copied")
)

// exactReader reads a source that must hold exactly left more bytes.
type exactReader struct {
	io.ReadCloser
	left   int64
	failed func(error) error // called with the first error but io.EOF, gives what to return
	perm   fs.FileMode       // that a copy on this machine gets, before umask
}

// openExact opens a source that is size bytes long.
func openExact(p place, size int64, failed func(error) error) (io.ReadCloser, error) {
	r, err := p.tree.Open(p.name)
	if err != nil {
		return nil, failed(err)
	}
	perm := fs.FileMode(0o666)
	if s, ok := r.(interface{ Stat() (fs.FileInfo, error) }); ok {
		fi, err := s.Stat()
		if err == nil && fi.Size() != size {
			err = changed(fi.Size(), size)
		}
		if err != nil {
			r.Close()
			return nil, failed(err)
		}
		if _, ok := r.(*os.File); ok {
			perm = fi.Mode().Perm()
		}
	}
	return &exactReader{r, size, failed, perm}, nil
}

func changed(got, want int64) error {
	if got < want {
		return errShrank
	}
	return errGrew
}

// Read hands out the last bytes only if nothing follows them: a reader that stops at
// the size it was told would else never learn that the file grew.
func (r *exactReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		return 0, r.failed(errShrank)
	case err != nil && err != io.EOF:
		return 0, r.failed(err)
	case r.left == 0 && r.follows():
		return 0, r.failed(errGrew)
	}
	return n, nil
}

func (r *exactReader) follows() bool {
	var one [1]byte
	n, _ := io.ReadFull(r.ReadCloser, one[:])
	return n > 0
}
