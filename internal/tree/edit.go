// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// edit changes what images hold, which are locked for that: the names in their volumes.
type edit struct {
	env     Env
	opt     fat.TxOptions
	images  *images
	volumes []*volumeEdit
	errs    []error
}

// volumeEdit is what an edit changes in one volume, in one transaction.
type volumeEdit struct {
	*volume
	root    addr.Addr // any address in it, which an error without a path names
	opt     fat.TxOptions
	tx      *fat.Tx // nil until begin
	meter   meter
	changed bool // something is planned
	lines   []string
	done    bool
}

// editImages has plan called with each operand, all of them in images, and makes what it
// planned, once it is known that all of it fits. What concerns one operand does not keep the
// others from being done; the error joins all that went wrong.
func editImages(env Env, opt fat.TxOptions, operands []addr.Addr, plan func(*edit, addr.Addr)) error {
	e := &edit{env: env, opt: opt, images: newImages(env)}
	for _, a := range operands {
		e.images.want(a, image.Write)
	}
	e.images.open()
	for _, a := range operands {
		plan(e, a)
	}
	if e.prepare() {
		for _, v := range e.volumes {
			e.commit(v)
		}
	}
	if err := e.images.close(); err != nil {
		e.errs = append(e.errs, err)
	}
	for _, v := range e.volumes {
		v.print(e.env)
	}
	return errors.Join(e.errs...)
}

// prepare finds a place for what was planned, and reports whether the changes are to be made:
// none of them if one volume has no space.
func (e *edit) prepare() bool {
	for _, v := range e.volumes {
		if !v.changed {
			continue
		}
		err := v.tx.Prepare()
		if err == nil {
			continue
		}
		v.changed = false
		e.errs = append(e.errs, located(v.root, err))
		if none := (*fat.NoSpaceError)(nil); errors.As(err, &none) {
			return false
		}
	}
	return true
}

func (e *edit) fail(a addr.Addr, err error) { e.errs = append(e.errs, failure(a, err)) }

// volume returns the edit of the volume that a is in.
func (e *edit) volume(a addr.Addr) (*volumeEdit, error) {
	v, err := e.images.volume(a)
	if err != nil {
		return nil, err
	}
	for _, ve := range e.volumes {
		if ve.volume == v {
			return ve, nil
		}
	}
	ve := &volumeEdit{volume: v, root: a, opt: e.opt, meter: meter{env: e.env}}
	ve.opt.Progress = ve.meter.show
	e.volumes = append(e.volumes, ve)
	return ve, nil
}

// begin starts the transaction of the volume, if it is not yet.
func (v *volumeEdit) begin() (err error) {
	if v.tx == nil {
		v.tx, err = v.volume.begin(v.opt)
	}
	return err
}

// note notes a line that is to be printed once the changes are made.
func (v *volumeEdit) note(format string, args ...any) {
	v.lines = append(v.lines, fmt.Sprintf(format, args...))
}

// commit makes what was planned for one volume.
func (e *edit) commit(v *volumeEdit) {
	if !v.changed {
		return
	}
	err := v.tx.Commit()
	v.meter.close()
	if err != nil {
		e.errs = append(e.errs, located(v.root, err))
		return
	}
	v.done = true
}

// meter shows how much of the data that a move copies is copied, from the first piece on.
type meter struct {
	env  Env
	add  func(n int64)
	end  func()
	done int64
}

func (m *meter) show(done, total int64) {
	if m.add == nil {
		m.add, m.end = m.env.Progress(total)
	}
	m.add(done - m.done)
	m.done = done
}

func (m *meter) close() {
	if m.end != nil {
		m.end()
	}
}

// print prints what was done, now that no lock is held: whoever reads it may want the lock.
func (v *volumeEdit) print(env Env) {
	if !v.done {
		return
	}
	for _, line := range v.lines {
		fmt.Fprintln(env.Stdout(), line)
	}
}
