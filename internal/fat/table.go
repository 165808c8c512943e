// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"cmp"
	"io"
	"iter"
	"slices"
)

// The FAT is read through a window that grows while reading goes on, so that a
// small file costs a small read and a large one few.
const (
	minWindow = 4 << 10
	maxWindow = 64 << 10
	windowPad = 3 // bytes after the window, since getEntry looks at up to 4
)

// table reads entries of the active FAT. It must not be used by two goroutines.
type table struct {
	*geometry
	r    io.ReaderAt
	buf  []byte
	off  int64 // of buf within the FAT
	grow int64 // size of the next window
}

func (g *geometry) table(r io.ReaderAt) *table { return &table{geometry: g, r: r, grow: minWindow} }

// fatOff is the offset of FAT number i.
func (g *geometry) fatOff(i int) int64 { return g.fatStart + int64(i)*g.fatSize }

// fatBytes is how much of a FAT holds entries.
func (g *geometry) fatBytes() int64 {
	return ((int64(g.clusters)+2)*int64(g.width) + 7) / 8
}

// entryOff is the offset of c's entry within a FAT. FAT12 packs two entries in three bytes.
func (g *geometry) entryOff(c uint32) int64 { return int64(c) * int64(g.width) / 8 }

// Values of FAT entries, as get returns them.
const (
	entryFree = 0
	entryBad  = 0x0FFFFFF7
	entryEnd  = 0x0FFFFFF8 // and above: the last cluster of a chain
	entryMask = 0x0FFFFFFF // of a FAT32 entry; the upper bits are kept
)

// get returns the entry of cluster c, with the special values of all widths made those
// of FAT32. The upper four bits of a FAT32 entry are not part of it.
func (t *table) get(c uint32) (uint32, error) {
	off := t.entryOff(c)
	i := off - t.off
	if i < 0 || i+4 > int64(len(t.buf)) {
		if err := t.load(off); err != nil {
			return 0, err
		}
		i = off - t.off
	}
	return getEntry(t.buf[i:], t.width, c), nil
}

// load moves the window to the entry at off of the FAT.
func (t *table) load(off int64) error {
	size := t.grow
	t.grow = min(2*t.grow, maxWindow)
	total := t.fatBytes()
	start := off / minWindow * minWindow
	if t.width == 12 { // entries straddle windows, but the whole table is small
		start, size = 0, total
	}
	size = min(size, total-start)
	if int64(cap(t.buf)) < size+windowPad {
		t.buf = make([]byte, size+windowPad)
	}
	t.buf = t.buf[:size]
	t.off = start
	if err := readAt(t.r, t.buf, t.fatOff(t.active)+start); err != nil {
		t.buf = t.buf[:0]
		return err
	}
	t.buf = append(t.buf, 0, 0, 0)
	return nil
}

// getEntry decodes the entry of cluster c from b, which begins at its first byte.
func getEntry(b []byte, width int, c uint32) uint32 {
	var e, special uint32
	switch width {
	case 12:
		e, special = uint32(le.Uint16(b)), 0xFF7
		if c&1 != 0 {
			e >>= 4
		}
		e &= 0xFFF
	case 16:
		e, special = uint32(le.Uint16(b)), 0xFFF7
	default:
		return le.Uint32(b) & entryMask
	}
	if e >= special {
		e += entryBad - special
	}
	return e
}

// setEntry encodes e, a value as get returns it, as the entry of cluster c at the start of b. It
// leaves the other half-byte of a FAT12 entry and the upper four bits of a FAT32 entry as they are.
func setEntry(b []byte, width int, c, e uint32) {
	switch width {
	case 12:
		old := le.Uint16(b)
		if c&1 != 0 {
			le.PutUint16(b, old&0x000F|uint16(e&0xFFF)<<4)
		} else {
			le.PutUint16(b, old&0xF000|uint16(e&0xFFF))
		}
	case 16:
		le.PutUint16(b, uint16(e))
	default:
		le.PutUint32(b, le.Uint32(b)&^entryMask|e&entryMask)
	}
}

// cleanShutdown reports whether the flag in FAT[1] is set, which other systems than Linux
// clear while the volume is mounted. FAT12 has none.
func (t *table) cleanShutdown() (bool, error) {
	if t.width == 12 {
		return true, nil
	}
	e, err := t.get(1)
	if t.width == 16 {
		return e&0x8000 != 0, err
	}
	return e&0x08000000 != 0, err
}

// block is the entries of clusters that follow one another, the first of which is number first.
type block struct {
	first   uint32
	entries []uint32 // as get returns them; good until the next block
}

// blocks returns the entries of all clusters, in order, a window at a time. It ends with the first error.
func (t *table) blocks() iter.Seq2[block, error] {
	return func(yield func(block, error) bool) {
		var entries []uint32
		t.grow = maxWindow
		for c, end := uint32(2), t.clusters+2; c < end; {
			if err := t.load(t.entryOff(c)); err != nil {
				yield(block{}, err)
				return
			}
			stop := end // the first cluster that is not in the window
			if t.width != 12 {
				stop = min(end, uint32((t.off+int64(len(t.buf)-windowPad))*8/int64(t.width)))
			}
			entries = t.decode(entries[:0], c, stop)
			if !yield(block{c, entries}, nil) {
				return
			}
			c = stop
		}
	}
}

