// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	errMoveRoot   = errors.New("the root directory cannot be moved or replaced")
	errMoveInside = errors.New("cannot move a directory into itself")
	errRespell    = errors.New("no room near its place in the directory to change the spelling")
)

// Rename plans to move the file or directory old to new, whose parent must exist or be planned by Mkdir. A file
// at new is replaced, and a directory by a directory if it is empty; both keep the spelling of their name. If new
// is old's own entry, by another spelling or its other name, it is spelled so from then on. A directory at new that
// holds just what old holds is what a move that was cut left: old is removed, which ends it.
//
// Within a directory the new name takes the old one's slots, or free ones in the same sector, wherever it fits
// there, and a file that is replaced may be in the same sector too: one write, which moves no data. Else what
// is moved, a directory with all below it, is copied within the volume and removed from its old place once the
// new one is on disk; it keeps its times and attributes.
//
// An error that can be known now is returned now, a PathError of the one of the two names that it is about; the Tx
// stays usable without this change. done, which may be nil, is called during Commit: with nil once all is in its new
// place, or with what failed in reading what is moved, which stays where it was.
func (t *Tx) Rename(old, new string, done func(error)) error {
	from, err := t.movable(old)
	if err != nil {
		return pathErr("rename", old, err)
	}
	d, base, err := t.locate(new)
	if err == nil {
		err = t.rename(from, d, base, done)
	}
	if err != nil {
		return pathErr("rename", new, err)
	}
	return nil
}

// movable finds what is to be moved.
func (t *Tx) movable(name string) (*node, error) {
	d, base, err := t.locate(name)
	switch {
	case !utf8.ValidString(name):
		return nil, errNotExist // no name on a volume is
	case err != nil:
		return nil, err
	case base == "":
		return nil, errMoveRoot
	}
	n := d.child(base)
	switch {
	case n == nil || n.what == remove:
		return nil, errNotExist
	case n.what == write || n.dir != nil && n.dir.isPlanned():
		return nil, errPlanned
	}
	return n, d.writable()
}

// isPlanned reports whether something is to be written in d or below it.
func (d *txDir) isPlanned() bool {
	for _, n := range d.changes {
		if n.what == write {
			return true
		}
	}
	for _, sub := range d.subs {
		if sub.isPlanned() {
			return true
		}
	}
	return false
}

// rename plans to move from to the name base in d.
func (t *Tx) rename(from *node, d *txDir, base string, done func(error)) error {
	for up := d; up != nil; up = up.node.parent {
		if up.node == from {
			return errMoveInside
		}
	}
	n, err := d.child(base), error(nil)
	switch {
	case base == "":
		return errMoveRoot
	case n == nil || n == from:
		respelled := n == from
		if n, err = d.add(base, from.isDir); err == nil {
			n.respelled = respelled
		}
	default:
		if t.wasMoved(from, n) {
			return t.endMove(from, done)
		}
		err = t.replaceBy(n, from)
	}
	if err != nil {
		return err
	}
	n.from, n.done = from, done
	from.to, from.what = n, remove
	from.parent.changes = append(from.parent.changes, from)
	t.moves = append(t.moves, n)
	return nil
}

// endMove plans the end of a move that was cut when all of it stood in its new place.
func (t *Tx) endMove(from *node, done func(error)) error {
	if err := t.removeNode(from, true); err != nil {
		return err
	}
	from.done = done
	t.ended = append(t.ended, from)
	return nil
}

// WasMoved reports whether the directory new is what a move of the directory old left that was cut when all of it
// stood in its new place: it is not empty, and the names, times (of creation, too), attributes and contents below both
// are the same. What cannot be read whole is no such copy.
func (t *Tx) WasMoved(old, new string) bool {
	from, err := t.movable(old)
	if err != nil {
		return false
	}
	d, base, err := t.locate(new)
	if err != nil || base == "" {
		return false
	}
	n := d.child(base)
	return n != nil && t.wasMoved(from, n)
}

func (t *Tx) wasMoved(from, n *node) bool {
	if n == from || !from.isDir || !n.isDir || n.e == nil || from.dir.isTouched() || n.dir.isTouched() {
		return false
	}
	ok, empty := t.sameDir(from.parent.old, from.e, n.parent.old, n.e, 0)
	return ok && !empty
}

// isTouched reports whether something is to be changed in d or below it. A nil d is a directory that was not looked into.
func (d *txDir) isTouched() bool {
	return d != nil && (len(d.changes) > 0 || slices.ContainsFunc(d.subs, (*txDir).isTouched))
}

// sameDir reports whether the directories a and b, entries of pa and pb, hold the same, and whether that is nothing.
func (t *Tx) sameDir(pa *directory, a *entry, pb *directory, b *entry, depth int) (same, empty bool) {
	da, erra := t.v.sub(pa, a)
	db, errb := t.v.sub(pb, b)
	if erra != nil || errb != nil || da.damage != nil || db.damage != nil ||
		len(da.entries) != len(db.entries) || depth > maxDepth {
		return false, false
	}
	for i := range da.entries {
		e := &da.entries[i]
		other := db.find(e.name)
		if other == nil || other.name != e.name {
			return false, false
		}
		x, y := e.d, other.d
		x.setCluster(0, t.v.width)
		y.setCluster(0, t.v.width)
		if x != y {
			return false, false
		}
		if e.d.isDir() {
			same, _ = t.sameDir(da, e, db, other, depth+1)
		} else {
			same = t.sameFile(e, other)
		}
		if !same {
			return false, false
		}
	}
	return true, len(da.entries) == 0
}

