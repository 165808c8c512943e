// SPDX-License-Identifier: GPL-3.0-or-later

// Package image opens images, files or block devices: locks them, reads their
// partition table and opens the FAT volumes inside.
package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNoImage: there is nothing at the image's path. It matches fs.ErrNotExist, but is
// told from a file that is missing in an image.
var ErrNoImage error = noImage{}

type noImage struct{}

func (noImage) Error() string        { return "no such image" }
func (noImage) Is(target error) bool { return target == fs.ErrNotExist }

// Mode says what an image is opened for.
type Mode int

const (
	Read     Mode = iota // shared flock
	Write                // exclusive flock
	Unlocked             // read without a lock: the daemon
)

// Image is an open image. It belongs to one goroutine; the volumes it hands out may be
// read by several.
type Image struct {
	path  string
	f     *os.File
	size  int64
	mode  Mode
	block bool // a block device

	layout *layout // nil until it is read
}

// IsFile tells whether path is an existing file that could be an image: a regular file
// or a block device, or a symbolic link to one. It is what addr.Parse asks for.
func IsFile(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && checkKind(fi) == nil
}

// Open opens the image at path and takes the lock of mode, waiting for it if need be; waiting
// (may be nil) is called once before it waits. An image that was replaced before it was
// locked is opened anew. Errors are causes to be printed after the address.
func Open(path string, mode Mode, waiting func()) (*Image, error) {
	for {
		im, err := open(path, mode, &waiting)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, ErrNoImage
		case err != nil:
			return nil, cause(err)
		}
		if mode == Unlocked || im.isCurrent() {
			return im, nil
		}
		im.Close()
	}
}

// open opens and locks the image; once it has called *waiting, that is nil.
func open(path string, mode Mode, waiting *func()) (*Image, error) {
	fi, err := os.Stat(path)
	if err == nil {
		err = checkKind(fi) // before opening: a fifo would block, some devices act on it
	}
	if err != nil {
		return nil, err
	}
	flag := os.O_RDONLY
	if mode == Write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	im := &Image{path: path, f: f, mode: mode}
	if err = im.lock(waiting); err == nil {
		err = im.measure()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return im, nil
}

// checkKind gives an error for what can be no image.
func checkKind(fi fs.FileInfo) error {
	switch mode := fi.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return syscall.EISDIR
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		return nil
	}
	return errors.New("neither a regular file nor a block device")
}

// lock takes the lock of the image's mode.
func (im *Image) lock(waiting *func()) error {
	how := unix.LOCK_SH
	switch im.mode {
	case Unlocked:
		return nil
	case Write:
		how = unix.LOCK_EX
	}
	fd := int(im.f.Fd())
	err := flock(fd, how|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	if *waiting != nil {
		(*waiting)()
		*waiting = nil
	}
	return flock(fd, how)
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return err
		}
	}
}

// measure finds out the kind and size of the open file.
func (im *Image) measure() error {
	fi, err := im.f.Stat()
	if err != nil {
		return err
	}
	if err := checkKind(fi); err != nil {
		return err
	}
	im.block = !fi.Mode().IsRegular()
	if !im.block {
		im.size = fi.Size()
		return nil
	}
	im.size, err = im.f.Seek(0, io.SeekEnd)
	return err
}

// isCurrent tells whether the image's path still leads to the open file.
func (im *Image) isCurrent() bool {
	now, err := os.Stat(im.path)
	if err != nil {
		return false // opening it anew tells why
	}
	mine, err := im.f.Stat()
	return err != nil || os.SameFile(now, mine)
}

// cause takes the path and the operation off an error of package os.
func cause(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Close closes the image, which gives up the lock.
func (im *Image) Close() error { return im.f.Close() }

// Path is the path as given to Open.
func (im *Image) Path() string { return im.path }

// Size is the size of the image in bytes.
func (im *Image) Size() int64 { return im.size }

// IsDevice tells whether the image is a block device, which cannot change its size.
func (im *Image) IsDevice() bool { return im.block }

// Key returns the identity of the image at path: the same for all names of one file, and
// for all nodes of one block device. Where nothing is there, the path stands for itself.
func Key(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return "path " + path
	}
	st := fi.Sys().(*syscall.Stat_t)
	if fi.Mode().Type() == fs.ModeDevice {
		return fmt.Sprintf("device %d", st.Rdev)
	}
	return fmt.Sprintf("file %d:%d", st.Dev, st.Ino)
}
