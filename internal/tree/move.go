// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// MoveOptions are the options of nobodd-mv.
type MoveOptions struct {
	IntoDir     bool // DEST must be an existing directory (-t)
	NoTargetDir bool // DEST is the new name even if it is a directory (-T)
	NoClobber   bool // skip what would replace something
	Verbose     bool // print each move
	Force       bool // write to a volume in use
	NoSync      bool
}

// Move moves the sources to dest within one volume, all of them addresses as the user typed
// them. What concerns one source only does not keep the others from being moved.
//
// Everything is planned before anything is written, and then made in one transaction.
func Move(env Env, opt MoveOptions, sources []string, dest string) error {
	to, err := Parse(dest)
	if err != nil {
		return err
	}
	m := &mover{opt: opt, to: to, several: len(sources) > 1, planned: map[string]bool{}, gone: map[string]bool{}}
	from, errs := parseAll(sources, m.movable)
	err = editImages(env, fat.TxOptions{Force: opt.Force, NoSync: opt.NoSync}, from, m.operand)
	return errors.Join(append(errs, err)...)
}

// mover plans one move.
type mover struct {
	opt     MoveOptions
	to      addr.Addr
	several bool // sources were given
	begun   bool

	v       *volumeEdit // that of dest; nil if nothing can be moved there
	dest    target
	into    bool            // the sources go into the directory dest
	planned map[string]bool // keys of the new places; true: of a directory
	gone    map[string]bool // keys of what is moved away
}

// movable refuses a source that is not in the image of the destination, or never moves.
func (m *mover) movable(a addr.Addr) error {
	switch typed := path.Base(a.Text); {
	case a.Kind == addr.Std:
		return errors.New("standard input is nothing that can be moved")
	case a.Kind == addr.Local && m.to.Kind == addr.Local:
		return errors.New("a path on this machine, which mv(1) moves")
	case a.Kind != m.to.Kind || image.Key(a.Image) != image.Key(m.to.Image):
		return m.elsewhere(a)
	case typed == "." || typed == "..":
		return errors.New("refusing to move '.' or '..'")
	case a.Path == "/":
		return errors.New("the root directory cannot be moved")
	}
	return nil
}

// elsewhere says that a is in another volume than the destination, and what to do.
func (m *mover) elsewhere(a addr.Addr) error {
	flags, remove := "-rp", "nobodd-rm"
	if m.opt.NoTargetDir {
		flags = "-rpT"
	}
	if a.Kind == addr.Local {
		remove = "rm"
	}
	src := quote(a.Text)
	return fmt.Errorf("not in the volume of %s; copy and remove it instead: nobodd-cp %s %s %[1]s && %[4]s -r %[3]s",
		quote(m.to.Text), flags, src, remove)
}

// operand plans the move of what one operand stands for.
func (m *mover) operand(e *edit, a addr.Addr) {
	matches, err := e.images.expand(a)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	if !m.begun {
		m.begun, m.several = true, m.several || len(matches) > 1
		if err := m.begin(e); err != nil {
			e.errs = append(e.errs, err)
			return
		}
	}
	if m.v == nil {
		return
	}
	for _, a := range matches {
		if err := m.source(e, a); err != nil {
			e.errs = append(e.errs, err)
		}
	}
}

// begin starts the transaction and finds out what there is at the destination.
func (m *mover) begin(e *edit) error {
	v, err := e.volume(m.to)
	if err == nil {
		err = v.begin()
	}
	if err == nil {
		m.dest, err = e.images.target(m.to)
	}
	if err != nil {
		return failure(m.to, err)
	}
	if m.into, err = m.dest.into(m.several, m.opt.IntoDir, m.opt.NoTargetDir); err != nil {
		return err
	}
	v.root.Text = m.to.Text
	m.v = v
	return nil
}

// source plans the move of a.
func (m *mover) source(e *edit, a addr.Addr) error {
	v, err := e.volume(a)
	if err == nil && v != m.v {
		err = m.elsewhere(a)
	}
	if err != nil {
		return failure(a, err)
	}
	fi, err := image.Lookup(v.FS, a)
	if err == nil && isGone(v, m.gone, a.Name()) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return failure(a, err)
	}
	src := place{v.volume, a, v.Key("", "", fi)}
	dst, di := m.dest.place, m.dest.info
	if m.into && !m.respells(src) && !m.stands(src) {
		if dst, di, err = m.dest.child(fi.Name()); err != nil {
			return failure(dst.addr, err)
		}
	}
	if m.keeps(src, dst, di) {
		return nil
	}
	if err := m.refuses(src, fi, dst, di); err != nil {
		return err
	}
	return m.move(e, src, fi, dst)
}

// respells reports whether the destination is the only source's own entry, under another spelling
// than it has: a directory is not to go into itself then.
func (m *mover) respells(src place) bool {
	base := path.Base(m.dest.name())
	return !m.several && !m.opt.IntoDir && m.dest.info != nil && m.dest.key == src.key &&
		base != m.dest.info.Name() && fat.Fold(base) == fat.Fold(m.dest.info.Name())
}

// stands reports whether the destination is the only source in its new place already, where a move that
// was cut has left it: the same command made that directory, and is not to go into it now.
func (m *mover) stands(src place) bool {
	return !m.several && !m.opt.IntoDir && m.v.tx.WasMoved(src.name(), m.dest.name())
}

// keeps reports whether what is at dst, or planned to be, is to stay.
func (m *mover) keeps(src, dst place, di fs.FileInfo) bool {
	_, twice := m.planned[dst.key]
	return m.opt.NoClobber && (di != nil || twice) && !m.respells(src)
}

// refuses says why src, which fi describes, cannot be moved to dst, where di is.
func (m *mover) refuses(src place, fi fs.FileInfo, dst place, di fs.FileInfo) error {
	isDir, twice := m.planned[dst.key]
	switch {
	case m.respells(src):
		return nil
	case src.key == dst.key:
		return failure(src.addr, fmt.Errorf("the same file as %s", quote(dst.addr.Text)))
	case fi.IsDir() && m.dest.above[src.key]:
		return failure(src.addr, fmt.Errorf("cannot move a directory into itself, %s", quote(dst.addr.Text)))
	case !fi.IsDir() && di != nil && di.IsDir():
		return failure(dst.addr, fmt.Errorf("cannot overwrite directory with non-directory %s", quote(src.addr.Text)))
	case !fi.IsDir() && dst.addr.Slash:
		return failure(dst.addr, fat.ErrNotDir)
	case fi.IsDir() && di != nil && !di.IsDir():
		return failure(dst.addr, fmt.Errorf("cannot overwrite non-directory with directory %s", quote(src.addr.Text)))
	case isDir:
		return failure(dst.addr, fmt.Errorf("will not overwrite just-moved directory with %s", quote(src.addr.Text)))
	case twice:
		return failure(dst.addr, fmt.Errorf("will not overwrite just-moved file with %s", quote(src.addr.Text)))
	}
	return nil
}

// move plans the move of src to dst.
func (m *mover) move(e *edit, src place, fi fs.FileInfo, dst place) error {
	done := func(err error) {
		switch {
		case err != nil:
			e.fail(src.addr, err)
		case m.opt.Verbose:
			m.v.note("%s", copyLine(src.addr, dst))
		}
	}
	if err := m.v.tx.Rename(src.name(), dst.name(), done); err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) && pe.Path == src.name() {
			return failure(src.addr, err)
		}
		return failure(dst.addr, err)
	}
	m.planned[dst.key] = fi.IsDir()
	m.gone[src.key] = true
	m.v.changed = true
	return nil
}
