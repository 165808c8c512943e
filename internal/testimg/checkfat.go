// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
)

// This file is a second reader of FAT, written from Microsoft's "FAT32 File System
// Specification" 1.03 alone. It shares nothing with internal/fat, so that a mistake
// there cannot hide here. It reads whole tables into memory and is for tests only.

// ErrNoFAT: the boot sector describes no FAT volume that fits the device.
var ErrNoFAT = errors.New("no FAT volume")

// Report is what CheckFAT found.
type Report struct {
	Width       int   // 12, 16 or 32
	ClusterSize int64 // bytes
	Clusters    int   // in the data area
	Free        int   // clusters that the FAT shows as free
	Files, Dirs int   // the root directory is not counted
	Dirty       bool  // the volume is marked as in use

	// Damage has one line for each thing that no interrupted write may leave behind.
	Damage []string

	// Left-overs of an interrupted write, harmless all of them.
	LostClusters   int  // allocated, belonging to nothing
	FreeCountWrong bool // FSInfo's count is not Free; false if it says "unknown"
	HintWrong      bool // FSInfo's next-free hint lies outside the volume
	CopiesDiffer   bool // FAT copies differ, but each gives the same tree
}

// Clean tells whether there is neither damage nor a left-over.
func (r *Report) Clean() bool { return r.Harmless() && !r.leftovers() }

// Harmless tells whether there is no damage.
func (r *Report) Harmless() bool { return len(r.Damage) == 0 }

func (r *Report) leftovers() bool {
	return r.LostClusters > 0 || r.FreeCountWrong || r.HintWrong || r.CopiesDiffer
}

// String gives all that was found, one line each, or "clean".
func (r *Report) String() string {
	lines := slices.Clone(r.Damage)
	if r.LostClusters > 0 {
		lines = append(lines, fmt.Sprintf("%d lost clusters", r.LostClusters))
	}
	if r.FreeCountWrong {
		lines = append(lines, "wrong free count")
	}
	if r.HintWrong {
		lines = append(lines, "wrong next-free hint")
	}
	if r.CopiesDiffer {
		lines = append(lines, "FAT copies differ")
	}
	if len(lines) == 0 {
		return "clean"
	}
	return strings.Join(lines, "\n")
}

// CheckFAT checks the volume on d, which is size bytes long. The error tells that it
// could not be checked at all: ErrNoFAT, or an error of d.
func CheckFAT(d io.ReaderAt, size int64) (*Report, error) {
	v, err := openVolume(d, size)
	if err != nil {
		return nil, err
	}
	r := &Report{Width: v.width, ClusterSize: v.clusterSize, Clusters: v.clusters}
	var first *walk
	for _, fat := range v.fats {
		w := v.walk(fat)
		if first == nil {
			first = w
			r.Damage, r.Files, r.Dirs, r.Free, r.LostClusters = w.damage, w.files, w.dirs, w.free(), w.lost()
			continue
		}
		if slices.Equal(fat, v.fats[0]) {
			continue
		}
		r.CopiesDiffer = true
		r.LostClusters = max(r.LostClusters, w.lost())
		for _, line := range w.damage {
			if !slices.Contains(first.damage, line) {
				r.Damage = append(r.Damage, "second FAT: "+line)
			}
		}
		if !maps.EqualFunc(first.tree, w.tree, item.equal) {
			r.Damage = append(r.Damage, "the FAT copies give different files")
		}
	}
	r.Damage = append(r.Damage, v.reserved()...)
	v.checkInfo(r)
	r.Dirty = v.dirty()
	return r, nil
}

