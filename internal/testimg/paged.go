// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
)

const pageSize = 4096 // bytes

// page is the data of one page. It may belong to several devices: it is never changed, only replaced.
type page *[pageSize]byte

// zeroPage is the page of a device that nothing was written to.
var zeroPage = page(new([pageSize]byte))

// Paged is a device in memory whose clones share the pages that none of them has written, so that a sweep
// over the states of a large disk copies only what changes. A write that does not fit whole is refused with
// ErrBounds and changes nothing.
type Paged struct {
	pages []page
	own   []bool // whether this device alone has the page
	size  int64  // bytes; what the last page has after it is zero
}

// NewPaged returns a device that holds a copy of img.
func NewPaged(img []byte) *Paged {
	d := &Paged{}
	d.resize(int64(len(img)))
	for i := range d.pages {
		piece := img[i*pageSize : min((i+1)*pageSize, len(img))]
		if !bytes.Equal(piece, zeroPage[:len(piece)]) {
			d.pages[i], d.own[i] = new([pageSize]byte), true
			copy(d.pages[i][:], piece)
		}
	}
	return d
}

// Clone returns a device of the same size and content. Neither sees what is written to the other.
func (d *Paged) Clone() *Paged {
	clear(d.own)
	return &Paged{pages: slices.Clone(d.pages), own: make([]bool, len(d.pages)), size: d.size}
}

// Size returns the size in bytes.
func (d *Paged) Size() int64 { return d.size }

// ReadAt reads as io.ReaderAt says.
func (d *Paged) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: %w", off, ErrBounds)
	}
	n := 0
	for n < len(p) && off < d.size {
		page := d.pages[off/pageSize][off%pageSize : min(pageSize, d.size-off/pageSize*pageSize)]
		read := copy(p[n:], page)
		n, off = n+read, off+int64(read)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes all of p or nothing.
func (d *Paged) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > d.size || int64(len(p)) > d.size-off {
		return 0, fmt.Errorf("write of %d bytes at %d: %w", len(p), off, ErrBounds)
	}
	for n := 0; n < len(p); {
		wrote := copy(d.writable(off / pageSize)[off%pageSize:], p[n:])
		n, off = n+wrote, off+int64(wrote)
	}
	return len(p), nil
}

// writable returns page i after it was made this device's own.
func (d *Paged) writable(i int64) page {
	if !d.own[i] {
		mine := *d.pages[i]
		d.pages[i], d.own[i] = &mine, true
	}
	return d.pages[i]
}

// Sync does nothing.
func (d *Paged) Sync() error { return nil }

// Truncate changes the size; what is added is zero.
func (d *Paged) Truncate(size int64) error {
	if size < d.size && size%pageSize != 0 {
		clear(d.writable(size / pageSize)[size%pageSize:])
	}
	d.resize(size)
	return nil
}

// resize adds zero pages, or drops pages.
func (d *Paged) resize(size int64) {
	n := int((size + pageSize - 1) / pageSize)
	d.pages, d.own, d.size = d.pages[:min(n, len(d.pages))], d.own[:min(n, len(d.own))], size
	for len(d.pages) < n {
		d.pages, d.own = append(d.pages, zeroPage), append(d.own, false)
	}
}

// Bytes returns a copy of the content.
func (d *Paged) Bytes() []byte {
	img := make([]byte, d.size)
	for i, page := range d.pages {
		copy(img[i*pageSize:], page[:])
	}
	return img
}

// writeSparse writes the content to the file path, leaving out the pages that are zero.
func (d *Paged) writeSparse(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(d.size); err != nil {
		return err
	}
	for i, page := range d.pages {
		if page == zeroPage {
			continue
		}
		off := int64(i) * pageSize
		if _, err := f.WriteAt(page[:min(pageSize, d.size-off)], off); err != nil {
			return err
		}
	}
	return f.Close()
}

// Equal reports whether other has the same size and content.
func (d *Paged) Equal(other *Paged) bool {
	return d.size == other.size && d.EqualRange(other, 0, d.size)
}

// EqualRange reports whether both hold the same bytes from start up to end.
func (d *Paged) EqualRange(other *Paged, start, end int64) bool {
	if start < 0 || end > min(d.size, other.size) {
		return false
	}
	for start < end {
		i, next := start/pageSize, min(end, (start/pageSize+1)*pageSize)
		a, b := d.pages[i], other.pages[i]
		if a != b && !bytes.Equal(a[start-i*pageSize:next-i*pageSize], b[start-i*pageSize:next-i*pageSize]) {
			return false
		}
		start = next
	}
	return true
}
