// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
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
func Read(env Env, a addr.Addr, w io.Writer) error {
	var err error
	switch a.Kind {
	case addr.Std:
		err = pump(w, env.Stdin())
	case addr.Local:
		err = readLocal(a.Path, w)
	default:
		err = readInside(env, a, w)
	}
	return failure(a, err)
}

// readLocal reads what is at path: a file, a fifo, a device.
func readLocal(path string, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return pump(w, f)
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
		return pump(w, f)
	}
	data := make([]byte, f.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return err
	}
	im.Close()
	_, err = w.Write(data)
	return err
}

// pump copies r to w piece by piece, each of them as soon as it is there.
func pump(w io.Writer, r io.Reader) error {
	onlyReader := struct{ io.Reader }{r} // the pieces of an io.WriterTo are smaller
	_, err := io.CopyBuffer(w, onlyReader, make([]byte, pieceSize))
	return err
}