// sameFile reports whether the files a and b, of the same size, can be read and hold the same.
func (t *Tx) sameFile(a, b *entry) bool {
	fa, erra := t.v.openFile(a.name, a)
	fb, errb := t.v.openFile(b.name, b)
	if erra != nil || errb != nil {
		return false
	}
	pa, pb := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		na, erra := io.ReadFull(fa, pa)
		nb, errb := io.ReadFull(fb, pb)
		if erra != nil || errb != nil {
			return bytes.Equal(pa[:na], pb[:nb]) && isEnd(erra) && isEnd(errb)
		}
		if !bytes.Equal(pa, pb) {
			return false
		}
	}
}

// isEnd reports whether io.ReadFull met the end of a file.
func isEnd(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// replaceBy plans that from replaces n.
func (t *Tx) replaceBy(n, from *node) error {
	switch {
	case n.what == remove:
		return errRemoved
	case n.what == write:
		return errPlanned
	case n.isDir && !from.isDir:
		return ErrIsDir
	case !n.isDir && from.isDir:
		return ErrNotDir
	}
	if err := n.parent.writable(); err != nil {
		return err
	}
	if n.isDir {
		if err := t.checkRemove(n, false); err != nil {
			return err
		}
	}
	n.what = write
	n.parent.changes = append(n.parent.changes, n)
	return nil
}

// prepareMoves finds out which moves one write makes, and plans the copies of the others. What cannot be read
// is noted in the err of its node, and stays where it was.
func (t *Tx) prepareMoves(inUse bool) error {
	for _, n := range t.moves {
		ok, err := t.renameInPlace(n, inUse)
		switch {
		case err != nil:
			return err
		case ok:
			n.inPlace, n.moved = true, n.from.e
			n.from.what = keep
			d := n.parent
			d.changes = slices.DeleteFunc(d.changes, func(gone *node) bool { return gone == n.from })
		case n.respelled: // the old and the new name cannot both be there
			n.err = errRespell
		default:
			n.err = t.planCopy(n, n, n.from.e, n.from.dir)
		}
	}
	return nil
}

// planCopy plans to copy e to n, with all that is in it. top is the node of the whole move, planned is e's directory
// if it was looked into: what is to be removed from there is not copied.
func (t *Tx) planCopy(top, n *node, e *entry, planned *txDir) error {
	n.moved = e
	if n != top {
		n.top = top
	}
	if !n.isDir {
		n.src = Source{Size: int64(e.d.size()), Open: func() (io.ReadCloser, error) { return t.v.openFile(n.path, e) }}
		t.files = append(t.files, n)
		err := t.v.fileChain(e, func(run) {})
		return err
	}
	old, err := t.v.sub(e.parent, e)
	switch {
	case err != nil:
		return err
	case old.damage != nil:
		return old.damage
	case strings.Count(n.path, "/") >= maxDepth:
		return ErrDepth
	}
	d := newTxDir(n, nil)
	for i := range old.entries {
		if err := t.planSubCopy(top, d, &old.entries[i], planned); err != nil {
			return err
		}
	}
	return nil
}

// planSubCopy plans to copy e into d, under its own names.
func (t *Tx) planSubCopy(top *node, d *txDir, e *entry, planned *txDir) error {
	var sub *txDir
	if planned != nil && planned.touched[e.slot] != nil {
		was := planned.touched[e.slot]
		if was.what == remove {
			if was.to != nil {
				top.needs = append(top.needs, was.to)
			}
			return nil
		}
		sub = was.dir
	}
	units, err := t.v.oddUnits(e)
	if err != nil {
		return err
	}
	n := &node{parent: d, path: joinPath(d.node.path, e.name), isDir: e.d.isDir(), what: write,
		short: e.d.rawName(), lower: e.d[12], long: e.longName(), units: units, named: true}
	d.changes = append(d.changes, n)
	return t.planCopy(top, n, e, sub)
}

// failure is why n cannot be done: a source that failed, or something moved, of which n is a part, or that n needs.
func (n *node) failure() error {
	switch {
	case n.err != nil:
		return n.err
	case n.to != nil:
		return n.to.failure()
	case n.top != nil:
		return n.top.failure()
	}
	for _, other := range n.needs {
		if err := other.failure(); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) failed() bool { return n.failure() != nil }

// renameInPlace finds slots with which one write makes the move n, and reports whether there are such.
func (t *Tx) renameInPlace(n *node, inUse bool) (bool, error) {
	d, e := n.parent, n.from.e
	if n.from.parent != d {
		return false, nil
	}
	if err := t.findSlots(d); err != nil {
		return false, err
	}
	if n.e != nil {
		return d.slots.sectorOf(e) >= 0 && d.slots.sectorOf(e) == n.e.slot/sectorSlots, nil
	}
	d.renamed = e
	err := n.setShort(d.shortNames())
	d.renamed = nil
	if err != nil {
		return false, nil // the copy fails for that, too
	}
	// Beyond the end marker there is room for one alone, so that the order of two writes does not matter.
	alone := !slices.ContainsFunc(d.changes, func(other *node) bool { return other != n && other.isNew() })
	p, ok := d.slots.putNear(e, longSlots(n.longUnits())+1, alone, n.respelled)
	if !ok || !d.slots.canRewrite(e, p, inUse) {
		n.named = d.old.find(shortName(n.short)) == nil // else it would have the name of e, which is there still
		return false, nil
	}
	n.place, n.fill = p, min(p.slot, d.slots.end)
	d.slots.take(p)
	return true, nil
}
