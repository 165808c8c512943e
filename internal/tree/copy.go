// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
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
	from := c.parse(sources)
	spool := Spool{Dest: to}
	defer spool.Close()
	if len(from) == 1 && from[0].Kind == addr.Std && !opt.IntoDir {
		if _, err := io.Copy(&spool, env.Stdin); spool.err != nil {
			return spool.err
		} else if err != nil {
			return fail(from[0], err)
		}
	}
	for _, a := range from {
		c.images.want(a, image.Read)
	}
	defer c.close(&err)
	if err := c.begin(to); err != nil {
		return errors.Join(append(c.errs, err)...)
	}
	into, err := c.into(len(sources) > 1)
	if err != nil {
		return errors.Join(append(c.errs, err)...)
	}
	for _, a := range from {
		c.source(a, &spool, into)
	}
	return c.commit()
}

// Write writes what spool holds to dest as Copy does; dest is the address of a file.
func Write(env Env, opt CopyOptions, spool *Spool, dest string) (err error) {
	to, err := Parse(dest)
	if err != nil {
		return err
	}
	c := newCopier(env, opt)
	defer c.close(&err)
	if err := c.begin(to); err != nil {
		return err
	}
	if c.destInfo != nil && c.destInfo.IsDir() {
		return fail(to, errIsDir)
	}
	c.stdin(addr.Addr{Text: "-", Kind: addr.Std}, spool)
	return c.commit()
}

// copier plans and makes one copy.
type copier struct {
	env    Env
	opt    CopyOptions
	images *images

	dest     place
	destInfo fs.FileInfo     // nil: there is none yet
	above    map[string]bool // keys of the directories that hold dest
	tx       Tx

	planned  map[string]bool // keys of what is to be written; true: a directory
	reads    map[string]bool // with InPlace, keys of the files that are read
	given    map[string]bool // keys and names of the sources given
	srcDirs  []string        // keys of the source directories around the present one
	dstDirs  []string        // keys of what they are copied to
	progress progress
	errs     []error
}

func newCopier(env Env, opt CopyOptions) *copier {
	return &copier{
		env:     env,
		opt:     opt,
		images:  newImages(env),
		planned: map[string]bool{},
		reads:   map[string]bool{},
		given:   map[string]bool{},
	}
}

func (c *copier) fail(a addr.Addr, err error) {
	for _, err := range split(err) {
		c.errs = append(c.errs, fail(a, err))
	}
}

// close unlocks the images and prints what was done.
func (c *copier) close(err *error) {
	*err = errors.Join(*err, c.images.close())
	c.progress.print(c.env.Stdout)
}

func (c *copier) parse(sources []string) []addr.Addr {
	var from []addr.Addr
	for _, text := range sources {
		a, err := Parse(text)
		if err != nil {
			c.errs = append(c.errs, err)
			continue
		}
		from = append(from, a)
	}
	return from
}

// begin opens all images and finds out what there is at dest.
func (c *copier) begin(to addr.Addr) error {
	if to.Kind == addr.Std {
		return fail(to, errors.New("nothing is copied to standard output; nobodd-cat writes there"))
	}
	c.images.want(to, image.Write)
	c.images.open()
	dest, err := c.images.place(to)
	if err == nil {
		err = c.open(dest)
	}
	if err != nil {
		return fail(to, err)
	}
	return nil
}

