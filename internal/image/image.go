// SPDX-License-Identifier: GPL-3.0-or-later

// Package image opens images, files or block devices: locks them, reads their
// partition table, opens the FAT volumes inside, and changes their size.
package image

import (
	"errors"
	"io/fs"
)

// ErrNoImage says that nothing is at the image's path. It matches fs.ErrNotExist, yet
// differs from the error of a file that is missing in an image.
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
	st   Storage
	size int64
	mode Mode

	layout *layout // nil until it is read
}

// Open opens the image at path and takes the lock of mode, waiting for it if need be; waiting
// (may be nil) is called before each wait. An image that was replaced before it was locked is
// opened anew. Errors are causes to be printed after the address.
func Open(path string, mode Mode, waiting func()) (*Image, error) {
	return OpenCache(path, mode, CacheAuto, waiting)
}

// OpenCache is Open with a choice of what is read past the page cache.
func OpenCache(path string, mode Mode, cache Cache, waiting func()) (*Image, error) {
	for {
		f, err := openFile(path, mode, waiting)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, ErrNoImage
		case err != nil:
			return nil, cause(err)
		}
		if mode != Unlocked && !f.isAt(path) {
			f.Close()
			continue
		}
		st, err := f.storage(mode, cache)
		if err != nil {
			f.Close()
			return nil, cause(err)
		}
		return New(st, mode)
	}
}

// New returns the image that st holds. It takes no lock. The image closes st, as does an
// error of New.
func New(st Storage, mode Mode) (*Image, error) {
	size, err := st.Size()
	if err != nil {
		st.Close()
		return nil, err
	}
	return &Image{st: st, size: size, mode: mode}, nil
}

// DirectRefused reports whether the image, to be read past the page cache, is on storage
// that refuses O_DIRECT: it is read through the page cache, which is emptied before.
func (im *Image) DirectRefused() bool {
	u, ok := im.st.(*uncached)
	return ok && u.refused.Load()
}

// Close closes the image, which releases the lock.
func (im *Image) Close() error { return im.st.Close() }

// Size returns the size of the image in bytes.
func (im *Image) Size() int64 { return im.size }
