// SPDX-License-Identifier: GPL-3.0-or-later

// Package fat reads and writes FAT12, FAT16 and FAT32 file systems on a device
// that is handed to it.
package fat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// FS is an open volume. It implements fs.FS, fs.StatFS and fs.ReadDirFS; names are
// as io/fs has them, matched without case, by long or short name. It may be used by
// several goroutines at once.
//
// An FS remembers the directories it has read until a Tx changes them: who wants to
// see what others have changed opens the volume again, which costs one small read.
type FS struct {
	*geometry
	r    io.ReaderAt
	boot *bootSector

	mu     sync.Mutex
	dirs   map[uint32]*directory // by first cluster; 0 is the fixed root directory
	cached int                   // entries in dirs
	owners map[int64]origin      // offset of a directory's cluster: what leads to it
}

// maxCached is how many entries are remembered of directories that are not above the last one read.
const maxCached = maxDirent

// Open opens the volume on r, which is size bytes long. If r is a Device too, Begin works. A volume that is
// larger is read as far as size goes: what is past that is damage of the files that need it, and is not
// written to. Open reads the boot sector only. Errors: ErrNotFAT, a CorruptError, or that of r.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	b, g, err := readBoot(r, size)
	if err != nil {
		return nil, err
	}
	v := &FS{geometry: g, r: r, boot: b}
	v.forget()
	return v, nil
}

// forget drops what is remembered of directories.
func (v *FS) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dirs, v.cached = map[uint32]*directory{}, 0
	v.owners = map[int64]origin{}
}

// Width returns the width of a FAT entry: 12, 16 or 32 bits.
func (v *FS) Width() int { return v.width }

// Size returns the size in bytes that the boot sector says the volume has; less may be there.
func (v *FS) Size() int64 { return v.total }

// TimeStep returns what the times of files are cut to: an entry counts them in 2 seconds.
// Spec: Microsoft FAT 1.03, "Date and Time Formats".
func (v *FS) TimeStep() time.Duration { return 2 * time.Second }

// Free returns the free space in bytes, of clusters that lie whole on what is there. It is counted in the FAT,
// which takes a read of all of it: FSInfo may be stale, and counts what is not there.
func (v *FS) Free() (int64, error) {
	n, err := v.table(v.r).free()
	return n * v.clusterSize, err
}

// Label returns the volume label: that of the root directory; "" if it was deleted there, by Windows, say, which
// leaves the one in the boot sector alone; else that of the boot sector, the only one that some formatters write.
func (v *FS) Label() string {
	root, err := v.root()
	switch {
	case err != nil || root.label == nil && !root.noLabel:
		return decodePart(v.boot.label(), false)
	case root.label == nil:
		return ""
	}
	raw := root.label.rawName()
	if raw[0] == slotKanji {
		raw[0] = slotDeleted
	}
	return decodePart(raw[:], false)
}

// InUse reports whether the dirty flag is set, in the boot sector or in FAT[1].
func (v *FS) InUse() bool {
	if v.boot.dirty() {
		return true
	}
	clean, err := v.table(v.r).cleanShutdown()
	return err == nil && !clean
}

// dir returns the directory that begins with cluster first and that o leads to.
func (v *FS) dir(first uint32, o origin) (*directory, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d := v.dirs[first]; d != nil && d.origin == o {
		return d, nil
	}
	d, err := v.loadDir(first, o)
	if err != nil {
		return nil, err
	}
	if d.err == nil || v.dirs[first] == nil {
		v.dirs[first] = d
		if v.cached += len(d.entries) + 1; v.cached > maxCached {
			v.forgetBut(d)
		}
	}
	return d, nil
}

// forgetBut drops what is remembered of directories but d and those above it, which a
// walk looks at again and again.
func (v *FS) forgetBut(d *directory) {
	kept := map[uint32]*directory{}
	v.cached = 0
	for ; d != nil && kept[d.cluster] == nil; d = v.dirs[d.origin.dir] {
		kept[d.cluster] = d
		v.cached += len(d.entries) + 1
	}
	v.dirs = kept
}

// root returns the root directory.
func (v *FS) root() (*directory, error) { return v.dir(v.rootCluster, rootOrigin) }

// sub returns the directory that e, an entry of parent, leads to.
func (v *FS) sub(parent *directory, e *entry) (*directory, error) {
	if err := v.checkFirst(e); err != nil {
		return &directory{err: err, damage: err}, nil
	}
	return v.dir(e.d.cluster(v.width), origin{parent.cluster, e.slot})
}