func (c *copier) open(dest place) error {
	fi, err := dest.tree.Stat(dest.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := dest.name
	if fi == nil || !fi.IsDir() {
		dir = parent(dest.name)
		di, err := dest.tree.Stat(dir)
		if err != nil {
			return err
		}
		if !di.IsDir() {
			return errNotDir
		}
	}
	if fi != nil && !fi.IsDir() && dest.addr.Slash {
		return errNotDir
	}
	if fi != nil {
		dest.key, err = dest.tree.Key(dest.name)
	} else if dest.key, err = dest.tree.Key(dir); err == nil {
		dest.key = dest.tree.ChildKey(dest.key, path.Base(dest.name), nil)
	}
	if err != nil {
		return err
	}
	if c.above, err = dest.tree.Above(dir); err != nil {
		return err
	}
	c.dest, c.destInfo = dest, fi
	c.tx, err = dest.tree.Begin(fat.TxOptions{Force: c.opt.Force, NoSync: c.opt.NoSync, InPlace: c.opt.InPlace})
	if l, ok := c.tx.(*localTx); ok {
		l.onSignal = c.env.OnSignal
	}
	return err
}

// parent gives the directory that name is in.
func parent(name string) string {
	dir, _ := path.Split(strings.TrimRight(name, "/"))
	switch trimmed := strings.TrimRight(dir, "/"); {
	case trimmed != "":
		return trimmed
	case dir != "":
		return "/"
	}
	return "."
}

// into tells whether the sources go into the directory dest rather than in its place.
func (c *copier) into(several bool) (bool, error) {
	isDir := c.destInfo != nil && c.destInfo.IsDir()
	switch {
	case c.opt.NoTargetDir:
		return false, nil
	case isDir:
		return true, nil
	case !several && !c.opt.IntoDir:
		return false, nil
	case c.destInfo == nil:
		return false, fail(c.dest.addr, fs.ErrNotExist)
	}
	return false, fail(c.dest.addr, errNotDir)
}

// source plans the copy of one source.
func (c *copier) source(a addr.Addr, spool *Spool, into bool) {
	if a.Kind == addr.Std {
		if into {
			c.fail(a, fmt.Errorf("standard input needs the name of a file to write, not the directory %s", quote(c.dest.addr.Text)))
			return
		}
		c.stdin(a, spool)
		return
	}
	src, err := c.images.place(a)
	if err != nil {
		c.fail(a, err)
		return
	}
	fi, err := src.tree.Stat(src.name)
	if err == nil {
		src.key, err = src.tree.Key(src.name)
	}
	if err == nil && a.Slash && !fi.IsDir() {
		err = errNotDir
	}
	if err != nil {
		c.fail(a, err)
		return
	}
	base := lastName(a)
	if given := src.key + "/" + base; c.given[given] {
		c.env.Warn("warning: source file %s specified more than once", quote(a.Text))
		return
	} else {
		c.given[given] = true
	}
	if !into || base == "" {
		c.copy(src, fi, c.dest, c.destInfo)
		return
	}
	dst, di, err := c.below(c.dest, base, false)
	if err != nil {
		c.fail(c.dest.addr.Join(base), err)
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

func (c *copier) stdin(a addr.Addr, spool *Spool) {
	t := spoolTree{spool, time.Now()}
	c.copy(place{tree: t, name: "-", key: "-", addr: a}, t, c.dest, c.destInfo)
}

// below gives the place of base in dir and what is there: nothing if dir is new.
func (c *copier) below(dir place, base string, isNew bool) (place, fs.FileInfo, error) {
	if isNew {
		return dir.child(base, nil), nil, nil
	}
	fi, err := dir.tree.Stat(dir.tree.Join(dir.name, base))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return place{}, nil, err
	}
	return dir.child(base, fi), fi, nil
}

// copy plans the copy of src to dst, where di is (nil: nothing).
func (c *copier) copy(src place, fi fs.FileInfo, dst place, di fs.FileInfo) {
	switch {
	case fi.IsDir() && !c.opt.Recursive:
		c.fail(src.addr, errors.New("-r not specified; omitting directory"))
	case fi.IsDir():
		c.dir(src, fi, dst, di)
	case !fi.Mode().IsRegular():
		c.fail(src.addr, fmt.Errorf("is a %s, not a file or directory", kind(fi.Mode())))
	default:
		c.file(src, fi, dst, di)
	}
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

func (c *copier) file(src place, fi fs.FileInfo, dst place, di fs.FileInfo) {
	isDir, twice := c.planned[dst.key]
	switch {
	case c.opt.NoClobber && (di != nil || twice && !isDir):
		return
	case di != nil && src.key == dst.key:
		c.fail(src.addr, fmt.Errorf("the same file as %s", quote(dst.addr.Text)))
		return
	case di != nil && di.IsDir() || isDir:
		c.fail(dst.addr, fmt.Errorf("cannot overwrite directory with non-directory %s", quote(src.addr.Text)))
		return
	case di == nil && dst.addr.Slash:
		c.fail(dst.addr, errNotDir)
		return
	case di != nil && c.opt.Update && !c.newer(src, fi, dst, di):
		return
	case twice:
		c.fail(dst.addr, fmt.Errorf("will not overwrite just-created file with %s", quote(src.addr.Text)))
		return
	case c.images.isHeld(src.key):
		c.fail(src.addr, errors.New("is an image of this command"))
		return
	case c.images.isHeld(dst.key):
		c.fail(dst.addr, errors.New("is an image of this command; a file in it has an address like "+exampleAddr(dst.addr)))
		return
	case c.isPlanned(src.key):
		c.fail(src.addr, errors.New("is written by this very command"))
		return
	case c.reads[dst.key]:
		c.fail(dst.addr, errors.New("is read by this very command"))
		return
	}
	if err := readable(src, fi); err != nil {
		c.fail(src.addr, err)
		return
	}
	if err := c.tx.WriteFile(dst.name, c.plan(src, fi, dst)); err != nil {
		c.fail(dst.addr, err)
		return
	}
	c.planned[dst.key] = false
	if c.opt.InPlace {
		c.reads[src.key] = true
	}
}

// readable tells what keeps a source from being read, as far as that can be known
// before: a damaged file must not be counted among those that need space.
// Files of /proc that show no size are refused, too.
func readable(p place, fi fs.FileInfo) error {
	r, err := p.tree.Open(p.name)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, ok := p.tree.(local); !ok || fi.Size() > 0 {
		return nil
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return errors.New("its size cannot be known beforehand; pipe it into nobodd-cp -")
	}
	return nil
}

func exampleAddr(a addr.Addr) string {
	return addr.Addr{Kind: addr.Inside, Image: a.Path, Part: 1, Path: "/"}.String()
}

func (c *copier) isPlanned(key string) bool {
	_, ok := c.planned[key]
	return ok
}

// newer tells whether the source is newer than the file at dst. A FAT volume cuts times to
// 2 seconds: where both are of the same 2, the source is newer if it is another file; with
// Preserve, where that is so after each copy, the sizes tell.
func (c *copier) newer(src place, fi fs.FileInfo, dst place, di fs.FileInfo) bool {
	_, cut := dst.tree.(*volume)
	switch {
	case !cut || !fi.ModTime().Truncate(2*time.Second).Equal(di.ModTime()):
		return fi.ModTime().After(di.ModTime())
	case fi.Size() != di.Size():
		return true
	}
	return !c.opt.Preserve && !sameContent(src, dst)
}

// sameContent tells whether two files of the same size hold the same; not if one cannot be read.
func sameContent(a, b place) bool {
	ra, err := a.tree.Open(a.name)
	if err != nil {
		return false
	}
	defer ra.Close()
	rb, err := b.tree.Open(b.name)
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
		case erra != nil || errb != nil:
			return ended(erra) && ended(errb)
		}
	}
}

// ended tells whether io.ReadFull met the end of the file.
func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// plan describes the file src for Tx.WriteFile.
func (c *copier) plan(src place, fi fs.FileInfo, dst place) fat.Source {
	size := fi.Size()
	failed := func(err error) error {
		c.fail(src.addr, err)
		return &sourceError{err}
	}
	s := fat.Source{
		Size: size,
		Open: func() (io.ReadCloser, error) { return openExact(src, size, failed) },
	}
	if c.opt.Preserve {
		s.ModTime = fi.ModTime()
	}
	if c.opt.Verbose {
		s.Done = c.progress.file(copyLine(src, dst))
	}
	return s
}

func copyLine(src, dst place) string {
	return quote(src.addr.String()) + " -> " + quote(dst.addr.String())
}

func (c *copier) dir(src place, fi fs.FileInfo, dst place, di fs.FileInfo) {
	isNew := di == nil
	isDir, twice := c.planned[dst.key]
	switch {
	case di != nil && src.key == dst.key:
		c.fail(src.addr, fmt.Errorf("the same file as %s", quote(dst.addr.Text)))
		return
	case di != nil && !di.IsDir() || twice && !isDir:
		c.fail(dst.addr, fmt.Errorf("cannot overwrite non-directory with directory %s", quote(src.addr.Text)))
		return
	case c.above[src.key] || slices.Contains(c.dstDirs, src.key):
		c.fail(src.addr, fmt.Errorf("cannot copy a directory into itself, %s", quote(dst.addr.Text)))
		return
	case slices.Contains(c.srcDirs, src.key):
		c.fail(src.addr, errors.New("leads back to a directory around it"))
		return
	}
	entries, err := src.tree.ReadDir(src.name)
	if err != nil {
		c.fail(src.addr, err)
		if len(entries) == 0 {
			return
		}
	}
	if isNew && !twice && !c.mkdir(src, fi, dst) {
		return
	}
	c.srcDirs, c.dstDirs = append(c.srcDirs, src.key), append(c.dstDirs, dst.key)
	for _, e := range entries {
		c.entry(src, e, dst, isNew)
	}
	c.srcDirs, c.dstDirs = c.srcDirs[:len(c.srcDirs)-1], c.dstDirs[:len(c.dstDirs)-1]
}

func (c *copier) mkdir(src place, fi fs.FileInfo, dst place) bool {
	modTime := time.Time{}
	if c.opt.Preserve {
		modTime = fi.ModTime()
	}
	if err := c.tx.Mkdir(dst.name, modTime); err != nil {
		c.fail(dst.addr, err)
		return false
	}
	c.planned[dst.key] = true
	if c.opt.Verbose {
		c.progress.dir(copyLine(src, dst))
	}
	return true
}

// entry plans the copy of an entry of the directory dir to the directory to.
func (c *copier) entry(dir place, e fs.DirEntry, to place, isNew bool) {
	name := e.Name()
	fi, err := e.Info()
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		c.fail(dir.addr.Join(name), err)
		return
	}
	dst, di, err := c.below(to, name, isNew)
	if err != nil {
		c.fail(to.addr.Join(name), err)
		return
	}
	c.copy(dir.child(name, fi), fi, dst, di)
}

// checkName refuses what a damaged image may hold and what would lead out of the
// directory that is written.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return errors.New("the name is not one of a file")
	}
	return nil
}

// commit makes what was planned and gives all that went wrong.
func (c *copier) commit() error {
	if len(c.planned) > 0 {
		if c.report(c.tx.Commit()) {
			c.progress.finish()
		}
	}
	return errors.Join(c.errs...)
}

// report adds the errors of Commit but those of sources, which are known already. It
// tells whether what was planned for sound sources was done.
func (c *copier) report(err error) (done bool) {
	var none *fat.NoSpaceError
	if errors.As(err, &none) {
		c.fail(c.dest.addr, none)
		return false
	}
	done = true
	for _, err := range split(err) {
		if !errors.As(err, new(*sourceError)) {
			c.errs = append(c.errs, locate(c.dest.addr, err))
			done = false
		}
	}
	return done
}
