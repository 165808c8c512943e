// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/image"
	"nobodd/internal/tool"
)

// entry is one line of a listing: a file, a directory or a partition.
type entry struct {
	name string // as it is shown
	addr string // in the documented form
	info fs.FileInfo
	link string           // what a symbolic link of this machine leads to
	part *image.Partition // then info is nil
}

func (e entry) size() int64 {
	if e.part != nil {
		return e.part.Size
	}
	return e.info.Size()
}

// modTime is the time of the last change, in UTC. A partition has none.
func (e entry) modTime() time.Time {
	if e.part != nil {
		return time.Time{}
	}
	return e.info.ModTime().UTC()
}

// listing is what is in one directory, or the partitions of one image.
type listing struct {
	heading    string
	entries    []entry
	partitions bool
}

// operand is what was found under one address of the command line.
type operand struct {
	entry
	listings []listing // nil for a file
}

// lister collects what the operands name. It prints nothing: whoever reads the output
// may want to write to an image that would still be locked.
type lister struct {
	all, recursive, directory bool
	follow                    bool // an operand that is a link to a directory
	order                     order
	report                    func(error)
	waiting                   func(path string) func()
}

// list gives the files among the operands, and the directories and images, each in order.
func (l *lister) list(texts []string) (files []entry, dirs []listing) {
	lists := map[string][]listing{}
	var heads []entry
	for _, text := range texts {
		op, err := l.look(text)
		if err != nil {
			l.report(err)
		}
		switch {
		case op == nil:
		case op.listings == nil:
			files = append(files, op.entry)
		default:
			heads = append(heads, op.entry)
			lists[text] = op.listings
		}
	}
	l.order.sort(files)
	l.order.sort(heads)
	for _, head := range heads {
		dirs = append(dirs, lists[head.name]...)
	}
	return files, dirs
}

// look finds out what text names. Beside an error there may still be something.
func (l *lister) look(text string) (*operand, error) {
	a, err := addr.Parse(text, image.IsFile)
	if err != nil {
		return nil, err
	}
	if a.Kind == addr.Local || a.Kind == addr.Std {
		return l.walk(local{follow: l.follow}, text, text, addr.Addr{Kind: addr.Local, Path: text})
	}
	im, err := image.Open(a.Image, image.Read, l.waiting(a.Image))
	if err != nil {
		return nil, tool.At(text, err)
	}
	defer im.Close()
	if a.Kind == addr.Whole {
		return partitions(im, a)
	}
	volume, num, err := im.Volume(a.Part)
	if err != nil {
		return nil, tool.At(text, err)
	}
	a.Part = num
	op, err := l.walk(fatTree{volume}, a.Name(), text, a)
	if op != nil && a.Slash && !op.info.IsDir() {
		return nil, tool.At(text, syscall.ENOTDIR)
	}
	return op, err
}

// partitions lists those of the image that a names.
func partitions(im *image.Image, a addr.Addr) (*operand, error) {
	parts, err := im.Partitions()
	if err != nil && len(parts) == 0 {
		return nil, tool.At(a.Text, err)
	}
	list := listing{heading: a.Text, partitions: true}
	for _, p := range parts {
		name := strings.TrimSuffix(addr.Addr{Kind: addr.Inside, Image: a.Image, Part: p.Num, Path: "/"}.String(), "/")
		list.entries = append(list.entries, entry{name: name, addr: name, part: &p})
	}
	head := entry{name: a.Text, part: &image.Partition{Size: im.Size()}}
	return &operand{head, []listing{list}}, tool.At(a.Text, err)
}

// source is a directory tree to list.
type source interface {
	Lstat(name string) (fs.FileInfo, error)
	// ReadDir gives what is sound even beside an error, in the tree's own order.
	ReadDir(name string) ([]fs.DirEntry, error)
	Readlink(name string) string
	Join(dir, base string) string
}

// walk lists name, which text names on the command line and a is the address of.
func (l *lister) walk(tree source, name, text string, a addr.Addr) (*operand, error) {
	info, err := tree.Lstat(name)
	if err != nil {
		return nil, tool.At(text, err)
	}
	op := &operand{entry: entry{name: text, addr: a.String(), info: info, link: linkOf(tree, name, info)}}
	if l.directory || !info.IsDir() {
		return op, nil
	}
	a.Text = text
	l.descend(tree, name, a, op)
	if len(op.listings) == 0 { // it could not be read, which was reported
		return nil, nil
	}
	return op, nil
}

// descend adds the directory name to the listings of op, and what is below it.
func (l *lister) descend(tree source, name string, a addr.Addr, op *operand) {
	dirEntries, err := tree.ReadDir(name)
	if err != nil {
		l.report(tool.At(a.Text, err))
		if len(dirEntries) == 0 {
			return
		}
	}
	list := listing{heading: a.Text}
	for _, d := range dirEntries {
		if strings.HasPrefix(d.Name(), ".") && !l.all {
			continue
		}
		child := a.Join(d.Name())
		info, err := d.Info()
		if err != nil {
			l.report(tool.At(child.Text, err))
			continue
		}
		below := tree.Join(name, d.Name())
		list.entries = append(list.entries, entry{d.Name(), child.String(), info, linkOf(tree, below, info), nil})
	}
	l.order.sort(list.entries)
	op.listings = append(op.listings, list)
	if !l.recursive {
		return
	}
	for _, e := range list.entries {
		if e.info.IsDir() {
			l.descend(tree, tree.Join(name, e.name), a.Join(e.name), op)
		}
	}
}

func linkOf(tree source, name string, info fs.FileInfo) string {
	if info.Mode().Type() != fs.ModeSymlink {
		return ""
	}
	return tree.Readlink(name)
}

// local is this machine's tree.
type local struct{ follow bool }

func (t local) Lstat(name string) (fs.FileInfo, error) {
	info, err := os.Lstat(name)
	if err != nil || info.Mode().Type() != fs.ModeSymlink || !t.follow {
		return info, err
	}
	if target, err := os.Stat(name); err == nil && target.IsDir() {
		return target, nil
	}
	return info, nil
}

func (local) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (local) Readlink(name string) string {
	target, _ := os.Readlink(name)
	return target
}

func (local) Join(dir, base string) string { return strings.TrimSuffix(dir, "/") + "/" + base }

// fatTree is a FAT volume.
type fatTree struct{ fs.StatFS }

func (t fatTree) Lstat(name string) (fs.FileInfo, error) { return t.Stat(name) }

func (t fatTree) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, errors.New("not a directory")
	}
	return dir.ReadDir(-1)
}

func (t fatTree) Readlink(string) string       { return "" }
func (t fatTree) Join(dir, base string) string { return path.Join(dir, base) }
