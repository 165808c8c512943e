// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// NoSpaceError says that the changes of a Tx do not fit. Nothing was written.
type NoSpaceError struct {
	Need, Free int64 // bytes, in whole clusters
	InPlace    bool  // it would fit once the replaced files are freed
}

func (e *NoSpaceError) Error() string {
	text := fmt.Sprintf("no space: %d bytes needed, %d free", e.Need, e.Free)
	if e.InPlace {
		text += " until the old files are freed (--in-place frees them first)"
	}
	return text
}

// Device is what a volume is written on.
type Device interface {
	io.ReaderAt
	io.WriterAt
	Sync() error // makes all earlier writes durable before any later one
}

// MaxFile is the size of the largest file, in bytes.
const MaxFile = math.MaxUint32

// ErrTooLarge says that a file is larger than MaxFile.
var ErrTooLarge = fmt.Errorf("too large: a file has at most %d bytes", int64(MaxFile))

var (
	errReadOnly = errors.New("the device cannot be written")
	errExist    = &causeError{"file exists", fs.ErrExist}
	errPlanned  = errors.New("will not overwrite what was just made")
	errRemoved  = errors.New("removed at the same time")
	errRoot     = errors.New("the root directory cannot be removed")
	errCommit   = errors.New("the changes were made already")
)

// TxOptions say how a Tx writes.
type TxOptions struct {
	Force   bool      // write to a volume in use, leaving the flag as it is
	NoSync  bool      // never call Device.Sync
	InPlace bool      // free the replaced files' space first where the new ones do not fit otherwise
	Now     time.Time // time stamped on what is made; zero means time.Now

	// Progress may be nil. It is called during Commit, each time that some of the files' data was written, with
	// how many bytes that are so far, and how many it will be.
	Progress func(done, total int64)
}

// Tx collects changes and makes them at Commit. It must be the only one that writes
// to the volume, and is not for several goroutines.
type Tx struct {
	v     *FS
	dev   Device
	opt   TxOptions
	root  *txDir
	files []*node // to write, in the order planned
	moves []*node // what is moved, at the new places
	ended []*node // what stands at its new place already, at the old places
	done  bool

	prepared *commit
}

// txDir is a directory that a Tx changes, or has looked into.
type txDir struct {
	node    *node            // the root's has no entry
	old     *directory       // nil if it is new
	touched map[int]*node    // entries that were looked at, by slot
	added   map[string]*node // new ones, by folded name
	changes []*node          // in the order planned
	subs    []*txDir         // directories in it that were looked into
	slots   *dirSlots        // where the new entries go, made by Commit
	names   *shortNames      // likewise
	renamed *entry           // whose short name is free to take
}

// node is a file or directory in a Tx.
type node struct {
	parent *txDir // nil: the root
	path   string
	e      *entry // nil if it is new
	dir    *txDir // if it is a directory that was looked into
	isDir  bool
	what   change
	src    Source
	mtime  time.Time // of a new directory

	from      *node   // what is moved here
	to        *node   // where it is moved
	moved     *entry  // the entry of what is moved here, or is a part of that
	top       *node   // of a part of what is moved: the node of all of it
	needs     []*node // what must be moved out of it before
	inPlace   bool    // one write moves it
	respelled bool    // the move changes the spelling alone
	done      func(error)

	name     string   // of a new one, as it is wanted
	named    bool     // the names that follow are given
	short    [11]byte // name of a new one
	lower    byte     // flags of its parts
	long     string   // "" if the short name says it all
	units    []uint16 // of the long name, if they are more than it says
	place    place    // of its entries
	fill     int      // slots from here up to place become deleted ones
	runs     []run    // clusters for what is written
	err      error    // of the source
	switched bool     // the volume holds the new state
}

// change is what a Tx does with a file or directory.
type change int

const (
	keep change = iota
	write
	remove
)

