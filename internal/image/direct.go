// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cache says whether an image is read through this machine's page cache, which is stale
// where another host writes the same file or device. Images that are open for writing are.
type Cache int

const (
	CacheAuto   Cache = iota // files are, block devices are not
	CacheNever               // nothing is: other hosts write the storage that the file is on
	CacheAlways              // everything is
)

// uncached is a storage that is read past the page cache: with O_DIRECT or, where that is
// refused, after the kernel dropped what it holds there. Several goroutines may read it.
type uncached struct {
	Storage
	raw     rawFile
	align   int64       // in bytes: of place, length and memory of what O_DIRECT reads
	refused atomic.Bool // no O_DIRECT
}

// rawFile is what uncached asks of a file.
type rawFile interface {
	// pread reads once. An end of the file is a short read, and after it one of 0 bytes.
	pread(p []byte, off int64) (int, error)
	// drop drops what the page cache holds of the n bytes at off; n 0 is all that follows.
	drop(off, n int64) error
	setDirect(on bool) error
}

func newUncached(st Storage, raw rawFile, align int64) *uncached {
	u := &uncached{Storage: st, raw: raw, align: align}
	u.refused.Store(raw.setDirect(true) != nil)
	return u
}

// SectorSize returns that of the storage.
func (u *uncached) SectorSize() (int64, error) {
	if s, ok := u.Storage.(sectored); ok {
		return s.SectorSize()
	}
	return 0, errors.ErrUnsupported
}

// ReadAt reads as io.ReaderAt says.
func (u *uncached) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		read := u.readDirect
		if u.refused.Load() {
			read = u.readDropped
		}
		var m int
		m, err = read(p[n:], off+int64(n))
		n += m
		if errors.Is(err, unix.EINVAL) && !u.refused.Swap(true) {
			err = u.raw.setDirect(false) // it was refused only now
		}
	}
	return n, err
}

// readDropped reads the beginning of p through the page cache, which is emptied first.
// The kernel drops whole pages only.
func (u *uncached) readDropped(p []byte, off int64) (int, error) {
	page := int64(os.Getpagesize())
	start := off / page * page
	end := (off + int64(len(p)) + page - 1) / page * page
	if err := u.raw.drop(start, end-start); err != nil {
		return 0, err
	}
	return eof(u.raw.pread(p, off))
}

// readDirect reads the beginning of p with O_DIRECT.
func (u *uncached) readDirect(p []byte, off int64) (int, error) {
	skip := off % u.align
	whole := min(int64(len(p)), largePiece) / u.align * u.align
	once := whole < int64(len(p)) && len(p) <= smallPiece // into a buffer, with the end that is not aligned
	if skip == 0 && whole > 0 && !once && isAligned(p, u.align) {
		return eof(u.raw.pread(p[:whole], off))
	}
	buf := bounces.Get().(*[]byte)
	defer bounces.Put(buf)
	want := min((skip+int64(len(p))+u.align-1)/u.align*u.align, int64(len(*buf)))
	n, err := u.raw.pread((*buf)[:want], off-skip)
	if err != nil || int64(n) <= skip {
		return eof(0, err)
	}
	return copy(p, (*buf)[skip:n]), nil
}

// eof makes io.EOF of a read without bytes.
func eof(n int, err error) (int, error) {
	if n <= 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// bounces are buffers for reads that are not aligned.
var bounces = sync.Pool{New: func() any {
	buf := alignedBytes(smallPiece)
	return &buf
}}

// maxAlign is the largest alignment that O_DIRECT asks for, in bytes: no file system wants more.
const maxAlign = 4096

// alignedBytes returns n bytes of memory that are aligned to maxAlign.
func alignedBytes(n int) []byte {
	buf := make([]byte, n+maxAlign)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(buf))) & (maxAlign - 1))
	return buf[skip : skip+n : skip+n]
}

func isAligned(p []byte, align int64) bool {
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))%align == 0
}

// rawFD is the rawFile of a descriptor.
type rawFD struct{ o *openedFile }

func (r rawFD) pread(p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(int(r.o.f.Fd()), p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func (r rawFD) drop(off, n int64) error {
	return unix.Fadvise(int(r.o.f.Fd()), off, n, unix.FADV_DONTNEED)
}

func (r rawFD) setDirect(on bool) error {
	flags, err := unix.FcntlInt(r.o.f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(r.o.f.Fd(), unix.F_SETFL, flags)
	return err
}

// alignment returns what O_DIRECT on st, whose file is o, wants of place, length and memory.
func alignment(st Storage, o *openedFile) int64 {
	if s, ok := st.(sectored); ok {
		if n, err := s.SectorSize(); err == nil {
			return n
		}
	}
	var stat unix.Statx_t
	err := unix.Statx(int(o.f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &stat)
	if n := max(stat.Dio_mem_align, stat.Dio_offset_align); err == nil && n > 0 {
		return int64(n)
	}
	return maxAlign // the kernel does not say
}
