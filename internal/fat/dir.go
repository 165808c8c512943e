// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"io/fs"
	"sync"
	"time"
)

// A directory has at most maxDirent entries, the longest path maxDepth elements.
const (
	maxDirent  = 65536
	maxDirSize = maxDirent * direntSize
	maxDepth   = 128
)

// entry is a file or directory as its parent holds it.
type entry struct {
	name  string // long name, else the short one with the case of its flags
	d     dirent // short entry
	off   int64  // where d stands on the volume
	slot  int    // where d stands in the directory, counted in entries
	slots int    // number of entries, those of the long name included; they end at slot
}

// isRoot tells whether e stands for the root directory, which has no entry.
func (e *entry) isRoot() bool { return e.slots == 0 }

// extent is a piece of a directory in one place of the volume.
type extent struct {
	off, size int64
}

// directory is a directory as read from the volume. It is never changed.
type directory struct {
	cluster uint32 // first cluster; 0 for the fixed root directory
	origin  origin
	extents []extent
	entries []entry
	label   *dirent // volume label, if it has one
	err     error   // damage that keeps entries behind it from being read
	damage  error   // any damage, even behind the last entry: nothing may be written
	shared  error   // the damage that another directory has a part in

	indexOnce sync.Once
	index     map[string]int // folded name, long or short: index in entries
}

// origin tells which entry leads to a directory: two that lead to the same are damage.
type origin struct {
	dir  uint32 // first cluster of the parent
	slot int
}

// rootOrigin is that of the root directory, to which no entry leads.
var rootOrigin = origin{slot: -1}

// find gives the entry of a name, long or short, in any case; nil if there is none.
func (d *directory) find(name string) *entry {
	d.indexOnce.Do(d.makeIndex)
	if i, ok := d.index[fold(name)]; ok {
		return &d.entries[i]
	}
	return nil
}

// makeIndex indexes the entries: among equal names the first counts, a long one before any short one.
func (d *directory) makeIndex() {
	d.index = make(map[string]int, 2*len(d.entries))
	put := func(name string, i int) {
		key := fold(name)
		if _, ok := d.index[key]; !ok {
			d.index[key] = i
		}
	}
	for i := range d.entries {
		put(d.entries[i].name, i)
	}
	for i := range d.entries {
		put(decodeShort(&d.entries[i].d, false), i)
	}
}

// slotOff is where slot i of a directory that lies in xs stands on the volume, -1 outside of them.
func slotOff(xs []extent, i int) int64 {
	off := int64(i) * direntSize
	for _, x := range xs {
		if off < x.size {
			return x.off + off
		}
		off -= x.size
	}
	return -1
}

// lastCluster is the last cluster of the directory, which is not the fixed root directory.
func (d *directory) lastCluster(v *FS) uint32 {
	x := d.extents[len(d.extents)-1]
	return uint32((x.off+x.size-v.dataStart)/v.clusterSize) + 1
}

// extents gives the pieces of the directory that begins with cluster first; 0 is the fixed root
// directory. Beside an error it gives the pieces before the damage.
func (v *FS) extents(t *table, first uint32) ([]extent, error) {
	if first == 0 {
		return []extent{{v.rootStart, v.rootSize}}, nil
	}
	limit := maxDirSize / v.clusterSize
	runs, n, err := t.chain(first, limit+1, nil)
	if err == nil && n > limit {
		err = corruptf(v.clusterOff(first), "a directory of more than %d entries", maxDirent)
	}
	var xs []extent
	left := int64(maxDirSize)
	for _, r := range runs {
		size := min(int64(r.n)*v.clusterSize, left)
		if size > 0 {
			xs = append(xs, extent{v.clusterOff(r.start), size})
		}
		left -= size
	}
	return xs, err
}

// claim notes that the directory that o leads to holds the clusters of xs. It gives the pieces
// before the first cluster that another directory holds, and an error if there is one. So a walk
// over all directories always ends.
func (v *FS) claim(o origin, xs []extent) ([]extent, error) {
	for i, x := range xs {
		for off := int64(0); off < x.size; off += v.clusterSize {
			c := x.off + off
			if old, ok := v.owners[c]; ok && old != o {
				xs[i].size = off
				return xs[:i+1], corruptf(c, "two directories share a cluster, or one leads back to itself")
			}
			v.owners[c] = o
		}
	}
	return xs, nil
}