// ReadTree gives the content of every file of the volume on d, which is size bytes
// long, by its path: long names, separated by slashes, no slash in front. A directory
// has a slash at its end and no content. The root is left out. A damaged volume is an
// error.
func ReadTree(d io.ReaderAt, size int64) (map[string][]byte, error) {
	v, err := openVolume(d, size)
	if err != nil {
		return nil, err
	}
	w := v.walk(v.fats[0])
	if len(w.damage) > 0 {
		return nil, fmt.Errorf("damaged: %s", strings.Join(w.damage, "; "))
	}
	tree := make(map[string][]byte, len(w.tree))
	for path, it := range w.tree {
		if it.dir {
			tree[path] = nil
			continue
		}
		data := make([]byte, 0, it.size)
		for _, c := range it.chain {
			p, err := v.read(v.offset(c), min(v.clusterSize, it.size-int64(len(data))))
			if err != nil {
				return nil, err
			}
			data = append(data, p...)
		}
		tree[path] = data
	}
	return tree, nil
}

// volume is the geometry of a FAT volume and its tables.
type volume struct {
	d           io.ReaderAt
	boot        []byte
	width       int
	sector      int64 // bytes
	clusterSize int64 // bytes
	clusters    int
	rootOff     int64 // FAT12 and FAT16: the fixed root directory
	rootLen     int64
	rootCluster uint32 // FAT32
	dataOff     int64
	fats        [][]uint32 // each copy that is in use, the one to read from first
}

var le = binary.LittleEndian

