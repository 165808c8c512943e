// SPDX-License-Identifier: GPL-3.0-or-later

// Package tree copies and removes files over one small view of a directory tree,
// this machine's or a FAT volume's. nobodd-cp, nobodd-rm and nobodd-cat meet here.
//
// What concerns one operand is reported as an *fs.PathError whose Path is the
// address as the user typed it, several of them joined with errors.Join.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/image"
)

// Tree is a directory tree to look at, to read from and to write to. Names are as
// the tree has them: paths of this machine, or names of io/fs.
type Tree interface {
	// Stat describes a file or directory; symbolic links are followed.
	Stat(name string) (fs.FileInfo, error)
	// ReadDir gives what is in a directory, sorted by name, what is sound of it even
	// beside an error. The Info of an entry follows symbolic links.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Open opens a file to read.
	Open(name string) (io.ReadCloser, error)
	// Join gives the name of base in the directory dir.
	Join(dir, base string) string
	// Key is the same for all the names of one file or directory of any tree and
	// differs between two. It is an error if there is none of that name.
	Key(name string) (string, error)
	// ChildKey gives the key of base in a directory whose key is dir. fi is what Stat
	// gave for it, nil if there is none of that name yet.
	ChildKey(dir, base string, fi fs.FileInfo) string
	// Above gives the keys of the directory name and of all directories above it.
	Above(name string) (map[string]bool, error)
	// Begin starts a transaction on the tree.
	Begin(opt fat.TxOptions) (Tx, error)
}

// Tx collects changes to a tree and makes them at Commit; *fat.Tx says how.
type Tx interface {
	WriteFile(name string, src fat.Source) error
	Mkdir(name string, modTime time.Time) error
	Commit() error
}

// Env is what a command hands over of its process.
type Env struct {
	Stdin    io.Reader
	Stdout   io.Writer                        // lines of Verbose
	Waiting  func(image string) func()        // gives what announces the wait for the lock of image
	Warn     func(format string, args ...any) // prints a line that is no error
	OnSignal func(tidy func()) (done func())  // has tidy called should a signal end the process before done
}

// place is a name in a tree.
type place struct {
	tree Tree
	name string
	key  string
	addr addr.Addr
}

// child gives the place of base below p. fi is what Stat gave for it, or nil.
func (p place) child(base string, fi fs.FileInfo) place {
	name := p.tree.Join(p.name, base)
	a := addr.Addr{Text: name, Path: name} // one string: there may be many thousands of places
	if p.addr.Kind != addr.Local {
		a = p.addr.Join(base)
	}
	return place{p.tree, name, p.tree.ChildKey(p.key, base, fi), a}
}

// fail is an error of one operand.
func fail(a addr.Addr, err error) error {
	return &fs.PathError{Op: "access", Path: a.Text, Err: err}
}

// errWhole is the cause for the address of an image where a file is wanted.
func errWhole(a addr.Addr) error {
	return fmt.Errorf("this is the image itself (%s/ is the root directory of its boot partition)", a)
}

// Parse reads an address that may name a file or directory: not a whole image.
func Parse(text string) (addr.Addr, error) {
	a, err := addr.Parse(text, image.IsFile)
	if err == nil && a.Kind == addr.Whole {
		err = fail(a, errWhole(a))
	}
	return a, err
}

func isBlock(fi fs.FileInfo) bool {
	return fi.Mode().Type() == fs.ModeDevice
}

var (
	errNotDir = fat.ErrNotDir
	errIsDir  = fat.ErrIsDir
	// errInUse is fat.ErrInUse and the way out.
	errInUse = fmt.Errorf("%w; --force writes all the same", fat.ErrInUse)
)

// split undoes errors.Join.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, split(err)...)
	}
	if errors.Join(errs...).Error() != err.Error() { // fmt.Errorf with two %w
		return []error{err}
	}
	return errs
}

// locate says where err, met in writing the tree that a is in, happened: a itself,
// unless the error has a path.
func locate(a addr.Addr, err error) error {
	pe := (*fs.PathError)(nil)
	switch {
	case !errors.As(err, &pe):
		return fail(a, err)
	case a.Kind == addr.Local:
		return pe
	}
	a.Path = "/"
	return &fs.PathError{Op: pe.Op, Path: a.Join(pe.Path).String(), Err: pe.Err}
}