// rootEntry stands for the root directory.
func rootEntry() *entry {
	e := &entry{name: "."}
	e.d[11] = attrDir
	return e
}

// lookup finds name. It returns its entry and the directory which that is in: nil for the root.
func (v *FS) lookup(name string) (*directory, *entry, error) {
	switch {
	case !utf8.ValidString(name):
		return nil, nil, errNotExist // no name on a volume is
	case !fs.ValidPath(name):
		return nil, nil, fs.ErrInvalid
	}
	e := rootEntry()
	if name == "." {
		return nil, e, nil
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return nil, nil, ErrDepth
	}
	var parent *directory
	for _, part := range parts {
		d, err := v.dirOf(parent, e)
		if err != nil {
			return nil, nil, err
		}
		if parent, e = d, d.find(part); e == nil {
			if d.err != nil {
				return nil, nil, d.err
			}
			return nil, nil, errNotExist
		}
	}
	return parent, e, nil
}

// ErrDepth says that a path is longer, or a tree of directories deeper, than any that is followed.
var ErrDepth error = &causeError{fmt.Sprintf("more than %d directories deep", maxDepth), ErrCorrupt}

// dirOf returns the directory that e, an entry of parent or the root's, stands for.
func (v *FS) dirOf(parent *directory, e *entry) (*directory, error) {
	switch {
	case e.isRoot():
		return v.root()
	case !e.d.isDir():
		return nil, ErrNotDir
	}
	return v.sub(parent, e)
}

// Stat describes the file or directory name. FileInfo.Name is spelled as on the volume, FileInfo.Sys is an *Entry.
func (v *FS) Stat(name string) (fs.FileInfo, error) {
	_, e, err := v.lookup(name)
	if err != nil {
		return nil, pathErr("stat", name, err)
	}
	return info{e}, nil
}

// ReadDir lists the directory name, sorted by name. Damaged entries are listed too: opening them
// returns what is wrong. If the directory itself is damaged, ReadDir returns the entries before the damage and an error.
func (v *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	parent, e, err := v.lookup(name)
	if err != nil {
		return nil, pathErr("readdir", name, err)
	}
	d, err := v.openDir("readdir", name, parent, e)
	if err != nil {
		return nil, err
	}
	list, err := d.ReadDir(-1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// Open opens the file or directory name. A file is a *File, a directory an fs.ReadDirFile.
func (v *FS) Open(name string) (fs.File, error) {
	parent, e, err := v.lookup(name)
	switch {
	case err != nil:
		return nil, pathErr("open", name, err)
	case e.d.isDir():
		d, err := v.openDir("open", name, parent, e)
		if err != nil {
			return nil, err // not d, which is nil but no nil fs.File
		}
		return d, nil
	}
	f, err := v.openFile(name, e)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openDir opens the directory that e, an entry of parent, leads to. One of which nothing can be read is an error.
func (v *FS) openDir(op, name string, parent *directory, e *entry) (*openDir, error) {
	d, err := v.dirOf(parent, e)
	if err == nil && d.err != nil && len(d.entries) == 0 {
		err = d.err
	}
	if err != nil {
		return nil, pathErr(op, name, err)
	}
	return &openDir{name: name, e: e, dir: d}, nil
}

// openDir is an open directory.
type openDir struct {
	name   string
	e      *entry
	dir    *directory
	pos    int
	closed bool
}

func (d *openDir) Stat() (fs.FileInfo, error) {
	if d.closed {
		return nil, pathErr("stat", d.name, fs.ErrClosed)
	}
	return info{d.e}, nil
}

func (d *openDir) Read([]byte) (int, error) { return 0, pathErr("read", d.name, ErrIsDir) }

func (d *openDir) Close() error {
	if d.closed {
		return pathErr("close", d.name, fs.ErrClosed)
	}
	d.closed = true
	return nil
}

// ReadDir returns the entries in the order they have on the volume, as fs.ReadDirFile says.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if d.closed {
		return nil, pathErr("readdir", d.name, fs.ErrClosed)
	}
	rest := d.dir.entries[d.pos:]
	var err error
	if n > 0 && n <= len(rest) {
		rest = rest[:n]
	} else if d.dir.err != nil {
		err = pathErr("readdir", d.name, d.dir.err)
	} else if n > 0 && len(rest) == 0 {
		err = io.EOF
	}
	d.pos += len(rest)
	list := make([]fs.DirEntry, len(rest))
	for i := range rest {
		list[i] = info{&rest[i]}
	}
	return list, err
}

// isCorrupt reports whether err is about damage, and not one of the device.
func isCorrupt(err error) bool { return errors.Is(err, ErrCorrupt) }