func openVolume(d io.ReaderAt, size int64) (*volume, error) {
	v := &volume{d: d}
	var err error
	if v.boot, err = v.read(0, 512); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrNoFAT
		}
		return nil, err
	}
	b := v.boot
	v.sector = int64(le.Uint16(b[11:]))
	perCluster := int64(b[13])
	reserved := int64(le.Uint16(b[14:]))
	copies := int64(b[16])
	rootEntries := int64(le.Uint16(b[17:]))
	total := int64(le.Uint16(b[19:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	fatSectors := int64(le.Uint16(b[22:]))
	fat32 := fatSectors == 0
	if fat32 {
		fatSectors = int64(le.Uint32(b[36:]))
	}
	switch {
	case v.sector < 512 || v.sector > 4096 || bits.OnesCount(uint(v.sector)) != 1:
		return nil, fmt.Errorf("%w: sector size %d", ErrNoFAT, v.sector)
	case bits.OnesCount(uint(perCluster)) != 1:
		return nil, fmt.Errorf("%w: %d sectors a cluster", ErrNoFAT, perCluster)
	case reserved == 0 || copies == 0 || fatSectors == 0:
		return nil, fmt.Errorf("%w: no reserved sectors or no FAT", ErrNoFAT)
	case total*v.sector > size:
		return nil, fmt.Errorf("%w: %d bytes in %d", ErrNoFAT, total*v.sector, size)
	case fat32 && rootEntries != 0 || !fat32 && rootEntries == 0:
		return nil, fmt.Errorf("%w: %d root entries", ErrNoFAT, rootEntries)
	}
	v.clusterSize = perCluster * v.sector
	v.rootOff = (reserved + copies*fatSectors) * v.sector
	v.rootLen = rootEntries * 32
	v.dataOff = v.rootOff + (v.rootLen+v.sector-1)/v.sector*v.sector
	if v.dataOff > total*v.sector {
		return nil, fmt.Errorf("%w: no data area", ErrNoFAT)
	}
	v.clusters = int((total*v.sector - v.dataOff) / v.clusterSize)
	switch {
	case fat32:
		v.width, v.rootCluster = 32, le.Uint32(b[44:])
	case v.clusters < 4085:
		v.width = 12
	default:
		v.width = 16
	}
	if int64(v.clusters+2)*int64(v.width) > fatSectors*v.sector*8 {
		return nil, fmt.Errorf("%w: the FAT is too small for %d clusters", ErrNoFAT, v.clusters)
	}
	inUse, err := v.copiesInUse(copies)
	if err != nil {
		return nil, err
	}
	for _, n := range inUse {
		raw, err := v.read((reserved+n*fatSectors)*v.sector, fatSectors*v.sector)
		if err != nil {
			return nil, err
		}
		v.fats = append(v.fats, v.decode(raw))
	}
	return v, nil
}

// copiesInUse gives the numbers of the FATs that count: all, unless FAT32's BPB_ExtFlags
// name one as the active one.
func (v *volume) copiesInUse(copies int64) ([]int64, error) {
	if flags := le.Uint16(v.boot[40:]); v.width == 32 && flags&0x80 != 0 {
		active := int64(flags & 15)
		if active >= copies {
			return nil, fmt.Errorf("%w: active FAT %d of %d", ErrNoFAT, active, copies)
		}
		return []int64{active}, nil
	}
	all := make([]int64, copies)
	for n := range all {
		all[n] = int64(n)
	}
	return all, nil
}

// decode turns a FAT into one number a cluster. FAT12 and FAT16 marks are widened, so
// that 0x0ffffff7 means bad and anything above it the end of a chain.
func (v *volume) decode(raw []byte) []uint32 {
	fat := make([]uint32, v.clusters+2)
	for i := range fat {
		var n, special uint32
		switch v.width {
		case 12:
			n = uint32(le.Uint16(raw[i+i/2:])) >> (i % 2 * 4) & 0xfff
			special = 0xff0
		case 16:
			n, special = uint32(le.Uint16(raw[2*i:])), 0xfff0
		case 32:
			n, special = le.Uint32(raw[4*i:])&0x0fffffff, 0x0ffffff0
		}
		if n >= special {
			n |= 0x0ffffff0
		}
		fat[i] = n
	}
	return fat
}

const (
	badCluster = 0x0ffffff7
	endOfChain = 0x0ffffff8 // and above
)

// read gives exactly n bytes at off.
func (v *volume) read(off, n int64) ([]byte, error) {
	p := make([]byte, n)
	got, err := v.d.ReadAt(p, off)
	if int64(got) == n {
		return p, nil
	}
	return nil, fmt.Errorf("read of %d bytes at %d: %w", n, off, err)
}

func (v *volume) offset(cluster uint32) int64 {
	return v.dataOff + int64(cluster-2)*v.clusterSize
}

func (v *volume) valid(cluster uint32) bool {
	return cluster >= 2 && cluster < uint32(v.clusters)+2
}

// reserved checks the first two entries of the FAT.
func (v *volume) reserved() []string {
	var damage []string
	for i, fat := range v.fats {
		if byte(fat[0]) != v.boot[21] {
			damage = append(damage, fmt.Sprintf("copy %d of the FAT begins with media byte %#x, not %#x", i, byte(fat[0]), v.boot[21]))
		}
		if fat[1] < 2 {
			damage = append(damage, fmt.Sprintf("copy %d of the FAT has %#x for cluster 1", i, fat[1]))
		}
	}
	return damage
}

// dirty tells whether the state byte or FAT[1] marks the volume as in use.
func (v *volume) dirty() bool {
	state, shutDown := 37, uint32(0x8000)
	switch v.width {
	case 12:
		shutDown = 0 // FAT12 has no such bit
	case 32:
		state, shutDown = 65, 0x08000000
	}
	return v.boot[state]&1 != 0 || v.fats[0][1]&shutDown != shutDown
}

// checkInfo compares FSInfo with the FAT.
func (v *volume) checkInfo(r *Report) {
	sector := int64(le.Uint16(v.boot[48:]))
	if v.width != 32 || sector == 0 || sector == 0xffff {
		return
	}
	info, err := v.read(sector*v.sector, 512)
	if err != nil || le.Uint32(info) != 0x41615252 || le.Uint32(info[484:]) != 0x61417272 || le.Uint32(info[508:]) != 0xaa550000 {
		r.Damage = append(r.Damage, "no FSInfo sector where the boot sector says")
		return
	}
	const unknown = 0xffffffff
	count, hint := le.Uint32(info[488:]), le.Uint32(info[492:])
	r.FreeCountWrong = count != unknown && count != uint32(r.Free)
	r.HintWrong = hint != unknown && !v.valid(hint)
}

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
	owner       map[uint32]string // cluster: path of what it belongs to
	tree        map[string]item
	damage      []string
	files, dirs int
}

// maxDamage bounds the report of a hopeless volume.
const maxDamage = 100

func (v *volume) walk(fat []uint32) *walk {
	w := &walk{volume: v, fat: fat, owner: map[uint32]string{}, tree: map[string]item{}}
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
		if owner, taken := w.owner[c]; taken {
			w.bad(path, "cluster %d belongs to /%s already", c, owner)
			return chain
		}
		w.owner[c] = path
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
		if _, owned := w.owner[uint32(c)]; !owned && w.fat[c] != 0 && w.fat[c] != badCluster {
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

// allFree tells whether the entries in raw are deleted ones or nothing but zeros.
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
	w.tree[path] = it
}

func (w *walk) subdirectory(path string, parent uint32, e []byte) {
	w.dirs++
	w.tree[path] = item{dir: true}
	if n := le.Uint32(e[28:]); n != 0 {
		w.bad(path, "a directory of size %d", n)
	}
	first := w.first(e)
	taken, old := w.owner[first]
	chain := w.chain(path, first)
	if old {
		w.bad(path, "the directory is the same as /%s", taken)
		return
	}
	if w.width == 32 && parent == w.rootCluster {
		parent = 0 // ".." of a directory in the root holds 0 whatever the root's cluster
	}
	w.directory(path, first, parent, w.load(path, chain))
}

// shortName decodes the 8.3 name of e and tells whether it is a legal one.
func shortName(e []byte) (string, bool) {
	raw := slices.Clone(e[:11])
	if raw[0] == 0x05 {
		raw[0] = 0xe5
	}
	ok := raw[0] != ' '
	for _, c := range raw {
		if c < 0x20 || c >= 'a' && c <= 'z' || strings.IndexByte("\"*+,./:;<=>?[\\]|\x7f", c) >= 0 {
			ok = false
		}
	}
	part := func(p []byte, lower bool) string {
		s := make([]rune, 0, 8)
		for _, c := range p {
			s = append(s, charmap.CodePage437.DecodeByte(c))
		}
		text := strings.TrimRight(string(s), " ")
		if lower {
			text = strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					r += 'a' - 'A'
				}
				return r
			}, text)
		}
		return text
	}
	name := part(raw[:8], e[12]&0x08 != 0)
	if ext := part(raw[8:], e[12]&0x10 != 0); ext != "" {
		name += "." + ext
	}
	return name, ok || e[0] == '.'
}

