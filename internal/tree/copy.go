// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/hostfs"
	"nobodd/internal/image"
)

// CopyOptions are the options of nobodd-cp.
type CopyOptions struct {
	Recursive   bool // copy directories
	IntoDir     bool // DEST must be an existing directory (-t)
	NoTargetDir bool // DEST is what to write even if it is a directory (-T)
	NoClobber   bool // skip files that exist
	Update      bool // skip files that exist and are not older
	Preserve    bool // keep modification times
	Verbose     bool // print each copy
	Force       bool // write to a volume in use, and over files that may not be written
	NoSync      bool
	InPlace     bool
}

// Copy copies the sources to dest, all of them addresses as the user typed them; "-"
// as the only source is standard input. What concerns one source only does not keep
// the others from being copied.
//
// Everything is planned before anything is written, with the images of both sides
// locked, and then written in one transaction.
func Copy(env Env, opt CopyOptions, sources []string, dest string) (err error) {
	to, err := Parse(dest)
	if err != nil {
		return err
	}
	c := newCopier(env, opt)
	from, errs := parseAll(sources, nil)
	c.errs = errs
	spool := Spool{Dest: to}
	defer spool.Close()
	if len(from) == 1 && from[0].Kind == addr.Std && !opt.IntoDir {
		if _, err := io.Copy(&spool, env.Stdin()); spool.err != nil {
			return spool.err
		} else if err != nil {
			return failure(from[0], err)
		}
	}
	for _, a := range from {
		c.images.want(a, image.Read)
	}
	defer c.close(&err)
	if err := c.begin(to); err != nil {
		return errors.Join(append(c.errs, err)...)
	}
	failed := len(sources) - len(from)
	from, unmatched := c.expand(from)
	into, err := c.dest.into(len(from)+unmatched+failed > 1, c.opt.IntoDir, c.opt.NoTargetDir)
	if err != nil {
		return errors.Join(append(c.errs, err)...)
	}
	for _, a := range from {
		if a.Kind == addr.Std {
			c.stdin(a, &spool, into)
		} else {
			c.source(a, into)
		}
	}
	return c.commit()
}

// Write writes what spool holds to its Dest, the address of a file, as Copy writes standard
// input. A fifo or device of this machine is written to.
func Write(env Env, opt CopyOptions, spool *Spool) (err error) {
	to := spool.Dest
	if to.Kind == addr.Local {
		if image.IsDevice(to.Path) {
			return failure(to, image.ErrIsDevice(to.Text))
		}
		if w, err := hostfs.OpenSpecial(to.Path); w != nil || err != nil {
			return failure(to, spool.pour(w, err))
		}
	}
	c := newCopier(env, opt)
	defer c.close(&err)
	if err := c.begin(to); err != nil {
		return err
	}
	if c.dest.info != nil && c.dest.info.IsDir() {
		return failure(to, fat.ErrIsDir)
	}
	c.stdin(addr.Addr{Text: "-", Kind: addr.Std}, spool, false)
	return c.commit()
}

// copier plans and makes one copy.
type copier struct {
	env    Env
	opt    CopyOptions
	images *images

	dest target
	tx   Tx

	planned  map[string]bool // keys of what is to be written; true: a directory
	reads    map[string]bool // with InPlace, keys of the files that are read
	given    map[string]bool // keys and names of the sources given
	srcDirs  []string        // keys of the source directories around the present one
	dstDirs  []string        // keys of what they are copied to
	progress progress
	total    int64         // bytes of all that is to be written
	copied   func(n int64) // called as they are, by tell
	tell     func(n int64) // the Copied of all sources
	errs     []error
}

func newCopier(env Env, opt CopyOptions) *copier {
	c := &copier{
		env:     env,
		opt:     opt,
		images:  newImages(env),
		planned: map[string]bool{},
		reads:   map[string]bool{},
		given:   map[string]bool{},
	}
	c.tell = func(n int64) { c.copied(n) }
	return c
}

func (c *copier) fail(a addr.Addr, err error) { c.errs = append(c.errs, failure(a, err)) }

// close unlocks the images and prints what was done.
func (c *copier) close(err *error) {
	*err = errors.Join(*err, c.images.close())
	c.progress.print(c.env.Stdout())
}

// expand returns what the sources stand for, and how many of them for nothing.
func (c *copier) expand(sources []addr.Addr) (from []addr.Addr, unmatched int) {
	for _, a := range sources {
		matches, err := c.images.expand(a)
		if err != nil {
			c.errs = append(c.errs, err)
		}
		if len(matches) == 0 {
			unmatched++
		}
		from = append(from, matches...)
	}
	return from, unmatched
}

