// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"encoding/binary"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

func newXZ(in *input) (io.ReadCloser, error) {
	z, err := xz.ReaderConfig{SingleStream: true}.NewReader(in)
	return io.NopCloser(z), err
}

// newLZMA returns a decoder of the format that precedes xz.
// Source: XZ Utils, doc/lzma-file-format.txt, 1.1.
func newLZMA(in *input) (io.ReadCloser, error) {
	head, err := in.Peek(13)
	if err != nil {
		return nil, short(err)
	}
	if window := binary.LittleEndian.Uint32(head[1:]); window > maxWindow {
		return nil, tooWide(uint64(window))
	}
	z, err := lzma.NewReader(in)
	return io.NopCloser(z), err
}