// Begin starts a transaction. Errors: ErrInUse if the dirty flag is set and opt.Force is not, or
// that the device cannot be written.
func (v *FS) Begin(opt TxOptions) (*Tx, error) {
	dev, ok := v.r.(Device)
	if !ok {
		return nil, errReadOnly
	}
	if v.InUse() && !opt.Force {
		return nil, ErrInUse
	}
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	v.forget()
	d, err := v.root()
	if err != nil {
		return nil, err
	}
	t := &Tx{v: v, dev: dev, opt: opt}
	n := &node{path: ".", e: rootEntry(), isDir: true}
	t.root = newTxDir(n, d)
	return t, nil
}

func newTxDir(n *node, old *directory) *txDir {
	n.dir = &txDir{node: n, old: old, touched: map[int]*node{}, added: map[string]*node{}}
	if n.parent != nil {
		n.parent.subs = append(n.parent.subs, n.dir)
	}
	return n.dir
}

// child finds name in d; nil if it is not there. One that is to be removed is found, too.
func (d *txDir) child(name string) *node {
	if n := d.added[Fold(name)]; n != nil {
		return n
	}
	if d.old == nil {
		return nil
	}
	if e := d.old.find(name); e != nil {
		return d.at(e)
	}
	return nil
}

// at returns the node of e, an entry of d.
func (d *txDir) at(e *entry) *node {
	n := d.touched[e.slot]
	if n == nil {
		n = &node{parent: d, path: joinPath(d.node.path, e.name), e: e, isDir: e.d.isDir()}
		d.touched[e.slot] = n
	}
	return n
}

