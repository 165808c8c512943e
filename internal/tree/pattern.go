// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
)

// expand returns the addresses that a, whose path in the volume v is a pattern, stands for, sorted
// by their bytes. The errors are failures: of the pattern if nothing matches (fs.ErrNotExist), else one of
// each directory that is damaged, beside which there may be matches.
//
// A directory that is reached more than once, through the loops of a damaged image, is looked
// through once for each element of the pattern: so the work is bounded by what the volume holds.
func expand(v *volume, a addr.Addr) ([]addr.Addr, error) {
	found := []string{"."}
	var errs []error
	elements := strings.Split(a.Name(), "/")
	for i, element := range elements {
		m := matcher{v: v, element: element, dirs: i < len(elements)-1 || a.Slash, seen: map[string]bool{}}
		for _, dir := range found {
			if err := m.match(dir); err != nil {
				errs = append(errs, located(a, err))
			}
		}
		found = m.found
	}
	slices.Sort(found)
	if len(found) == 0 && len(errs) == 0 {
		return nil, failure(a, fs.ErrNotExist)
	}
	matches := make([]addr.Addr, len(found))
	for i, name := range found {
		m := addr.Addr{Kind: addr.Inside, Image: a.Image, Part: v.num, Path: "/" + name, Slash: a.Slash}
		m.Text = m.String()
		if a.Slash {
			m.Text += "/"
		}
		matches[i] = m
	}
	return matches, errors.Join(errs...)
}

// errTwin says of an entry that its name finds another one, which is damage.
var errTwin = errors.New("two entries have this name; rename or remove the first to reach the second")

// isTwin reports whether the name of entries[i] finds the one before it: they are sorted.
func isTwin(entries []fs.DirEntry, i int) bool {
	return i > 0 && entries[i].Name() == entries[i-1].Name()
}

// matcher finds what matches one element of a pattern.
type matcher struct {
	v       *volume
	element string
	dirs    bool            // only directories do
	seen    map[string]bool // keys of what was found
	found   []string        // names of io/fs
}

// match adds what matches in the directory dir.
func (m *matcher) match(dir string) error {
	if !isPattern(m.element) {
		name := path.Join(dir, m.element)
		fi, err := m.v.Stat(name)
		switch {
		case err == nil:
			m.add(name, fi)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		return nil
	}
	entries, err := m.v.ReadDir(dir)
	folded, pattern := fat.Fold(m.element), compileGlob(m.element)
	matches := func(e fs.DirEntry) bool { return pattern.match(e.Name()) }
	named := func(e fs.DirEntry) bool { return fat.Fold(e.Name()) == folded }
	if slices.ContainsFunc(entries, named) { // "[" may stand in names
		matches = named
	}
	for i, e := range entries {
		if !matches(e) {
			continue
		}
		if isTwin(entries, i) {
			err = errors.Join(err, &fs.PathError{Op: "open", Path: path.Join(dir, e.Name()), Err: errTwin})
			continue
		}
		fi, ierr := e.Info()
		if ierr != nil {
			err = errors.Join(err, ierr)
			continue
		}
		m.add(path.Join(dir, e.Name()), fi)
	}
	return err
}

// add adds name, which fi describes, unless it was found before.
func (m *matcher) add(name string, fi fs.FileInfo) {
	key := m.v.Key("", "", fi)
	if m.dirs && !fi.IsDir() || m.seen[key] {
		return
	}
	m.seen[key] = true
	m.found = append(m.found, name)
}
