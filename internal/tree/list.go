// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/hostfs"
	"nobodd/internal/image"
)

// Entry is a file, directory or partition in a listing.
type Entry struct {
	Name string           // as it is shown: of an operand as typed, else the last element
	Addr string           // in the documented form
	Info fs.FileInfo      // nil for a partition
	Link string           // what a symbolic link of this machine leads to
	Part *image.Partition // nil for a file or directory
}

// Size returns the size in bytes; 0 for a directory of an image.
func (e *Entry) Size() int64 {
	if e.Part != nil {
		return e.Part.Size
	}
	return e.Info.Size()
}

// ModTime returns the time of the last change, in UTC. A partition has none.
func (e *Entry) ModTime() time.Time {
	if e.Part != nil {
		return time.Time{}
	}
	return e.Info.ModTime().UTC()
}

// Listing is what is in one directory, or the partitions of one image.
type Listing struct {
	Heading    string
	Entries    []Entry
	Partitions bool
}

// Listed is what was found at one operand: an entry of its own, and, of a directory or an
// image, what is in it.
type Listed struct {
	Entry
	Listings []Listing // nil for a file
}

// ListOptions say what List lists.
type ListOptions struct {
	All       bool          // names that begin with a dot too
	Recursive bool          // what is in the directories too
	Usage     bool          // of partitions: their free space, and whether they are in use
	Directory bool          // directories themselves, not what is in them
	Follow    bool          // an operand that is a symbolic link to a directory is that directory
	Sort      func([]Entry) // may be nil: as a directory has them
}

// List lists what text names: a file, a directory, the partitions of an image, or the files and
// directories that match a pattern, each under its address. Beside an error there may still be
// something. It prints nothing: whoever reads that may want to write to the image, which is
// locked until List returns.
func List(env Env, opt ListOptions, text string) ([]Listed, error) {
	a, err := addr.Parse(text, image.Look)
	if err != nil {
		return nil, err
	}
	if a.Kind == addr.Local || a.Kind == addr.Std {
		a.Kind, a.Path = addr.Local, text
		return operand(opt, hostfs.FS{}, a, a)
	}
	im, err := image.Open(a.Image, image.Read, env.Waiting(a.Image))
	if err != nil {
		return nil, failure(a, err)
	}
	defer im.Close()
	if a.Kind == addr.Whole {
		return partitions(im, a, opt.Usage)
	}
	fsys, num, err := im.Volume(a.Part)
	if err != nil {
		return nil, failure(a, err)
	}
	v := &volume{FS: fsys, num: num}
	if isPattern(a.Path) {
		return listMatches(opt, v, a)
	}
	if _, err = image.Lookup(fsys, a); err != nil {
		return nil, failure(a, err)
	}
	found := a
	found.Part = num
	return operand(opt, v, a, found)
}

// listMatches lists what matches the pattern a in the volume v.
func listMatches(opt ListOptions, v *volume, a addr.Addr) ([]Listed, error) {
	matches, err := expand(v, a)
	errs := []error{err}
	var list []Listed
	for _, m := range matches {
		found, err := operand(opt, v, m, m)
		list = append(list, found...)
		errs = append(errs, err)
	}
	return list, errors.Join(errs...)
}

// partitions lists those of the image that a names, with their usage if that is asked for.
func partitions(im *image.Image, a addr.Addr, usage bool) ([]Listed, error) {
	parts, err := im.Partitions()
	if usage {
		err = errors.Join(err, im.Measure(parts))
	}
	var errs []error
	if err != nil {
		for _, err := range joined(err) {
			errs = append(errs, failure(a, err))
		}
	}
	if err != nil && len(parts) == 0 {
		return nil, errors.Join(errs...)
	}
	list := Listing{Heading: a.Text, Partitions: true}
	for _, p := range parts {
		name := strings.TrimSuffix(addr.Addr{Kind: addr.Inside, Image: a.Image, Part: p.Num, Path: "/"}.String(), "/")
		list.Entries = append(list.Entries, Entry{Name: name, Addr: name, Part: &p})
	}
	head := Entry{Name: a.Text, Part: &image.Partition{Size: im.Size()}}
	return []Listed{{head, []Listing{list}}}, errors.Join(errs...)
}

// lister lists what is in one tree.
type lister struct {
	opt  ListOptions
	tree fs.FS
	list []Listing
	errs []error
}

func (l *lister) fail(a addr.Addr, err error) { l.errs = append(l.errs, failure(a, err)) }

// operand lists a of the tree fsys, which has the address found in the documented form. It returns
// nothing of a directory that cannot be read.
func operand(opt ListOptions, fsys fs.FS, a, found addr.Addr) ([]Listed, error) {
	l := &lister{opt: opt, tree: fsys}
	fi, err := l.lookup(a)
	if err != nil {
		return nil, failure(a, err)
	}
	op := Listed{Entry: Entry{Name: a.Text, Addr: found.String(), Info: fi, Link: l.link(a, fi)}}
	if opt.Directory || !fi.IsDir() {
		return []Listed{op}, nil
	}
	l.dir(found)
	if op.Listings = l.list; len(op.Listings) == 0 {
		return nil, errors.Join(l.errs...)
	}
	return []Listed{op}, errors.Join(l.errs...)
}

// lookup describes an operand: a symbolic link itself, but for one to a directory with Follow.
func (l *lister) lookup(a addr.Addr) (fs.FileInfo, error) {
	fi, err := fs.Lstat(l.tree, a.Name())
	if err != nil || fi.Mode().Type() != fs.ModeSymlink || !l.opt.Follow {
		return fi, err
	}
	if target, err := fs.Stat(l.tree, a.Name()); err == nil && target.IsDir() {
		return target, nil
	}
	return fi, nil
}

// link returns what a leads to if it is a symbolic link.
func (l *lister) link(a addr.Addr, fi fs.FileInfo) string {
	if fi.Mode().Type() != fs.ModeSymlink {
		return ""
	}
	target, _ := fs.ReadLink(l.tree, a.Name())
	return target
}

// dir lists the directory a, and what is below it.
func (l *lister) dir(a addr.Addr) {
	entries, err := l.readDir(a.Name())
	if err != nil {
		l.fail(a, err)
		if len(entries) == 0 {
			return
		}
	}
	list := Listing{Heading: a.Text}
	for _, d := range entries {
		if strings.HasPrefix(d.Name(), ".") && !l.opt.All {
			continue
		}
		child := a.Join(d.Name())
		fi, err := d.Info()
		if err != nil {
			l.fail(child, err)
			continue
		}
		entry := Entry{Name: d.Name(), Addr: child.String(), Info: fi, Link: l.link(child, fi)}
		list.Entries = append(list.Entries, entry)
	}
	if l.opt.Sort != nil {
		l.opt.Sort(list.Entries)
	}
	l.list = append(l.list, list)
	if !l.opt.Recursive {
		return
	}
	for _, e := range list.Entries {
		if e.Info.IsDir() {
			l.dir(a.Join(e.Name))
		}
	}
}

// readDir reads a directory in its own order. Beside an error it returns what is sound.
func (l *lister) readDir(name string) ([]fs.DirEntry, error) {
	f, err := l.tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, fat.ErrNotDir
	}
	return dir.ReadDir(-1)
}