// scan calls f for each slot from the start up to the end marker; i counts the slots, off is where they
// stand on the volume. It tells whether there was an end marker.
func (v *FS) scan(xs []extent, f func(i int, off int64, d *dirent)) (ended bool, err error) {
	var buf []byte
	size := int64(minWindow) // read at a time: more while it goes on
	i := 0
	for _, x := range xs {
		for off := int64(0); off < x.size; off += size {
			if len(buf) > 0 {
				size = min(2*size, maxWindow)
			}
			if int64(len(buf)) < size {
				buf = make([]byte, size)
			}
			p := buf[:min(size, x.size-off)]
			if err := readAt(v.r, p, x.off+off); err != nil {
				return false, err
			}
			for at := 0; at+direntSize <= len(p); at += direntSize {
				if p[at] == slotEnd {
					return true, nil
				}
				f(i, x.off+off+int64(at), (*dirent)(p[at:]))
				i++
			}
		}
	}
	return false, nil
}

// loadDir reads the directory that begins with cluster first and that o leads to. The error is one
// of the device; damage stands in directory.err.
func (v *FS) loadDir(first uint32, o origin) (*directory, error) {
	t := v.table(v.r)
	d := &directory{cluster: first, origin: o}
	xs, err := v.extents(t, first)
	if err != nil && !isCorrupt(err) {
		return nil, err
	}
	xs, d.shared = v.claim(o, xs)
	if d.shared != nil {
		err = d.shared
	}
	d.damage = err
	var long longName
	ended, scanErr := v.scan(xs, func(i int, off int64, e *dirent) {
		switch {
		case e[0] == slotDeleted:
			long.reset()
		case e.isLong():
			long.add(e)
		case e.isVolume():
			long.reset()
			if d.label == nil {
				label := *e
				d.label = &label
			}
		case e.isDot():
			long.reset()
		default:
			d.entries = append(d.entries, newEntry(e, &long, i, off))
			long.reset()
		}
	})
	if scanErr != nil {
		return nil, scanErr
	}
	if !ended {
		d.err = err
	}
	d.extents = xs
	return d, nil
}

// newEntry makes the entry of the short entry d at slot i and the long name in front of it.
func newEntry(d *dirent, long *longName, i int, off int64) entry {
	e := entry{name: long.name(d), d: *d, off: off, slot: i, slots: 1}
	if e.name != "" {
		e.slots += long.slots
	}
	if !usable(e.name) {
		e.name = decodeShort(d, true)
	}
	return e
}

// info is the fs.FileInfo and fs.DirEntry of an entry.
type info struct{ e *entry }

func (i info) Name() string               { return i.e.name }
func (i info) IsDir() bool                { return i.e.d.isDir() }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) ModTime() time.Time         { return i.e.d.modified() }
func (i info) String() string             { return fs.FormatFileInfo(i) }

func (i info) Size() int64 {
	if i.IsDir() {
		return 0
	}
	return int64(i.e.d.size())
}

func (i info) Mode() fs.FileMode {
	m := fs.FileMode(0o644)
	if i.IsDir() {
		m = fs.ModeDir | 0o755
	}
	if i.e.d.attr()&attrReadOnly != 0 {
		m &^= 0o222
	}
	return m
}

// Sys gives the *Entry.
func (i info) Sys() any {
	d := &i.e.d
	e := &Entry{
		Off:      i.e.off,
		ReadOnly: d.attr()&attrReadOnly != 0,
		Hidden:   d.attr()&attrHidden != 0,
		System:   d.attr()&attrSystem != 0,
		Created:  d.created(),
	}
	if !i.e.isRoot() {
		e.ShortName = decodeShort(d, false)
	}
	return e
}

// Entry is what FileInfo.Sys returns (*Entry): what a directory entry holds beyond fs.FileInfo.
type Entry struct {
	Off       int64  // byte of the volume at which it stands, by which it is told from all others; 0 for the root directory
	ShortName string // 8.3 name as stored, e.g. CONFIG~1.TXT; "" for the root directory
	ReadOnly  bool   // also shown in FileInfo.Mode (0555/0444 against 0755/0644)
	Hidden    bool
	System    bool
	Created   time.Time // UTC, zero if absent
}
