// SPDX-License-Identifier: GPL-3.0-or-later

package fatcheck

import (
	"fmt"
	"slices"
	"strings"
)

// item is a file or directory as the walk found it.
type item struct {
	dir   bool
	size  int64
	chain []uint32
}

// equal compares what a reader would see: a directory's chain may be longer in one copy
// of the FAT than in the other as long as the entries are the same.
func (a item) equal(b item) bool {
	return a.dir == b.dir && a.size == b.size && (a.dir || slices.Equal(a.chain, b.chain))
}

// walk visits the whole tree by one copy of the FAT.
type walk struct {
	*volume
	fat         []uint32
	owner       []*string // by cluster: path of what it belongs to, nil if to nothing
	tree        map[string]item
	damage      []string
	files, dirs int
}

// maxDamage bounds the report of a hopeless volume.
const maxDamage = 100

func (v *volume) walk(fat []uint32) *walk {
	w := &walk{volume: v, fat: fat, owner: make([]*string, len(fat)), tree: map[string]item{}}
	if v.width == 32 {
		chain := w.chain("", v.rootCluster)
		w.directory("", v.rootCluster, 0, w.load("", chain))
		return w
	}
	root, err := v.read(v.rootOff, v.rootLen)
	if err != nil {
		w.bad("", "%v", err)
	}
	w.directory("", 0, 0, root)
	return w
}

func (w *walk) bad(path, format string, args ...any) {
	if len(w.damage) < maxDamage {
		w.damage = append(w.damage, "/"+path+": "+fmt.Sprintf(format, args...))
	}
}

// chain follows the FAT from first to the end mark and takes each cluster for path.
func (w *walk) chain(path string, first uint32) []uint32 {
	var chain []uint32
	for c := first; ; c = w.fat[c] {
		if !w.valid(c) {
			w.bad(path, "cluster %d is out of range", c)
			return chain
		}
		if owner := w.owner[c]; owner != nil {
			w.bad(path, "cluster %d belongs to /%s already", c, *owner)
			return chain
		}
		w.owner[c] = &path
		chain = append(chain, c)
		switch next := w.fat[c]; {
		case next >= endOfChain:
			return chain
		case next == badCluster:
			w.bad(path, "the chain has a bad cluster")
			return chain
		case next == 0:
			w.bad(path, "the chain ends in a free cluster after %d clusters", len(chain))
			return chain
		}
	}
}

func (w *walk) load(path string, chain []uint32) []byte {
	var raw []byte
	for _, c := range chain {
		p, err := w.read(w.offset(c), w.clusterSize)
		if err != nil {
			w.bad(path, "%v", err)
			return raw
		}
		raw = append(raw, p...)
	}
	return raw
}

// lost counts the clusters that are allocated and belong to nothing.
func (w *walk) lost() int {
	n := 0
	for c := 2; c < len(w.fat); c++ {
		if w.owner[c] == nil && w.fat[c] != 0 && w.fat[c] != badCluster {
			n++
		}
	}
	return n
}

func (w *walk) free() int {
	n := 0
	for _, next := range w.fat[2:] {
		if next == 0 {
			n++
		}
	}
	return n
}

const (
	attrLabel = 0x08
	attrDir   = 0x10
	attrLong  = 0x0f
)

// directory checks the entries of the directory path, whose chain begins at self and
// whose parent's chain begins at parent (0 for the root).
func (w *walk) directory(path string, self, parent uint32, raw []byte) {
	names := map[string]bool{}
	label := false
	var long longName
	for off := 0; off+32 <= len(raw); off += 32 {
		e := raw[off : off+32]
		if e[0] == 0 {
			if !allFree(raw[off:]) {
				w.bad(path, "something follows the end of the directory")
			}
			break
		}
		switch {
		case path != "" && off < 64:
			w.dotEntry(path, e, off, self, parent)
		case e[0] == 0xe5:
			w.orphan(path, &long)
		case e[11]&0x3f == attrLong:
			if !long.add(e) {
				w.bad(path, "long name out of order")
				long = longName{}
			}
		case e[11]&attrLabel != 0:
			w.orphan(path, &long)
			if path != "" || label {
				w.bad(path, "a volume label that does not belong here")
			}
			label = true
		default:
			w.entry(path, self, e, &long, names)
		}
	}
	w.orphan(path, &long)
}

