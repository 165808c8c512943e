// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"io/fs"
	"iter"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A directory has at most maxDirent entries, the longest path maxDepth elements.
const (
	maxDirent  = 65536
	maxDirSize = maxDirent * direntSize
	maxDepth   = 128
)

// entry is a file or directory as its parent holds it.
type entry struct {
	name   string     // long name, else the short one with the case of its flags
	d      dirent     // short entry
	parent *directory // which it stands in; nil: it is the root's
	off    int64      // where d stands on the volume
	slot   int        // where d stands in the directory, counted in entries
	slots  int        // number of entries, those of the long name included; they end at slot
}

// longName is e's long name, "" if it has none.
func (e *entry) longName() string {
	if e.slots > 1 && e.name != decodeShort(&e.d, true) {
		return e.name
	}
	return ""
}

// oddUnits reads the UTF-16 units of e's long name, if its text may not say all of them: half a surrogate pair is
// U+FFFD there, so that two names may look the same. Else it returns nil.
func (v *FS) oddUnits(e *entry) ([]uint16, error) {
	if !strings.ContainsRune(e.longName(), utf8.RuneError) {
		return nil, nil
	}
	var long longName
	for i := e.slots - 1; i > 0; i-- {
		var d dirent
		if err := readAt(v.r, d[:], slotOff(e.parent.extents, e.slot-i)); err != nil {
			return nil, err
		}
		long.add(&d)
	}
	return long.text(), nil
}

// isRoot reports whether e stands for the root directory, which has no entry.
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
	noLabel bool    // it had one, which was deleted
	err     error   // damage that keeps the entries after it from being read
	damage  error   // any damage, even after the last entry: nothing may be written
	shared  error   // damage: another directory holds some of its clusters

	indexOnce sync.Once
	index     map[string]int // folded name, long or short: index in entries
	twins     map[string]int // name that differs in case alone from one in index, which is damage: likewise
}

// origin is the entry that leads to a directory: two that lead to the same one are damage.
type origin struct {
	dir  uint32 // first cluster of the parent
	slot int
}

// rootOrigin is that of the root directory, to which no entry leads.
var rootOrigin = origin{slot: -1}

// find returns the entry of a name, long or short, in any case; nil if there is none. Of two that differ in case
// alone, which careless writers leave, each is found by its own spelling.
func (d *directory) find(name string) *entry {
	d.indexOnce.Do(d.makeIndex)
	i, ok := d.twins[name]
	if !ok {
		i, ok = d.index[Fold(name)]
	}
	if !ok {
		return nil
	}
	return &d.entries[i]
}

// makeIndex indexes the entries: among equal names the first counts, a long one before any short one.
func (d *directory) makeIndex() {
	d.index, d.twins = make(map[string]int, 2*len(d.entries)), map[string]int{}
	put := func(index map[string]int, key string, i int) int {
		if _, ok := index[key]; !ok {
			index[key] = i
		}
		return index[key]
	}
	for i := range d.entries {
		name := d.entries[i].name
		if first := put(d.index, Fold(name), i); d.entries[first].name != name {
			put(d.twins, name, i)
		}
	}
	for i := range d.entries {
		put(d.index, Fold(decodeShort(&d.entries[i].d, false)), i)
	}
}

// slotOff returns the offset on the volume of slot i of a directory whose pieces are xs, -1 past their end.
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

// extents returns the pieces of the directory that begins with cluster first; 0 is the fixed root
// directory. With an error it returns the pieces before the damage.
func (v *FS) extents(t *table, first uint32) ([]extent, error) {
	if first == 0 {
		return []extent{{v.rootStart, v.rootSize}}, nil
	}
	limit := maxDirSize / v.clusterSize
	runs, n, err := t.chain(first, limit+1, nil)
	if err == nil && n > limit {
		err = corruptf(v.clusterOff(first), "a directory of more than %d entries", maxDirent)
	}
	for _, r := range runs {
		if err == nil {
			err = v.checkThere(r, int64(r.n)*v.clusterSize)
		}
	}
	var xs []extent
	left := int64(maxDirSize)
	for _, r := range runs {
		off := v.clusterOff(r.start)
		size := min(int64(r.n)*v.clusterSize, left, (v.there-off)/direntSize*direntSize)
		if size > 0 {
			xs = append(xs, extent{off, size})
		}
		if size < int64(r.n)*v.clusterSize {
			break
		}
		left -= size
	}
	return xs, err
}

