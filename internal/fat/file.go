// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sort"
	"time"
)

// copySize is how much File.WriteTo and a Tx read and write at a time.
const copySize = 256 << 10

// manyRuns is how many runs OpenFile takes for a sign that the whole file is in pieces.
const manyRuns = 1 << 16

// File is an open file: its whole chain was resolved and checked by OpenFile, so a
// chain shorter than the size is an error there and not while reading.
type File struct {
	v      *FS
	name   string
	e      *entry
	runs   []fileRun
	pos    int64
	closed bool
}

// fileRun is a run of a file's clusters. It ends where the next one begins.
type fileRun struct {
	start uint32 // first cluster
	index uint32 // of that cluster in the file
}

// OpenFile opens the file name. Its cluster chain is followed as far as the size needs: a shorter
// or damaged one is a CorruptError here.
func (v *FS) OpenFile(name string) (*File, error) {
	_, e, err := v.lookup(name)
	if err == nil && e.d.isDir() {
		err = ErrIsDir
	}
	if err != nil {
		return nil, pathErr("open", name, err)
	}
	return v.openFile(name, e)
}

// openFile opens the file e, whose path is name.
func (v *FS) openFile(name string, e *entry) (*File, error) {
	f := &File{v: v, name: name, e: e}
	var index uint32
	err := v.fileChain(e, func(r run) {
		if len(f.runs) == manyRuns { // room for all there can be, once, takes less memory than to grow on
			f.runs = append(make([]fileRun, 0, v.clustersFor(f.Size())), f.runs...)
		}
		f.runs = append(f.runs, fileRun{r.start, index})
		index += r.n
	})
	if err != nil {
		return nil, pathErr("open", name, err)
	}
	return f, nil
}

// fileChain follows the chain of the file e as far as its size needs, and calls each with its clusters.
func (v *FS) fileChain(e *entry, each func(run)) error {
	size := int64(e.d.size())
	need := v.clustersFor(size)
	if need == 0 {
		return nil
	}
	if err := v.checkFirst(e); err != nil {
		return err
	}
	if need > int64(v.clusters) {
		have := int64(v.clusters) * v.clusterSize
		return corruptf(e.off+28, "a size of %d bytes on a volume of %d", size, have)
	}
	var past error
	left := size
	n, err := v.table(v.r).follow(e.d.cluster(v.width), need, nil, func(r run) {
		if past == nil {
			past = v.checkThere(r, left)
		}
		left -= int64(r.n) * v.clusterSize
		each(r)
	})
	if err == nil && n < need {
		err = corruptf(e.off+28, "the size of %d bytes needs %d clusters, the chain has %d", size, need, n)
	}
	return cmp.Or(err, past)
}

// Stat describes the file.
func (f *File) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, f.err("stat", fs.ErrClosed)
	}
	return info{f.e}, nil
}

// Size returns the size of the file in bytes.
func (f *File) Size() int64 { return int64(f.e.d.size()) }

// Same reports whether g, opened later, is f as it was opened: the directory entry is the same in all but the
// date of last access, and so are the clusters that hold the file.
func (f *File) Same(g *File) bool {
	a, b := f.e.d, g.e.d
	a.setAccessed(time.Time{})
	b.setAccessed(time.Time{})
	return a == b && slices.Equal(f.runs, g.runs) &&
		f.v.dataStart == g.v.dataStart && f.v.clusterSize == g.v.clusterSize
}

// Close ends the use of the file.
func (f *File) Close() error {
	if f.closed {
		return f.err("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// Read reads from the current offset.
func (f *File) Read(p []byte) (int, error) {
	if f.closed {
		return 0, f.err("read", fs.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// ReadAt reads from offset off, run by run.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case f.closed:
		return 0, f.err("read", fs.ErrClosed)
	case off < 0:
		return 0, f.err("read", fs.ErrInvalid)
	}
	n := 0
	for n < len(p) {
		at, left := f.locate(off)
		if left == 0 {
			return n, io.EOF
		}
		q := p[n:min(int64(len(p)), int64(n)+left)]
		if err := readAt(f.v.r, q, at); err != nil {
			return n, f.err("read", err)
		}
		n += len(q)
		off += int64(len(q))
	}
	return n, nil
}

// locate finds where offset off of the file is on the volume, and how many bytes of the file
// follow there in one piece: 0 at the end.
func (f *File) locate(off int64) (at, left int64) {
	if off >= f.Size() {
		return 0, 0
	}
	cs := f.v.clusterSize
	i := sort.Search(len(f.runs), func(i int) bool { return int64(f.runs[i].index)*cs > off }) - 1
	end := f.Size()
	if i+1 < len(f.runs) {
		end = int64(f.runs[i+1].index) * cs
	}
	return f.v.clusterOff(f.runs[i].start) + off - int64(f.runs[i].index)*cs, end - off
}

// Seek sets the offset of the next Read.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.Size()
	default:
		return 0, f.err("seek", fs.ErrInvalid)
	}
	switch {
	case f.closed:
		return 0, f.err("seek", fs.ErrClosed)
	case offset < 0:
		return 0, f.err("seek", fs.ErrInvalid)
	}
	f.pos = offset
	return offset, nil
}

// WriteTo writes the rest of the file to w in large pieces.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	left := f.Size() - f.pos
	if left <= 0 {
		return 0, nil
	}
	buf := make([]byte, min(left, copySize))
	var total int64
	for {
		n, err := f.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			total += int64(m)
			if werr != nil {
				return total, werr
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (f *File) err(op string, err error) error { return pathErr(op, f.name, err) }
