// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// RemoveOptions are the options of nobodd-rm.
type RemoveOptions struct {
	Recursive      bool // remove directories with what is in them
	Dir            bool // remove empty directories
	Force          bool // missing operands are fine; write to a volume in use
	Verbose        bool // print what was removed
	NoPreserveRoot bool // allow emptying the root directory
	NoSync         bool
}

// Remove removes the operands, addresses as the user typed them. What concerns one of
// them only does not keep the others from being removed.
func Remove(env Env, opt RemoveOptions, operands []string) error {
	addrs, errs := parseAll(operands, func(a addr.Addr) error { return removable(a, opt) })
	r := &remover{opt: opt, gone: map[string]bool{}}
	err := editImages(env, fat.TxOptions{Force: opt.Force, NoSync: opt.NoSync}, addrs, r.operand)
	return errors.Join(append(errs, err)...)
}

// removable refuses what rm never removes.
func removable(a addr.Addr, opt RemoveOptions) error {
	typed := path.Base(a.Text)
	switch {
	case a.Kind != addr.Inside:
		return errors.New("a path on this machine, which rm(1) removes")
	case typed == "." || typed == "..":
		return errors.New("refusing to remove '.' or '..'")
	case a.Path == "/" && !opt.NoPreserveRoot:
		return errors.New("refusing to remove the root directory (--no-preserve-root allows it)")
	}
	return nil
}

// remover plans what is removed.
type remover struct {
	opt  RemoveOptions
	gone map[string]bool // keys of what is planned to be removed
}

// operand plans the removal of one operand, or of what matches it.
func (r *remover) operand(e *edit, a addr.Addr) {
	matches, err := e.images.expand(a)
	if err != nil && !(r.opt.Force && errors.Is(err, fs.ErrNotExist)) {
		e.errs = append(e.errs, err)
	}
	for _, m := range matches {
		v, err := e.volume(m)
		if err == nil {
			err = r.plan(e, v, m)
		}
		if err != nil {
			e.fail(m, err)
		}
	}
}

func (r *remover) plan(e *edit, v *volumeEdit, a addr.Addr) error {
	fi, err := image.Lookup(v.FS, a)
	if err == nil && isGone(v, r.gone, a.Name()) {
		fi, err = nil, fs.ErrNotExist
	}
	switch {
	case r.opt.Force && fi == nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fat.ErrNotDir)):
		return nil
	case err != nil:
		return err
	case fi.IsDir() && !r.opt.Recursive && !r.opt.Dir:
		return fmt.Errorf("%w; -r removes it, and what is in it", fat.ErrIsDir)
	}
	if err := v.begin(); err != nil {
		return err
	}
	if a.Path == "/" {
		return r.empty(e, v, a)
	}
	return r.remove(v, a, fi)
}

// isGone reports whether the key of name, or of a directory above it, is in gone.
func isGone(v *volumeEdit, gone map[string]bool, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if fi, err := v.Stat(name); err == nil && gone[v.Key("", "", fi)] {
			return true
		}
	}
	return false
}

// empty plans the removal of everything in the root directory, which itself stays.
func (r *remover) empty(e *edit, v *volumeEdit, root addr.Addr) error {
	entries, err := v.ReadDir(".")
	if len(entries) > 0 && !r.opt.Recursive {
		return syscall.ENOTEMPTY
	}
	for _, entry := range entries {
		a := root.Join(entry.Name())
		fi, err := entry.Info()
		if err == nil && !r.gone[v.Key("", "", fi)] {
			err = r.remove(v, a, fi)
		}
		if err != nil {
			e.fail(a, err)
		}
	}
	return err
}

// remove plans the removal of what a names.
func (r *remover) remove(v *volumeEdit, a addr.Addr, fi fs.FileInfo) error {
	remove := v.tx.Remove
	if r.opt.Recursive {
		remove = v.tx.RemoveAll
	}
	if err := remove(a.Name()); err != nil {
		return err
	}
	if r.opt.Verbose {
		r.describe(v, a, fi)
	}
	r.gone[v.Key("", "", fi)] = true
	v.changed = true
	return nil
}

// describe notes what is printed of the removal of a and of all below it.
func (r *remover) describe(v *volumeEdit, a addr.Addr, fi fs.FileInfo) {
	if !fi.IsDir() {
		v.note("removed %s", quote(a.String()))
		return
	}
	entries, _ := v.ReadDir(a.Name()) // RemoveAll found what is damaged
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && !r.gone[v.Key("", "", fi)] {
			r.describe(v, a.Join(e.Name()), fi)
		}
	}
	v.note("removed directory %s", quote(a.String()))
}