// claim notes that the directory that o leads to holds the clusters of xs. It returns the pieces
// before the first cluster that another directory holds, with an error if there is one. So a walk
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

// slot is one entry of a directory as stored, free ones and parts of long names included.
type slot struct {
	i   int   // number in the directory
	off int64 // where it stands on the volume
	d   *dirent
}

// slots returns all slots of the directory whose pieces are xs, those after the end marker too. A slot is good until
// the next one. It ends with the first error, which is one of the device.
func (v *FS) slots(xs []extent) iter.Seq2[slot, error] {
	return func(yield func(slot, error) bool) {
		var buf []byte
		next := slot{}
		for _, x := range pieces(xs) {
			if int64(len(buf)) < x.size {
				buf = make([]byte, x.size)
			}
			next.off = x.off
			if err := readAt(v.r, buf[:x.size], x.off); err != nil {
				yield(next, err)
				return
			}
			if !next.yieldAll(buf[:x.size], yield) {
				return
			}
		}
	}
}

// yieldAll yields the slots in b, of which s is the first, and makes s the one after them. It reports whether
// the loop goes on.
func (s *slot) yieldAll(b []byte, yield func(slot, error) bool) bool {
	for ; len(b) >= direntSize; b = b[direntSize:] {
		s.d = (*dirent)(b)
		if !yield(*s, nil) {
			return false
		}
		s.i++
		s.off += direntSize
	}
	return true
}

// pieces cuts xs into pieces to be read at once, which grow, so that a short directory costs a small read.
func pieces(xs []extent) []extent {
	var cut []extent
	size := int64(minWindow)
	for _, x := range xs {
		for x.size > 0 {
			n := min(size, x.size)
			cut = append(cut, extent{x.off, n})
			x.off, x.size = x.off+n, x.size-n
			size = min(2*size, maxWindow)
		}
	}
	return cut
}

// loadDir reads the directory that begins with cluster first and that o leads to. The error is one
// of the device; damage stands in directory.err.
func (v *FS) loadDir(first uint32, o origin) (*directory, error) {
	d := &directory{cluster: first, origin: o}
	var err error
	d.extents, err = v.extents(v.table(v.r), first)
	if err != nil && !isCorrupt(err) {
		return nil, err
	}
	d.damage = err
	if d.extents, err = v.claim(o, d.extents); err != nil {
		d.shared, d.damage = err, err
	}
	ended := false
	var long longName
	for s, err := range v.slots(d.extents) {
		if err != nil {
			return nil, err
		}
		if ended = s.d[0] == slotEnd; ended {
			break
		}
		d.add(s, &long)
	}
	if !ended {
		d.err = d.damage
	}
	return d, nil
}

// add takes the next slot; long is what has been read of the long name in front of it.
func (d *directory) add(s slot, long *longName) {
	if s.d[0] != slotDeleted && s.d.isLong() {
		long.add(s.d)
		return
	}
	switch {
	case s.d[0] == slotDeleted:
		d.noLabel = d.noLabel || s.d.attr() == attrVolume
	case s.d.isVolume() && d.label != nil:
	case s.d.isVolume():
		label := *s.d
		d.label = &label
	case !s.d.isDot():
		e := newEntry(s, long)
		e.parent = d
		d.entries = append(d.entries, e)
	}
	long.reset()
}

// newEntry makes an entry of the short entry in s and the long name in front of it.
func newEntry(s slot, long *longName) entry {
	e := entry{name: long.name(s.d), d: *s.d, off: s.off, slot: s.i, slots: 1}
	if e.name != "" {
		e.slots += long.slots
	}
	if !usable(e.name) {
		e.name = decodeShort(s.d, true)
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

// Sys returns an *Entry.
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
	Off       int64  // where it stands on the volume, which no other entry shares; 0 for the root directory
	ShortName string // 8.3 name as stored, e.g. CONFIG~1.TXT; "" for the root directory
	ReadOnly  bool   // also shown in FileInfo.Mode (0555/0444 against 0755/0644)
	Hidden    bool
	System    bool
	Created   time.Time // UTC, zero if absent
}