// begin opens all images, finds out what there is at dest, and starts the transaction.
func (c *copier) begin(to addr.Addr) error {
	c.images.want(to, image.Write)
	c.images.open()
	dest, err := c.images.target(to)
	c.dest = dest
	if err == nil {
		c.tx, err = c.dest.tree.Begin(fat.TxOptions{Force: c.opt.Force, NoSync: c.opt.NoSync, InPlace: c.opt.InPlace})
	}
	return failure(to, err)
}

// target is the destination of a command.
type target struct {
	place
	info  fs.FileInfo     // nil: there is none yet
	above map[string]bool // keys of the directories that hold it, and of itself if it is one
}

// target finds what to names and the directory that it is in, or that it is.
func (ims *images) target(to addr.Addr) (t target, err error) {
	if t.place, t.info, err = ims.find(to); err != nil {
		return t, err
	}
	dir := t.place
	if t.info == nil || !t.info.IsDir() {
		dir.addr = dirOf(to)
		fi, err := dir.tree.Stat(dir.name())
		if err != nil {
			return t, err
		}
		dir.key = dir.tree.Key("", "", fi)
	}
	if t.info == nil {
		t.key = dir.tree.Key(dir.key, path.Base(t.name()), nil)
	}
	t.above, err = above(dir)
	return t, err
}

// dirOf returns the address of the directory that a is in.
func dirOf(a addr.Addr) addr.Addr {
	if a.Kind == addr.Local {
		a.Path = hostfs.Dir(a.Path)
	} else {
		a.Path = path.Dir(a.Path)
	}
	return a
}

// above returns the keys of the directory dir and of all directories above it.
func above(dir place) (map[string]bool, error) {
	keys := map[string]bool{}
	for !keys[dir.key] { // the root directory is above itself
		keys[dir.key] = true
		dir.addr = dir.addr.Join("..")
		fi, err := dir.tree.Stat(dir.name())
		if err != nil {
			return nil, err
		}
		dir.key = dir.tree.Key("", "", fi)
	}
	return keys, nil
}

// into reports whether the sources, several or one, go into the directory t rather than in its
// place. intoDir (-t) requires a directory, noTargetDir (-T) never goes into one.
func (t target) into(several, intoDir, noTargetDir bool) (bool, error) {
	switch {
	case noTargetDir:
		return false, nil
	case t.info != nil && t.info.IsDir():
		return true, nil
	case !several && !intoDir:
		return false, nil
	case t.info == nil:
		return false, failure(t.addr, fs.ErrNotExist)
	}
	return false, failure(t.addr, fat.ErrNotDir)
}

// source plans the copy of one source.
func (c *copier) source(a addr.Addr, into bool) {
	src, fi, err := c.images.find(a)
	if err == nil && fi == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		c.fail(a, err)
		return
	}
	base := lastName(a)
	given := src.key + "/" + base
	if c.given[given] {
		c.env.Warn("warning: source file %s specified more than once", quote(a.Text))
		return
	}
	c.given[given] = true
	if !into || base == "" {
		c.copy(src, fi, c.dest.place, c.dest.info)
		return
	}
	dst, di, err := c.dest.child(base)
	if err != nil {
		c.fail(dst.addr, err)
		return
	}
	c.copy(src, fi, dst, di)
}

// lastName is the name that the source a gets in a directory; "" says that it has none
// and goes where the directory is: the root, or an address that ends in "." or "..".
func lastName(a addr.Addr) string {
	typed := path.Base(a.Text)
	if typed == "." || typed == ".." {
		return ""
	}
	name := path.Base(a.Path)
	if name == "/" {
		return ""
	}
	return name
}

// commit makes what was planned and returns all that went wrong.
func (c *copier) commit() error {
	if len(c.planned) == 0 {
		return errors.Join(c.errs...)
	}
	copied, end := c.env.Progress(c.total)
	c.copied = copied
	err := c.tx.Commit()
	end()
	var none *fat.NoSpaceError
	switch {
	case err == nil:
		c.progress.finish()
	case errors.As(err, &none):
		c.fail(c.dest.addr, none)
	default:
		for _, err := range joined(err) {
			c.errs = append(c.errs, located(c.dest.addr, err))
		}
	}
	return errors.Join(c.errs...)
}

// stdin plans the copy of standard input, which spool holds; it counts as changed just now.
func (c *copier) stdin(a addr.Addr, spool *Spool, into bool) {
	if into {
		dir := quote(c.dest.addr.Text)
		c.fail(a, fmt.Errorf("standard input needs the name of a file to write, not the directory %s", dir))
		return
	}
	if c.keeps(c.dest.place, c.dest.info) || c.opt.Update && spool.olderThan(c.dest.info) {
		return
	}
	err := c.refuses(c.dest.place, c.dest.info, a)
	if err == nil {
		err = slip(c.dest.place, c.dest.info, spool.holdsDisk)
	}
	if err != nil {
		c.fail(c.dest.addr, err)
		return
	}
	s := spool.source()
	s.Done = c.done(a, c.dest.place)
	c.write(c.dest.place, s)
}
