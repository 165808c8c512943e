// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// file is a regular file that is read. A copy of many small files spends a good part of its time
// in opening them, and an *os.File takes twice as long: it tries to have each of them polled.
type file struct {
	name  string
	fd    int   // -1: closed
	pos   int64 // of Read
	size  int64 // when it was opened, in bytes
	holes bool  // it took less room than that
}

// openRegular opens name, which is a file if st says so afterwards. It does not wait for a fifo.
func openRegular(name string, st *unix.Stat_t) (*file, error) {
	fd, err := again(func() (int, error) {
		return unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err == nil {
		if err = unix.Fstat(fd, st); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{name: name, fd: fd, size: st.Size, holes: st.Blocks*512 < st.Size}, nil
}

// again makes a call until no signal interrupts it.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

// Read reads from where the last Read has ended. The piece that reaches the size which the file
// had when it was opened comes with io.EOF if there is no more then.
func (f *file) Read(p []byte) (int, error) {
	n, err := again(func() (int, error) { return unix.Read(f.fd, p) })
	if err != nil {
		return 0, f.err("read", err)
	}
	f.pos += int64(n)
	if n < len(p) && (n == 0 || f.pos == f.size) {
		return n, io.EOF
	}
	return n, nil
}

// ReadAt reads as io.ReaderAt says.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; ; {
		got, err := again(func() (int, error) { return unix.Pread(f.fd, p[n:], off+int64(n)) })
		if err != nil {
			return n, f.err("read", err)
		}
		if n += got; n == len(p) {
			return n, nil
		}
		if got == 0 {
			return n, io.EOF
		}
	}
}

// Stat describes the file.
func (f *file) Stat() (fs.FileInfo, error) {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, f.err("stat", err)
	}
	dup := os.NewFile(uintptr(fd), f.name)
	defer dup.Close()
	return dup.Stat()
}

// Close ends the use of the file.
func (f *file) Close() error {
	if f.fd < 0 {
		return f.err("close", fs.ErrClosed)
	}
	err := unix.Close(f.fd)
	f.fd = -1
	return f.err("close", err)
}

// err is err, met in op, as an error of package os; nil stays nil.
func (f *file) err(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
