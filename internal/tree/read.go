// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io"
	"os"

	"nobodd/internal/addr"
	"nobodd/internal/image"
)

const (
	pieceSize = 256 << 10
	// smallFile is the size up to which a file of an image is read whole, so that the
	// image is unlocked before the output, which may be slow, is written.
	smallFile = 4 << 20
)

// Read writes the file that a names, or standard input, to w, piece by piece as it comes.
// Of a pattern it writes all the files that match.
func Read(env Env, a addr.Addr, w io.Writer) error {
	switch {
	case a.Kind == addr.Std:
		return failure(a, pump(env, w, env.Stdin(), 0))
	case a.Kind == addr.Local:
		return failure(a, readLocal(env, a.Path, w))
	case !isPattern(a.Path):
		return failure(a, readInside(env, a, w))
	}
	matches, err := matchesOf(env, a)
	errs := []error{err}
	for _, m := range matches {
		errs = append(errs, failure(m, readInside(env, m, w)))
	}
	return errors.Join(errs...)
}

// matchesOf returns what matches the pattern a. The image is unlocked before the files are read.
func matchesOf(env Env, a addr.Addr) ([]addr.Addr, error) {
	ims := newImages(env)
	ims.want(a, image.Read)
	ims.open()
	matches, err := ims.expand(a)
	if cerr := ims.close(); err == nil {
		err = failure(a, cerr)
	}
	return matches, err
}

// readLocal reads what is at path: a file, a fifo, a device.
func readLocal(env Env, path string, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	size := int64(0)
	if fi, err := f.Stat(); err == nil {
		size = fi.Size() // 0 of a fifo or a device
	}
	return pump(env, w, f, size)
}

func readInside(env Env, a addr.Addr, w io.Writer) error {
	im, err := image.Open(a.Image, image.Read, env.Waiting(a.Image))
	if err != nil {
		return err
	}
	defer im.Close()
	v, _, err := im.Volume(a.Part)
	if err != nil {
		return err
	}
	f, err := image.OpenFile(v, a)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Size() > smallFile {
		return pump(env, w, f, f.Size())
	}
	data := make([]byte, f.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return err
	}
	im.Close()
	_, err = w.Write(data)
	return err
}

// pump copies r to w piece by piece, each of them as soon as it is there. size is that of r, 0 if
// nobody knows.
func pump(env Env, w io.Writer, r io.Reader, size int64) error {
	copied, end := env.Progress(size)
	defer end()
	onlyReader := struct{ io.Reader }{r} // the pieces of an io.WriterTo are smaller
	_, err := io.CopyBuffer(metered{w, copied}, onlyReader, make([]byte, pieceSize))
	return err
}

// metered is a writer that says how much was written.
type metered struct {
	io.Writer
	copied func(n int64)
}

func (m metered) Write(p []byte) (int, error) {
	n, err := m.Writer.Write(p)
	m.copied(int64(n))
	return n, err
}
