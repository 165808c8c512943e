// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"nobodd/internal/config"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// file is an open file of an image.
type file interface {
	io.ReaderAt
	io.Closer
	Size() int64 // bytes
}

// splitName reads what a board asks for: its serial number, and a path in its boot
// partition as io/fs wants it. Slashes in front do not count; "." and ".." are resolved
// lexically and end at the root.
func splitName(name string) (serial config.Serial, inside string, ok bool) {
	first, rest, slash := strings.Cut(strings.TrimLeft(name, "/"), "/")
	serial, err := config.ParseSerial(first)
	if err != nil || !slash {
		return 0, "", false
	}
	inside = path.Clean("/" + rest)[1:]
	if inside == "" {
		inside = "."
	}
	return serial, inside, true
}

// openFile opens the file name in the board's partition as the image is now. The error is
// a *tftp.Refusal or wraps one with its cause.
func openFile(b config.Board, name string) (file, error) {
	im, err := image.Open(b.Image, image.Unlocked, nil)
	if err != nil {
		return nil, &failure{b.Image, err}
	}
	f, err := openIn(im, b, name)
	if err != nil {
		im.Close()
		return nil, err
	}
	return &imageFile{f, im}, nil
}

// maxElements is how many elements of a path package fat follows.
const maxElements = 128

func openIn(im *image.Image, b config.Board, name string) (*fat.File, error) {
	if strings.Count(name, "/") >= maxElements {
		return nil, errNotFound
	}
	vol, _, err := im.Volume(b.Partition)
	if err != nil {
		return nil, &failure{b.Image, err}
	}
	f, err := vol.OpenFile(name)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fat.ErrNotDir), errors.Is(err, fs.ErrInvalid):
		return nil, errNotFound
	case errors.Is(err, fat.ErrIsDir):
		return nil, errNotFile
	}
	return nil, &failure{b.Image, err}
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
	im *image.Image
}

func (f *imageFile) Close() error { return errors.Join(f.File.Close(), f.im.Close()) }

var errShort = errors.New("the image ends inside the file")
