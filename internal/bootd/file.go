// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"nobodd/internal/config"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// file is an open file of an image.
type file interface {
	io.ReaderAt
	io.Closer
	Size() int64 // bytes
	// Unchanged returns errChanged if the file is not any more what it was when it was opened. Asked after
	// the last byte was read, it says whether what was read is the file as it was at one moment.
	Unchanged() error
}

// openFile opens the file name in the board's partition as the image is now. The error is
// a *tftp.Refusal or wraps one with its cause.
func openFile(b config.Board, name string) (*imageFile, error) {
	im, err := image.OpenCache(b.Image, image.Unlocked, caches[b.Uncached], nil)
	if err != nil {
		return nil, &failure{b.Image, err}
	}
	f, err := openIn(im, b.Partition, name)
	if err != nil {
		im.Close()
		return nil, served(b.Image, err)
	}
	f.image = b.Image
	return f, nil
}

// caches are the ways to read an image that config.Uncached asks for.
var caches = map[config.Uncached]image.Cache{
	config.UncachedAuto: image.CacheAuto,
	config.UncachedYes:  image.CacheNever,
	config.UncachedNo:   image.CacheAlways,
}

// openIn opens the file name of a partition. Each call reads the image anew.
func openIn(im *image.Image, partition int, name string) (*imageFile, error) {
	vol, num, err := im.Volume(partition)
	if err != nil {
		return nil, err
	}
	f, err := vol.OpenFile(name)
	if err != nil {
		return nil, err
	}
	return &imageFile{File: f, ahead: im.ReadAhead(f), im: im, partition: num, name: name}, nil
}

// served turns the error of openIn into what the client and the log are told.
func served(image string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fat.ErrNotDir), errors.Is(err, fs.ErrInvalid),
		errors.Is(err, fat.ErrDepth):
		return errNotFound
	case errors.Is(err, fat.ErrIsDir):
		return errNotFile
	}
	return &failure{image, err}
}

// failure is why a file that may be there cannot be served: for the log, not for the client.
type failure struct {
	image string
	err   error
}

func (f *failure) Error() string {
	if pe := (*fs.PathError)(nil); errors.As(f.err, &pe) {
		return f.image + ": " + pe.Path + ": " + pe.Err.Error()
	}
	return f.image + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// imageFile is a file that keeps its image open.
type imageFile struct {
	*fat.File
	ahead     *image.ReadAhead
	im        *image.Image
	image     string // its path, for the log
	partition int
	name      string
}

// ReadAt reads as io.ReaderAt says: a transfer goes through the file once.
func (f *imageFile) ReadAt(p []byte, off int64) (int, error) { return f.ahead.ReadAt(p, off) }

// Unchanged looks the file up again in the image that was opened, whatever its path leads to now. A file
// system that is damaged now was being written: the file counts as changed. A device that fails is another matter.
func (f *imageFile) Unchanged() error {
	now, err := openIn(f.im, f.partition, f.name)
	if err == nil && f.Same(now.File) {
		return nil
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &failure{f.image, err}
	}
	return errChanged
}

func (f *imageFile) Close() error {
	f.ahead.Close()
	return errors.Join(f.File.Close(), f.im.Close())
}

var errShort = errors.New("the image ends inside the file")
