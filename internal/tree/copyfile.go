// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/hostfs"
	"nobodd/internal/image"
)

// copy plans the copy of src to dst, where di is (nil: nothing).
func (c *copier) copy(src place, fi fs.FileInfo, dst place, di fs.FileInfo) {
	switch {
	case fi.IsDir() && !c.opt.Recursive:
		c.fail(src.addr, errors.New("-r not specified; omitting directory"))
	case fi.IsDir():
		c.dir(src, fi, dst, di)
	case !fi.Mode().IsRegular():
		c.fail(src.addr, fmt.Errorf("is a %s, not a file or directory (- is standard input)", hostfs.Kind(fi.Mode())))
	default:
		c.file(src, fi, dst, di)
	}
}

// file plans the copy of the file src to dst.
func (c *copier) file(src place, fi fs.FileInfo, dst place, di fs.FileInfo) {
	switch {
	case c.keeps(dst, di):
		return
	case src.key == dst.key:
		c.fail(src.addr, fmt.Errorf("the same file as %s", quote(dst.addr.Text)))
		return
	case c.opt.Update && di != nil && !di.IsDir() && !c.newer(src, fi, dst, di):
		return
	}
	err := c.refuses(dst, di, src.addr)
	if err == nil {
		err = slip(dst, di, func() bool { return src.holdsDisk(fi.Size()) })
	}
	if err != nil {
		c.fail(dst.addr, err)
		return
	}
	if err := c.readable(src, fi); err != nil {
		c.fail(src.addr, err)
		return
	}
	if c.write(dst, c.plan(src, fi, dst)) && c.opt.InPlace {
		c.reads[src.key] = true
	}
}

// keeps reports whether what is at dst, or planned to be, is to stay.
func (c *copier) keeps(dst place, di fs.FileInfo) bool {
	isDir, twice := c.planned[dst.key]
	return c.opt.NoClobber && (di != nil || twice && !isDir)
}

// refuses says why the file from cannot be written to dst, where di is.
func (c *copier) refuses(dst place, di fs.FileInfo, from addr.Addr) error {
	isDir, twice := c.planned[dst.key]
	switch {
	case di != nil && di.IsDir() || isDir:
		return fmt.Errorf("cannot overwrite directory with non-directory %s", quote(from.Text))
	case dst.addr.Slash:
		return fat.ErrNotDir
	case twice:
		return fmt.Errorf("will not overwrite just-created file with %s", quote(from.Text))
	case c.images.holds(dst, di):
		example := addr.Addr{Kind: addr.Inside, Image: dst.addr.Path, Part: 1, Path: "/"}
		return fmt.Errorf("is an image of this command; a file in it has an address like %s", example)
	case c.reads[dst.key]:
		return errors.New("is read by this very command")
	}
	return nil
}

// slip refuses to write a file over a block device of this machine, and over a disk image unless
// the source is one too: whoever meant a place in it would lose all of it.
func slip(dst place, di fs.FileInfo, isDisk func() bool) error {
	switch {
	case dst.addr.Kind != addr.Local || di == nil:
	case image.IsDevice(dst.name()):
		return image.ErrIsDevice(dst.addr.Text)
	case image.IsDisk(dst.name()) && !isDisk():
		return image.ErrIsDisk(dst.name(), dst.addr.Text)
	}
	return nil
}

// holdsDisk reports whether the file at p, of size bytes, is a disk image.
func (p place) holdsDisk(size int64) bool {
	f, err := p.tree.Open(p.name())
	if err != nil {
		return false
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	return ok && image.HoldsDisk(r, size)
}

// readable says what keeps a source from being read, as far as that can be known
// before: a damaged file must not be counted among those that need space.
// Files of /proc that show no size are refused, too.
func (c *copier) readable(src place, fi fs.FileInfo) error {
	if c.images.holds(src, fi) {
		return errors.New("is an image of this command")
	}
	if _, ok := c.planned[src.key]; ok {
		return errors.New("is written by this very command")
	}
	if src.addr.Kind == addr.Local && fi.Size() > 0 {
		return hostfs.Readable(src.name(), fi)
	}
	r, err := src.tree.Open(src.name())
	if err != nil {
		return err
	}
	defer r.Close()
	if src.addr.Kind != addr.Local {
		return nil
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return errors.New("its size cannot be known beforehand; pipe it into nobodd-cp -")
	}
	return nil
}

// newer reports whether the source is newer than the file at dst. Where the tree of dst cuts
// times and both are of the same step, the source is newer if it is another file; with
// Preserve, where that is so after each copy, the sizes decide.
func (c *copier) newer(src place, fi fs.FileInfo, dst place, di fs.FileInfo) bool {
	step := dst.tree.TimeStep()
	switch {
	case step == 0 || !fi.ModTime().Truncate(step).Equal(di.ModTime()):
		return fi.ModTime().After(di.ModTime())
	case fi.Size() != di.Size():
		return true
	}
	return !c.opt.Preserve && !sameContent(src, dst)
}

// sameContent reports whether two files of the same size hold the same; not if one cannot be read.
func sameContent(a, b place) bool {
	ra, err := a.tree.Open(a.name())
	if err != nil {
		return false
	}
	defer ra.Close()
	rb, err := b.tree.Open(b.name())
	if err != nil {
		return false
	}
	defer rb.Close()
	pa, pb := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		na, erra := io.ReadFull(ra, pa)
		nb, errb := io.ReadFull(rb, pb)
		switch {
		case !bytes.Equal(pa[:na], pb[:nb]):
			return false
		case erra != nil: // and errb
			return ended(erra) && ended(errb)
		}
	}
}

