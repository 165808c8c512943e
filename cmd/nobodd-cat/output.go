// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"io"
	"os"

	"nobodd/internal/addr"
	"nobodd/internal/tool"
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

// isStdout reports whether a is standard output, by one of its names.
func isStdout(a addr.Addr) bool {
	if a.Kind != addr.Local {
		return a.Kind == addr.Std
	}
	fi, err := os.Stat(a.Path)
	if err != nil {
		return false
	}
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(fi, out)
}
