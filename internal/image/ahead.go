// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"io"
	"sync"
)

// Sizes in bytes of the pieces that are read ahead, and of all of them together.
const (
	largePiece = 256 << 10
	smallPiece = 32 << 10
	aheadLimit = 32 << 20
)

// ReadAhead reads a file of an image for someone who goes through it once, in small steps.
type ReadAhead struct {
	r      io.ReaderAt
	memory *budget // nil: the page cache reads ahead

	mu    sync.Mutex
	buf   []byte // from memory
	start int64  // of have in r, in bytes
	have  []byte // the part of buf that was read and not yet asked for
}

// ReadAhead returns r, a file of the image, read ahead in large pieces if the image is
// read past the page cache. Close frees the memory for them.
func (im *Image) ReadAhead(r io.ReaderAt) *ReadAhead {
	a := &ReadAhead{r: r}
	if _, ok := im.st.(*uncached); ok {
		a.memory = &aheadMemory
	}
	return a
}

// ReadAt reads as io.ReaderAt says. What was asked for once is read anew.
func (a *ReadAhead) ReadAt(p []byte, off int64) (n int, err error) {
	if a.memory == nil || len(p) >= smallPiece {
		return a.r.ReadAt(p, off)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for n < len(p) && err == nil {
		if off+int64(n) != a.start || len(a.have) == 0 {
			err = a.fill(off + int64(n))
		}
		m := copy(p[n:], a.have)
		a.have, a.start = a.have[m:], a.start+int64(m)
		n += m
	}
	if n == len(p) {
		err = nil // one after these bytes is met again
	}
	return n, err
}

// fill reads the piece at off; what it could read it keeps beside an error.
func (a *ReadAhead) fill(off int64) error {
	if size := a.memory.resize(len(a.buf)); size != len(a.buf) {
		a.buf = alignedBytes(size)
	}
	n, err := a.r.ReadAt(a.buf, off)
	a.start, a.have = off, a.buf[:n]
	return err
}

// Close frees the memory. The file stays open.
func (a *ReadAhead) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.memory != nil {
		a.memory.free(len(a.buf))
	}
	a.buf, a.have = nil, nil
}

// budget is the memory for pieces.
type budget struct {
	mu    sync.Mutex
	taken int64 // bytes, but for those of minPieces
}

var aheadMemory budget

// minPiece is the size of a piece where the budget is spent: it does not count.
const minPiece = maxAlign

// resize changes a buffer of old bytes to the largest that there is room for: a large piece
// while a quarter of the memory is free, else a small one.
func (b *budget) resize(old int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(-old)
	size := minPiece
	switch {
	case b.taken+largePiece <= aheadLimit*3/4:
		size = largePiece
	case b.taken+smallPiece <= aheadLimit:
		size = smallPiece
	}
	b.add(size)
	return size
}

func (b *budget) free(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(-size)
}

func (b *budget) add(size int) {
	if size != minPiece && size != -minPiece {
		b.taken += int64(size)
	}
}