// ended reports whether io.ReadFull met the end of the file.
func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// plan describes the file src for Tx.WriteFile.
func (c *copier) plan(src place, fi fs.FileInfo, dst place) fat.Source {
	from, name := src.tree, src.name() // all that is kept of src, since there may be many
	s := fat.Source{
		Size: fi.Size(),
		Open: func() (io.ReadCloser, error) { return from.Open(name) },
		Done: c.done(src.addr, dst),
	}
	if src.addr.Kind == addr.Local { // the mode of an entry is no more than its read-only flag
		s.Perm = fi.Mode().Perm()
		s.Stored = hostfs.Stored(fi)
	}
	if c.opt.Preserve {
		s.ModTime = fi.ModTime()
	}
	return s
}

// done returns what is called once the fate of a copy is known: with nil if it stands at
// dst, or with what failed in its source.
func (c *copier) done(from addr.Addr, dst place) func(error) {
	var made func()
	if c.opt.Verbose {
		made = c.progress.file(copyLine(from, dst))
	}
	text := from.Text
	return func(err error) {
		switch {
		case err != nil:
			c.errs = append(c.errs, failureOf(text, err))
		case made != nil:
			made()
		}
	}
}

func copyLine(from addr.Addr, dst place) string {
	return quote(from.String()) + " -> " + quote(dst.addr.String())
}

// write plans to write s to dst and reports whether it could.
func (c *copier) write(dst place, s fat.Source) bool {
	s.Copied = c.tell
	if err := c.tx.WriteFile(dst.name(), s); err != nil {
		c.fail(dst.addr, err)
		return false
	}
	c.planned[dst.key] = false
	c.total += s.Size
	return true
}

// dir plans the copy of the directory src, with what is in it.
func (c *copier) dir(src place, fi fs.FileInfo, dst place, di fs.FileInfo) {
	isDir, twice := c.planned[dst.key]
	switch {
	case src.key == dst.key:
		c.fail(src.addr, fmt.Errorf("the same file as %s", quote(dst.addr.Text)))
		return
	case di != nil && !di.IsDir() || twice && !isDir:
		c.fail(dst.addr, fmt.Errorf("cannot overwrite non-directory with directory %s", quote(src.addr.Text)))
		return
	case c.dest.above[src.key] || slices.Contains(c.dstDirs, src.key):
		c.fail(src.addr, fmt.Errorf("cannot copy a directory into itself, %s", quote(dst.addr.Text)))
		return
	case slices.Contains(c.srcDirs, src.key):
		c.fail(src.addr, errors.New("leads back to a directory around it"))
		return
	}
	entries, err := src.tree.ReadDir(src.name())
	if err != nil {
		c.fail(src.addr, err)
		if len(entries) == 0 {
			return
		}
	}
	if di == nil && !twice && !c.mkdir(src, fi, dst) {
		return
	}
	c.srcDirs, c.dstDirs = append(c.srcDirs, src.key), append(c.dstDirs, dst.key)
	for i, e := range entries {
		if isTwin(entries, i) {
			c.fail(src.addr.Join(e.Name()), errTwin)
			continue
		}
		c.entry(src, e, dst, di == nil)
	}
	c.srcDirs, c.dstDirs = c.srcDirs[:len(c.srcDirs)-1], c.dstDirs[:len(c.dstDirs)-1]
}

func (c *copier) mkdir(src place, fi fs.FileInfo, dst place) bool {
	modTime := time.Time{}
	if c.opt.Preserve {
		modTime = fi.ModTime()
	}
	if err := c.tx.Mkdir(dst.name(), modTime); err != nil {
		c.fail(dst.addr, err)
		return false
	}
	c.planned[dst.key] = true
	if c.opt.Verbose {
		c.progress.dir(copyLine(src.addr, dst))
	}
	return true
}

// entry plans the copy of an entry of the directory dir to the directory to.
func (c *copier) entry(dir place, e fs.DirEntry, to place, isNew bool) {
	name := e.Name()
	src := place{tree: dir.tree, addr: dir.addr.Join(name)}
	fi, err := src.describe(e)
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		c.fail(src.addr, err)
		return
	}
	src.key = dir.tree.Key(dir.key, name, fi)
	if isNew {
		c.copy(src, fi, to.newChild(name), nil)
		return
	}
	dst, di, err := to.child(name)
	if err != nil {
		c.fail(dst.addr, err)
		return
	}
	c.copy(src, fi, dst, di)
}

// describe returns what e, the entry of p, says of it, or what a symbolic link leads to.
func (p place) describe(e fs.DirEntry) (fs.FileInfo, error) {
	if e.Type() == fs.ModeSymlink {
		return p.tree.Stat(p.name())
	}
	return e.Info()
}

// checkName refuses what a damaged image may hold and what would lead out of the
// directory that is written.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return errors.New("the name is not one of a file")
	}
	return nil
}
