// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"io"
	"os"

	"nobodd/internal/addr"
	"nobodd/internal/image"
	"nobodd/internal/tree"
)

// input reads the operands.
type input struct {
	env    tree.Env
	report func(error)
	direct bool      // what is read goes to standard output at once
	output addr.Addr // of -o
	failed bool      // an operand could not be read
}

// output is where the operands are written to.
type output struct {
	w   io.Writer
	err error // of w: there is no point in reading on
}

func (o *output) Write(p []byte) (n int, err error) {
	n, o.err = o.w.Write(p)
	return n, o.err
}

// copy writes the operands to w one after another. What is wrong with one of them is
// reported and does not stop the rest; the error is that of w.
func (in *input) copy(operands []string, w io.Writer) error {
	out := &output{w: w}
	for _, text := range operands {
		err := in.operand(text, out)
		if out.err != nil {
			return out.err
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
	if err := in.refuses(a); err != nil {
		return &addr.Error{Text: text, Err: err}
	}
	return tree.Read(in.env, a, w)
}

// refuses says why a cannot be read for the present output.
func (in *input) refuses(a addr.Addr) error {
	switch {
	case in.direct && in.isOutput(a):
		return errors.New("input file is output file")
	case in.output.Kind == addr.Local && a.Kind == addr.Inside && in.replaces(a.Image):
		return errors.New("is in the image that the output would replace")
	}
	return nil
}

// isOutput reports whether reading a while writing to standard output would never end.
func (in *input) isOutput(a addr.Addr) bool {
	var fi os.FileInfo
	var err error
	switch f, ok := in.env.Stdin().(*os.File); {
	case a.Kind == addr.Local:
		fi, err = os.Stat(a.Path)
	case a.Kind == addr.Std && ok:
		fi, err = f.Stat()
	default:
		return false
	}
	if err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
		return false
	}
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(fi, out)
}

// replaces reports whether the output takes the place of the image at path.
func (in *input) replaces(path string) bool {
	return image.IsFile(path) && image.Key(path) == image.Key(in.output.Path)
}