func joinPath(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// enter returns the directory that n is.
func (t *Tx) enter(n *node) (*txDir, error) {
	switch {
	case n == nil || n.what == remove:
		return nil, errNotExist
	case !n.isDir:
		return nil, ErrNotDir
	case n.dir != nil:
		return n.dir, nil
	}
	d, err := t.v.sub(n.parent.old, n.e)
	if err != nil {
		return nil, err
	}
	return newTxDir(n, d), nil
}

// locate finds the directory in which name stands and its last element, "" for the root.
func (t *Tx) locate(name string) (*txDir, string, error) {
	switch {
	case t.done:
		return nil, "", errCommit
	case !utf8.ValidString(name):
		return nil, "", nameError("it is not UTF-8")
	case !fs.ValidPath(name):
		return nil, "", nameError("it is no path")
	case name == ".":
		return t.root, "", nil
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return nil, "", nameError(fmt.Sprintf("it is more than %d directories deep", maxDepth))
	}
	d := t.root
	for _, part := range parts[:len(parts)-1] {
		var err error
		if d, err = t.enter(d.child(part)); err != nil {
			return nil, "", err
		}
	}
	return d, parts[len(parts)-1], nil
}

// add plans a new entry of d.
func (d *txDir) add(name string, isDir bool) (*node, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := d.writable(); err != nil {
		return nil, err
	}
	n := &node{parent: d, path: joinPath(d.node.path, name), name: name, isDir: isDir, what: write}
	d.added[Fold(name)] = n
	d.changes = append(d.changes, n)
	return n, nil
}

// writable refuses to change a damaged directory.
func (d *txDir) writable() error {
	if d.old != nil {
		return d.old.damage
	}
	return nil
}

// WriteFile plans to create or replace the file name. The parent must exist or be planned by Mkdir.
// Errors that can be known now (bad name, a directory of that name, too large) are returned now and
// leave the Tx usable without that file.
func (t *Tx) WriteFile(name string, src Source) error {
	if err := t.writeFile(name, src); err != nil {
		return pathErr("write", name, err)
	}
	return nil
}

func (t *Tx) writeFile(name string, src Source) error {
	d, base, err := t.locate(name)
	if err != nil {
		return err
	}
	if base == "" {
		return ErrIsDir
	}
	n := d.child(base)
	switch {
	case src.Size < 0 || src.Open == nil:
		return fs.ErrInvalid
	case n != nil && n.what == remove:
		return errRemoved
	case n != nil && n.isDir:
		return ErrIsDir
	case n != nil && n.what == write:
		return errPlanned
	case src.Size > MaxFile:
		return ErrTooLarge
	case n == nil:
		if n, err = d.add(base, false); err != nil {
			return err
		}
	default:
		if err := d.writable(); err != nil {
			return err
		}
		n.what = write
		d.changes = append(d.changes, n)
	}
	n.src = src
	t.files = append(t.files, n)
	return nil
}

// Mkdir plans to make the directory name; it is no error if that directory exists or is planned. A zero
// modTime means TxOptions.Now.
func (t *Tx) Mkdir(name string, modTime time.Time) error {
	if err := t.mkdir(name, modTime); err != nil {
		return pathErr("mkdir", name, err)
	}
	return nil
}

func (t *Tx) mkdir(name string, modTime time.Time) error {
	d, base, err := t.locate(name)
	if err != nil || base == "" {
		return err
	}
	n := d.child(base)
	switch {
	case n != nil && n.what == remove:
		return errRemoved
	case n != nil && !n.isDir:
		return errExist
	case n != nil:
		return nil
	}
	if n, err = d.add(base, true); err != nil {
		return err
	}
	n.mtime = modTime
	if modTime.IsZero() {
		n.mtime = t.opt.Now
	}
	newTxDir(n, nil)
	return nil
}

// Remove plans to remove the file or empty directory name. A file whose chain is damaged can be
// removed, too.
func (t *Tx) Remove(name string) error { return t.removeName(name, false) }

// RemoveAll plans to remove name and, if it is a directory, all below it; a directory below
// it that cannot be read whole is an error. Of the root directory all entries are removed.
func (t *Tx) RemoveAll(name string) error { return t.removeName(name, true) }

func (t *Tx) removeName(name string, all bool) error {
	d, base, err := t.locate(name)
	switch {
	case !utf8.ValidString(name):
		err = errNotExist // no name on a volume is
	case err != nil:
	case base != "":
		err = t.removeNode(d.child(base), all)
	case all:
		err = t.removeEntries()
	default:
		err = errRoot
	}
	if err != nil {
		return pathErr("remove", name, err)
	}
	return nil
}

// removeEntries plans to remove all entries of the root directory.
func (t *Tx) removeEntries() error {
	for i := range t.root.old.entries {
		n := t.root.at(&t.root.old.entries[i])
		if n.what == remove {
			continue
		}
		if err := t.removeNode(n, true); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) removeNode(n *node, all bool) error {
	switch {
	case n == nil || n.what == remove:
		return errNotExist
	case n.what == write:
		return errPlanned
	}
	if err := n.parent.writable(); err != nil {
		return err
	}
	if n.isDir {
		if err := t.checkRemove(n, all); err != nil {
			return err
		}
	}
	n.what = remove
	n.parent.changes = append(n.parent.changes, n)
	return nil
}

// checkRemove checks that the directory n can be removed: that it is whole, holds nothing that is to
// be written, and is empty unless all is set.
func (t *Tx) checkRemove(n *node, all bool) error {
	d, err := t.enter(n)
	if err != nil {
		return err
	}
	if d.old.damage != nil {
		return d.old.damage
	}
	if len(d.added) > 0 {
		return errPlanned
	}
	for i := range d.old.entries {
		e := &d.old.entries[i]
		sub := d.touched[e.slot]
		switch {
		case sub != nil && sub.what == remove:
			continue
		case !all:
			return errNotEmpty
		case sub != nil && sub.what == write:
			return errPlanned
		case !e.d.isDir():
			continue
		}
		if strings.Count(n.path, "/") >= maxDepth {
			return ErrDepth
		}
		if err := t.checkRemove(d.at(e), true); err != nil {
			return err
		}
	}
	return nil
}