// longName gathers the long entries in front of a short one.
type longName struct {
	parts [][]byte // in the order of the name
	left  int      // entries still to come
	sum   byte
}

// add takes the next long entry and tells whether it fits those before.
func (l *longName) add(e []byte) bool {
	n := int(e[0] & 0x1f)
	if e[0]&0x40 != 0 {
		if l.parts != nil {
			return false
		}
		*l = longName{left: n, sum: e[13]}
	} else if l.parts == nil || n != l.left || e[13] != l.sum {
		return false
	}
	if n < 1 || n > 20 || e[12] != 0 || le.Uint16(e[26:]) != 0 {
		return false
	}
	l.left = n - 1
	l.parts = slices.Insert(l.parts, 0, slices.Concat(e[1:11], e[14:26], e[28:32]))
	return true
}

// name gives the name if the entries are complete and belong to the short entry e.
func (l *longName) name(e []byte) (string, bool) {
	var sum byte
	for _, c := range e[:11] {
		sum = sum<<7 | sum>>1
		sum += c
	}
	if l.left != 0 || sum != l.sum {
		return "", false
	}
	raw := slices.Concat(l.parts...)
	var units []uint16
	for i := 0; i < len(raw); i += 2 {
		u := le.Uint16(raw[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	pad := raw[2*len(units):]
	for i := 0; i < len(pad); i++ {
		if i < 2 && pad[i] != 0 || i >= 2 && pad[i] != 0xff {
			return "", false
		}
	}
	if len(pad) >= 28 || len(units) == 0 || len(units) > 255 {
		return "", false
	}
	return string(utf16.Decode(units)), true
}
