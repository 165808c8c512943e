// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"io"
	"os"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

// stdout is standard output without a buffer.
type stdout struct{ w io.Writer }

func (s stdout) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err == nil {
		err = tool.Flush(s.w)
	}
	return n, err
}

// write writes what the spool holds.
func write(w io.Writer, spool *tree.Spool) error {
	err := pump(w, spool.Open())
	if oerr := (outputError{}); errors.As(err, &oerr) {
		return oerr.error
	}
	return err
}

// writeThrough writes to what is no file that could be replaced: standard output by
// another name, a fifo, a device. Direct is false for anything else.
func writeThrough(path string, spool *tree.Spool, out stdout) (direct bool, err error) {
	fi, err := os.Stat(path)
	if err != nil || fi.IsDir() {
		return false, nil
	}
	if o, err := os.Stdout.Stat(); err == nil && os.SameFile(fi, o) {
		return true, write(out, spool)
	}
	if fi.Mode().IsRegular() {
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return true, err
	}
	return true, tool.At(path, errors.Join(write(f, spool), f.Close()))
}