// allFree reports whether the entries in raw are deleted ones or nothing but zeros.
func allFree(raw []byte) bool {
	for e := range slices.Chunk(raw, 32) {
		if e[0] != 0xe5 && slices.ContainsFunc(e, func(b byte) bool { return b != 0 }) {
			return false
		}
	}
	return true
}

func (w *walk) orphan(path string, long *longName) {
	if long.left >= 0 && long.parts != nil {
		w.bad(path, "long name without an entry")
	}
	*long = longName{}
}

// dotEntry checks one of the two entries that every directory but the root begins with.
func (w *walk) dotEntry(path string, e []byte, off int, self, parent uint32) {
	name, want := ".          ", self
	if off == 32 {
		name, want = "..         ", parent
	}
	if string(e[:11]) != name || e[11]&attrDir == 0 || e[11]&attrLabel != 0 {
		w.bad(path, "entry %d is not %q", off/32, strings.TrimSpace(name))
	} else if got := w.first(e); got != want {
		w.bad(path, "%q leads to cluster %d, not %d", strings.TrimSpace(name), got, want)
	}
}

func (w *walk) first(e []byte) uint32 {
	first := uint32(le.Uint16(e[26:]))
	if w.width == 32 {
		first |= uint32(le.Uint16(e[20:])) << 16
	}
	return first
}

// entry checks the short entry e of the directory dir and what it leads to.
func (w *walk) entry(dir string, self uint32, e []byte, long *longName, names map[string]bool) {
	short, ok := shortName(e)
	if !ok {
		w.bad(dir, "bad short name %q", e[:11])
	}
	name := short
	if long.parts != nil {
		if l, ok := long.name(e); ok {
			name = l
		} else {
			w.bad(dir, "the long name before %s is not its own", short)
		}
	}
	*long = longName{}
	if name == "." || name == ".." {
		w.bad(dir, "%q is in the wrong place", name)
		return
	}
	path := dir + name
	for _, key := range slices.Compact([]string{strings.ToUpper(short), strings.ToUpper(name)}) {
		if names[key] {
			w.bad(dir, "two entries are called %s", key)
		}
		names[key] = true
	}
	if e[11]&attrDir != 0 {
		w.subdirectory(path+"/", self, e)
		return
	}
	w.files++
	it := item{size: int64(le.Uint32(e[28:]))}
	need := (it.size + w.clusterSize - 1) / w.clusterSize
	if first := w.first(e); first != 0 {
		it.chain = w.chain(path, first)
	}
	if got := int64(len(it.chain)); got != need {
		w.bad(path, "%d clusters for %d bytes, not %d", got, it.size, need)
	}
	w.checkThere(path, it)
	w.tree[path] = it
}

// checkThere checks that the clusters of a file are there, the last one as far as its size goes.
func (w *walk) checkThere(path string, it item) {
	left := it.size
	for _, c := range it.chain {
		if n := min(left, w.clusterSize); w.offset(c)+n > w.size {
			w.bad(path, "cluster %d is past the end", c)
			return
		}
		left -= w.clusterSize
	}
}

func (w *walk) subdirectory(path string, parent uint32, e []byte) {
	w.dirs++
	w.tree[path] = item{dir: true}
	if n := le.Uint32(e[28:]); n != 0 {
		w.bad(path, "a directory of size %d", n)
	}
	first := w.first(e)
	var taken *string
	if w.valid(first) {
		taken = w.owner[first]
	}
	chain := w.chain(path, first)
	if taken != nil {
		w.bad(path, "the directory is the same as /%s", *taken)
		return
	}
	if w.width == 32 && parent == w.rootCluster {
		parent = 0 // ".." of a directory in the root holds 0 whatever the root's cluster
	}
	w.directory(path, first, parent, w.load(path, chain))
}
