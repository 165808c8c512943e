// SPDX-License-Identifier: GPL-3.0-or-later

// Package tree reads, copies, moves, makes and removes over one small view of a directory tree, this
// machine's or a FAT volume's: what the commands do to the addresses they are given.
//
// The failure of an operand is an *addr.Error with the address as the user typed it,
// several of them joined with errors.Join.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/hostfs"
	"nobodd/internal/image"
)

// Tree is a directory tree to look at, to read from and to write to. Names are those of
// addr.Addr.Name. Stat follows symbolic links; ReadDir returns, beside an error too, what
// is sound of a directory, sorted by name.
type Tree interface {
	fs.StatFS
	fs.ReadDirFS
	// Key returns the identity of the file or directory that fi describes: the same for all
	// its names, another one for any other of any tree. With a nil fi it is that of one yet
	// to be made, base in the directory with the key dir.
	Key(dir, base string, fi fs.FileInfo) string
	// TimeStep is what the times of files are cut to when they are written; 0 if to nothing.
	TimeStep() time.Duration
	// Begin starts a transaction on the tree.
	Begin(opt fat.TxOptions) (Tx, error)
}

// Tx collects changes to a tree and makes them at Commit; *fat.Tx and *hostfs.Tx say how.
type Tx interface {
	WriteFile(name string, src fat.Source) error
	Mkdir(name string, modTime time.Time) error
	Commit() error
}

// Env is what a command hands over of its process.
type Env interface {
	Stdin() io.Reader
	Stdout() io.Writer
	Waiting(image string) func()     // returns what announces the wait for the lock of image
	Warn(format string, args ...any) // prints a line that is no error
	// Progress shows how much of total bytes (0: nobody knows) is done, until end.
	Progress(total int64) (add func(n int64), end func())
	OnSignal(tidy func()) (done func()) // has tidy called should a signal end the process before done
}

// host is this machine as a Tree.
type host struct{ hostfs.FS }

func (h host) Begin(opt fat.TxOptions) (Tx, error) { return h.FS.Begin(opt), nil }

// place is a file or directory of a tree, or where one may be made.
type place struct {
	tree Tree
	addr addr.Addr
	key  string
}

// name is the name of p in its tree.
func (p place) name() string { return p.addr.Name() }

// stat describes what is at p, nil if there is nothing.
func (p place) stat() (fs.FileInfo, error) {
	fi, err := p.tree.Stat(p.name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return fi, err
}

// child returns the place of base in the directory p, and what is there, nil if nothing.
func (p place) child(base string) (place, fs.FileInfo, error) {
	c := place{tree: p.tree, addr: p.addr.Join(base)}
	fi, err := c.stat()
	c.key = p.tree.Key(p.key, base, fi)
	return c, fi, err
}

// newChild returns the place of base in the directory p, where nothing is yet.
func (p place) newChild(base string) place {
	return place{p.tree, p.addr.Join(base), p.tree.Key(p.key, base, nil)}
}

// Parse reads an address that may name a file or directory: not a whole image.
func Parse(text string) (addr.Addr, error) {
	a, err := addr.Parse(text, image.Look)
	if err == nil && a.Kind == addr.Whole {
		err = fmt.Errorf("this is the image itself (%s/ is the root directory of its boot partition)", a)
		return a, failure(a, err)
	}
	return a, err
}

// parseAll reads the operands of a command. It returns the addresses that refuse, which may be
// nil, says nothing against, and what is wrong with the others.
func parseAll(operands []string, refuse func(addr.Addr) error) (addrs []addr.Addr, errs []error) {
	for _, text := range operands {
		a, err := Parse(text)
		if err == nil && refuse != nil {
			err = failure(a, refuse(a))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		addrs = append(addrs, a)
	}
	return addrs, errs
}

// errInUse is fat.ErrInUse and the way out.
var errInUse = fmt.Errorf("%w: shut its board down first; --force writes all the same", fat.ErrInUse)

// failure is err as that of the operand a. It is the one place where what a tree below
// says of its half of the address is swapped for the address; nil stays nil.
func failure(a addr.Addr, err error) error { return failureOf(a.Text, err) }

func failureOf(text string, err error) error {
	if err == nil {
		return nil
	}
	return &addr.Error{Text: text, Err: cause(err)}
}

// cause is err without operation and path, in the words of errno(3).
func cause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return cause(e.Err)
	case *os.LinkError:
		return cause(e.Err)
	case *os.SyscallError:
		return cause(e.Err)
	}
	switch err {
	case fs.ErrNotExist:
		return syscall.ENOENT
	case fs.ErrExist:
		return syscall.EEXIST
	case fs.ErrInvalid:
		return syscall.EINVAL
	case io.ErrUnexpectedEOF:
		return errEnd
	}
	return err
}

var errEnd = errors.New("unexpected end of file")

// located is err, met in writing the tree that a is in, as the failure of the address
// where it happened: a itself, unless err has a path.
func located(a addr.Addr, err error) error {
	pe := (*fs.PathError)(nil)
	switch {
	case !errors.As(err, &pe):
		return failure(a, err)
	case a.Kind == addr.Local:
		return failureOf(pe.Path, pe)
	}
	a.Path = "/"
	return failureOf(a.Join(pe.Path).String(), pe)
}

// joined returns the errors that err, made by errors.Join if there are several, joins.
func joined(err error) []error {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		return list.Unwrap()
	}
	return []error{err}
}
