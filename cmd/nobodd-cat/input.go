// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"io"
	"os"
	"syscall"

	"nobodd/internal/addr"
	"nobodd/internal/image"
	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

const (
	pieceSize = 256 << 10
	// smallFile is the size up to which a file of an image is read whole, so that the
	// image is unlocked before the output, which may be slow, is written.
	smallFile = 4 << 20
)

// input reads the operands.
type input struct {
	stdin   io.Reader
	report  func(error)
	waiting func(path string) func()
	output  addr.Addr // that of -o
	failed  bool      // an operand could not be read
}

// outputError is an error of the output: there is no point in reading on.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// copy writes the operands to w one after another. What is wrong with one of them is
// reported and does not stop the rest; the error is that of w.
func (in *input) copy(operands []string, w io.Writer) error {
	for _, text := range operands {
		err := in.operand(text, w)
		if oerr := (outputError{}); errors.As(err, &oerr) {
			return oerr.error
		}
		if err != nil {
			in.failed = true
			in.report(err)
		}
	}
	return nil
}

func (in *input) operand(text string, w io.Writer) error {
	a, err := tree.Parse(text)
	if err != nil {
		return err
	}
	switch a.Kind {
	case addr.Std:
		err = in.local(in.stdin, w)
	case addr.Local:
		err = in.file(a.Path, w)
	default:
		err = in.inside(a, w)
	}
	return tool.At(text, err)
}

func (in *input) file(path string, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return in.local(f, w)
}

// local copies r, a file of this machine.
func (in *input) local(r io.Reader, w io.Writer) error {
	if f, ok := r.(*os.File); ok && isOutput(f, w) {
		return errors.New("input file is output file")
	}
	return pump(w, r)
}

// isOutput tells whether reading f while writing to w would never end.
func isOutput(f *os.File, w io.Writer) bool {
	if _, ok := w.(stdout); !ok {
		return false
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
		return false
	}
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(fi, out)
}

// replaces tells whether the output takes the place of the image at path.
func (in *input) replaces(path string) bool {
	fi, err := os.Stat(path)
	if err != nil || in.output.Kind != addr.Local {
		return false
	}
	out, err := os.Stat(in.output.Path)
	return err == nil && os.SameFile(fi, out)
}

// inside copies a file of an image.
func (in *input) inside(a addr.Addr, w io.Writer) error {
	if in.replaces(a.Image) {
		return errors.New("is in the image that the output would replace")
	}
	im, err := image.Open(a.Image, image.Read, in.waiting(a.Image))
	if err != nil {
		return err
	}
	defer im.Close()
	volume, _, err := im.Volume(a.Part)
	if err != nil {
		return err
	}
	info, err := volume.Stat(a.Name())
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return syscall.EISDIR
	case a.Slash:
		return syscall.ENOTDIR
	}
	f, err := volume.OpenFile(a.Name())
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
	if _, err := w.Write(data); err != nil {
		return outputError{err}
	}
	return nil
}

// pump copies r to w piece by piece, each of them as soon as it is there.
func pump(w io.Writer, r io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return outputError{err}
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