// decode appends the entries of the clusters from c up to stop, which are in the window.
func (t *table) decode(entries []uint32, c, stop uint32) []uint32 {
	entries = slices.Grow(entries, int(stop-c))
	if t.width == 32 { // the large ones
		for b := t.buf[t.entryOff(c)-t.off:]; c < stop; c++ {
			entries = append(entries, le.Uint32(b)&entryMask)
			b = b[4:]
		}
		return entries
	}
	for ; c < stop; c++ {
		entries = append(entries, getEntry(t.buf[t.entryOff(c)-t.off:], t.width, c))
	}
	return entries
}

// free counts the free clusters that lie whole on what is there.
func (t *table) free() (int64, error) {
	var n int64
	for b, err := range t.blocks() {
		if err != nil {
			return 0, err
		}
		for i, e := range b.entries {
			if e == entryFree && b.first+uint32(i) < t.end {
				n++
			}
		}
	}
	return n, nil
}

// link is a change of the FAT: each cluster of the run leads to the next one and the last to next;
// if next is entryFree, all become free.
type link struct {
	run
	next uint32
}

// linksOf makes the runs one chain.
func linksOf(links []link, runs []run) []link {
	links = slices.Grow(links, len(runs))
	for i, r := range runs {
		next := uint32(entryEnd | 7)
		if i+1 < len(runs) {
			next = runs[i+1].start
		}
		links = append(links, link{r, next})
	}
	return links
}

// tableWriter changes the FAT window by window.
type tableWriter struct {
	*geometry
	dev    Device
	buf    []byte
	off    int64 // of buf within the FAT
	lo, hi int64 // what was changed in buf; nothing if they are equal
	freed  int64 // clusters that became free, less those that ceased to be
}

// apply makes the changes, in the order of the clusters, in windows of up to 64 KiB. For each window
// it makes one write to each FAT, or to the active one if they are not mirrored. After a cut any of the
// windows may be missing, and one FAT may be a window ahead of the other.
func (w *tableWriter) apply(links []link) error {
	slices.SortFunc(links, func(a, b link) int { return cmp.Compare(a.start, b.start) })
	for _, l := range links {
		if err := w.applyLink(l); err != nil {
			return err
		}
	}
	return w.flush()
}

// free makes the clusters in set free, as apply does.
func (w *tableWriter) free(set clusterSet) error {
	for r := range set.runs() {
		if err := w.applyLink(link{r, entryFree}); err != nil {
			return err
		}
	}
	return w.flush()
}

func (w *tableWriter) applyLink(l link) error {
	for c, end := l.start, l.start+l.n; c < end; {
		stop, err := w.reach(c, end)
		if err != nil {
			return err
		}
		for ; c < stop; c++ {
			next := l.next
			if next != entryFree && c+1 < end {
				next = c + 1
			}
			w.set(c, next)
		}
	}
	return nil
}

// reach makes the window hold the entry of c, and returns the first cluster, end at most, that it does not hold.
// Entries that have their value already are written, too: they may have another in the other FAT.
func (w *tableWriter) reach(c, end uint32) (uint32, error) {
	off := w.entryOff(c)
	if off < w.off || off >= w.off+int64(len(w.buf)) {
		if err := w.move(off); err != nil {
			return 0, err
		}
	}
	if w.width != 12 { // that of FAT12 is there whole
		end = min(end, uint32((w.off+int64(len(w.buf)))*8/int64(w.width)))
	}
	lo := off - w.off
	hi := w.entryOff(end-1) - w.off + int64(w.width+7)/8
	if w.lo == w.hi {
		w.lo, w.hi = lo, hi
	}
	w.lo, w.hi = min(w.lo, lo), max(w.hi, hi)
	return end, nil
}

// set changes one entry in the window.
func (w *tableWriter) set(c, e uint32) {
	b := w.buf[w.entryOff(c)-w.off:]
	switch was := getEntry(b, w.width, c); {
	case was != entryFree && e == entryFree:
		w.freed++
	case was == entryFree && e != entryFree:
		w.freed--
	}
	setEntry(b, w.width, c, e)
}

// move writes the window and makes it the one around offset off of the FAT.
func (w *tableWriter) move(off int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	start, size := off/maxWindow*maxWindow, int64(maxWindow)
	size = min(size, w.fatSize-start)
	if w.buf == nil {
		w.buf = make([]byte, maxWindow)
	}
	w.buf, w.off = w.buf[:size], start
	return readAt(w.dev, w.buf, w.fatOff(w.active)+start)
}

// flush writes the changed sectors of the window to the FATs, the first one first.
func (w *tableWriter) flush() error {
	if w.lo == w.hi {
		return nil
	}
	lo := w.lo / w.sectorSize * w.sectorSize
	hi := (w.hi + w.sectorSize - 1) / w.sectorSize * w.sectorSize
	w.lo, w.hi = 0, 0
	for i := range w.fats {
		if !w.mirror && i != w.active {
			continue
		}
		if _, err := w.dev.WriteAt(w.buf[lo:hi], w.fatOff(i)+w.off+lo); err != nil {
			return err
		}
	}
	return nil
}
