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
//
// The images are locked one after another; what is removed from one volume is removed
// in one transaction.
func Remove(env Env, opt RemoveOptions, operands []string) error {
	var errs []error
	var order []string
	byImage := map[string][]addr.Addr{}
	for _, text := range operands {
		a, err := Parse(text)
		if err == nil {
			err = removable(a, opt)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		key := imageKey(a.Image)
		if byImage[key] == nil {
			order = append(order, key)
		}
		byImage[key] = append(byImage[key], a)
	}
	for _, key := range order {
		r := &remover{env: env, opt: opt}
		r.image(byImage[key])
		errs = append(errs, r.errs...)
	}
	return errors.Join(errs...)
}

// removable refuses what rm never removes.
func removable(a addr.Addr, opt RemoveOptions) error {
	typed := path.Base(a.Text)
	switch {
	case a.Kind != addr.Inside:
		return fail(a, errors.New("a path on this machine, which rm(1) removes"))
	case typed == "." || typed == "..":
		return fail(a, errors.New("refusing to remove '.' or '..'"))
	case a.Path == "/" && !opt.NoPreserveRoot:
		return fail(a, errors.New("refusing to remove the root directory (--no-preserve-root allows it)"))
	}
	return nil
}

// remover removes from one image.
type remover struct {
	env     Env
	opt     RemoveOptions
	volumes []*removal
	errs    []error
}

// removal is what is removed from one volume.
type removal struct {
	*volume
	root  addr.Addr
	tx    *fat.Tx
	gone  map[string]bool // keys of what is planned to be removed
	lines []string        // what is printed of it once no lock is held
	done  bool
}

func (r *remover) fail(a addr.Addr, err error) {
	for _, err := range split(err) {
		r.errs = append(r.errs, fail(a, err))
	}
}

func (r *remover) image(operands []addr.Addr) {
	ims := newImages(r.env)
	ims.want(operands[0], image.Write)
	ims.open()
	for _, a := range operands {
		v, err := ims.volume(a)
		if err == nil {
			err = r.plan(a, r.removal(a, v))
		}
		if err != nil {
			r.fail(a, err)
		}
	}
	for _, rm := range r.volumes {
		r.commit(rm)
	}
	if err := ims.close(); err != nil {
		r.fail(operands[0], err)
	}
	for _, rm := range r.volumes {
		for _, line := range rm.lines {
			if rm.done {
				fmt.Fprintln(r.env.Stdout, line)
			}
		}
	}
}

func (r *remover) removal(a addr.Addr, v *volume) *removal {
	for _, rm := range r.volumes {
		if rm.volume == v {
			return rm
		}
	}
	a.Path = "/"
	rm := &removal{volume: v, root: a, gone: map[string]bool{}}
	r.volumes = append(r.volumes, rm)
	return rm
}

// plan plans the removal of one operand.
func (r *remover) plan(a addr.Addr, rm *removal) error {
	fi, err := rm.Stat(a.Name())
	name := a.Name()
	if err == nil {
		name, err = rm.stored(name)
	}
	if err == nil && rm.isGone(name) {
		err = fs.ErrNotExist
	}
	switch {
	case r.opt.Force && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir)):
		return nil
	case err != nil:
		return err
	case a.Slash && !fi.IsDir():
		return errNotDir
	case fi.IsDir() && !r.opt.Recursive && !r.opt.Dir:
		return errIsDir
	}
	if err := r.begin(rm); err != nil {
		return err
	}
	if name == "." {
		return r.empty(a, rm)
	}
	return r.remove(a, rm, name, fi)
}

func (r *remover) begin(rm *removal) (err error) {
	if rm.tx == nil {
		rm.tx, err = rm.begin(fat.TxOptions{Force: r.opt.Force, NoSync: r.opt.NoSync})
	}
	return err
}

// empty plans the removal of everything in the root directory, which itself stays.
func (r *remover) empty(a addr.Addr, rm *removal) error {
	entries, err := rm.ReadDir(".")
	if len(entries) > 0 && !r.opt.Recursive {
		return syscall.ENOTEMPTY
	}
	for _, e := range entries {
		fi, ierr := e.Info()
		if ierr == nil && !rm.isGone(e.Name()) {
			ierr = r.remove(a.Join(e.Name()), rm, e.Name(), fi)
		}
		if ierr != nil {
			r.fail(a.Join(e.Name()), ierr)
		}
	}
	return err
}

// remove plans the removal of name, as the volume spells it.
func (r *remover) remove(a addr.Addr, rm *removal, name string, fi fs.FileInfo) error {
	var err error
	if fi.IsDir() && r.opt.Recursive {
		err = rm.tx.RemoveAll(name)
	} else {
		err = rm.tx.Remove(name)
	}
	if err != nil {
		return err
	}
	if r.opt.Verbose {
		rm.describe(a, name, fi)
	}
	rm.gone[name] = true
	return nil
}

// isGone tells whether name, or a directory above it, is planned to be removed.
func (rm *removal) isGone(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if rm.gone[name] {
			return true
		}
	}
	return false
}

// describe notes what is printed of the removal of name and of all below it.
func (rm *removal) describe(a addr.Addr, name string, fi fs.FileInfo) {
	if !fi.IsDir() {
		rm.lines = append(rm.lines, "removed "+quote(a.String()))
		return
	}
	entries, _ := rm.ReadDir(name) // RemoveAll found what is damaged
	for _, e := range entries {
		child := path.Join(name, e.Name())
		if fi, err := e.Info(); err == nil && !rm.gone[child] {
			rm.describe(a.Join(e.Name()), child, fi)
		}
	}
	rm.lines = append(rm.lines, "removed directory "+quote(a.String()))
}

// commit removes what was planned for one volume.
func (r *remover) commit(rm *removal) {
	if rm.tx == nil || len(rm.gone) == 0 {
		return
	}
	if err := rm.tx.Commit(); err != nil {
		for _, err := range split(err) {
			r.errs = append(r.errs, locate(rm.root, err))
		}
		return
	}
	rm.done = true
}
