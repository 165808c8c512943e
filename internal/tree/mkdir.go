// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
)

// MkdirOptions are the options of nobodd-mkdir.
type MkdirOptions struct {
	Parents bool // make the directories above, too; one that exists is no error
	Verbose bool // print each directory that was made
	Force   bool // write to a volume in use
	NoSync  bool
}

// Mkdir makes the directories that the operands name, addresses as the user typed them.
// What concerns one of them only does not keep the others from being made.
func Mkdir(env Env, opt MkdirOptions, operands []string) error {
	addrs, errs := parseAll(operands, func(a addr.Addr) error {
		if a.Kind != addr.Inside {
			return errors.New("a path on this machine, where mkdir(1) makes directories")
		}
		return nil
	})
	m := &dirMaker{opt: opt, planned: map[string]bool{}}
	err := editImages(env, fat.TxOptions{Force: opt.Force, NoSync: opt.NoSync}, addrs, m.operand)
	return errors.Join(append(errs, err)...)
}

// dirMaker plans what is made.
type dirMaker struct {
	opt     MkdirOptions
	planned map[string]bool // keys of the directories that are to be made
}

// operand plans the directory that one operand names.
func (m *dirMaker) operand(e *edit, a addr.Addr) {
	v, err := e.volume(a)
	if err == nil {
		err = v.begin()
	}
	if err == nil {
		err = m.plan(v, a)
	}
	if err != nil {
		e.fail(a, err)
	}
}

// newDir is a directory that is to be made.
type newDir struct {
	addr addr.Addr
	key  string
}

// plan plans a and, with Parents, what is missing above it; nothing if one of them cannot be made.
func (m *dirMaker) plan(v *volumeEdit, a addr.Addr) error {
	dirs, err := m.missing(v, a)
	switch {
	case err != nil:
		return err
	case len(dirs) == 0 && !m.opt.Parents:
		return syscall.EEXIST
	case len(dirs) > 1 && !m.opt.Parents:
		return syscall.ENOENT
	}
	for _, d := range dirs {
		if err := fat.CheckName(path.Base(d.addr.Path)); err != nil {
			return err
		}
	}
	for _, d := range dirs {
		if err := v.tx.Mkdir(d.addr.Name(), time.Time{}); err != nil {
			return err
		}
		m.planned[d.key], v.changed = true, true
		if m.opt.Verbose {
			v.note("created directory %s", quote(d.addr.String()))
		}
	}
	return nil
}

// missing returns what is neither there nor planned of a and the directories above it, the
// uppermost first.
func (m *dirMaker) missing(v *volumeEdit, a addr.Addr) (dirs []newDir, err error) {
	fi, err := v.Stat(".")
	if err != nil {
		return nil, err
	}
	key := v.Key("", "", fi)
	at := a
	at.Path = "/"
	for at.Path != a.Path {
		part, _, _ := strings.Cut(strings.TrimPrefix(a.Path[len(at.Path):], "/"), "/")
		at.Path = path.Join(at.Path, part)
		fi, err = v.Stat(at.Name())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		key = v.Key(key, part, fi)
		switch {
		case fi == nil && !m.planned[key]:
			dirs = append(dirs, newDir{at, key})
		case fi == nil || fi.IsDir():
		case at.Path == a.Path:
			return nil, syscall.EEXIST
		default:
			return nil, fat.ErrNotDir
		}
	}
	return dirs, nil
}
