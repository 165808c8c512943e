// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nobodd/internal/fat"
)

// localTx writes files of this machine. Commit makes the new directories and writes
// each file under a temporary name beside its place; syncs; renames all files into
// their places; syncs. Stopped at any point, each file is the whole old one or the
// whole new one; a process that is killed may leave temporary files.
type localTx struct {
	opt      fat.TxOptions
	onSignal func(tidy func()) (done func())
	dirs     []newDir
	mkdir    map[string]bool // names of dirs
	files    []*newFile

	mu   sync.Mutex // of made and the tmp of files, which tidy uses
	made []string   // directories that Commit made
	buf  []byte
}

type newDir struct {
	name    string
	modTime time.Time // zero: as it comes
}

// newFile is a file to be written.
type newFile struct {
	name string // no symbolic link
	old  fs.FileInfo
	src  fat.Source
	tmp  string // "" once there is no temporary file
}

// done tells the fate of f.
func (f *newFile) done(err error) {
	if f.src.Done != nil {
		f.src.Done(err)
	}
}

func (t *localTx) Mkdir(name string, modTime time.Time) error {
	if t.mkdir[name] {
		return nil
	}
	if fi, err := os.Lstat(name); err == nil && !fi.IsDir() {
		return fs.ErrExist
	}
	t.mkdir[name] = true
	t.dirs = append(t.dirs, newDir{name, modTime})
	return nil
}

func (t *localTx) WriteFile(name string, src fat.Source) error {
	f := &newFile{name: name, src: src}
	fi, err := os.Lstat(name)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		if f.name, err = filepath.EvalSymlinks(name); errors.Is(err, fs.ErrNotExist) {
			return errors.New("not writing through a dangling symbolic link")
		}
		if err == nil {
			fi, err = os.Lstat(f.name)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("is a %s, which nobodd-cat can write to", kind(fi.Mode()))
	default:
		f.old = fi
		if !t.opt.Force {
			err = unix.Faccessat(unix.AT_FDCWD, f.name, unix.W_OK, unix.AT_EACCESS)
		}
		if err != nil {
			return err
		}
	}
	t.files = append(t.files, f)
	return nil
}

func (t *localTx) Commit() error {
	if err := t.checkSpace(); err != nil {
		return err
	}
	if t.onSignal != nil {
		defer t.onSignal(t.tidy)()
	}
	errs, err := t.stage()
	if err == nil {
		err = t.sync(t.staged())
	}
	if err != nil {
		t.tidy()
		for _, f := range t.files {
			f.done(err)
		}
		return errors.Join(append(errs, err)...)
	}
	staged := t.staged()
	for _, f := range staged {
		if err := t.rename(f); err != nil {
			errs = append(errs, err)
		}
	}
	t.setDirTimes()
	if err := t.syncDirs(staged); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkSpace compares what the files need with what each file system has.
func (t *localTx) checkSpace() error {
	type fsys struct {
		stat unix.Statfs_t
		need int64
	}
	all := map[uint64]*fsys{}
	for _, f := range t.files {
		dir := t.existing(filepath.Dir(f.name))
		fi, err := os.Stat(dir)
		if err != nil {
			continue // staging will tell
		}
		dev := uint64(fi.Sys().(*syscall.Stat_t).Dev)
		if all[dev] == nil {
			all[dev] = &fsys{}
			if err := unix.Statfs(dir, &all[dev].stat); err != nil {
				continue
			}
		}
		block := max(all[dev].stat.Bsize, 1)
		all[dev].need += (f.src.Size + block - 1) / block * block
	}
	for _, fsys := range all {
		s := fsys.stat
		free := int64(s.Bavail) * s.Bsize
		if os.Geteuid() == 0 {
			free = int64(s.Bfree) * s.Bsize
		}
		if s.Blocks > 0 && fsys.need > free {
			return &fat.NoSpaceError{Need: fsys.need, Free: free}
		}
	}
	return nil
}

// existing gives the lowest directory that holds dir and is not to be made yet.
func (t *localTx) existing(dir string) string {
	for t.mkdir[dir] || t.mkdir[dir+"/"] {
		dir = filepath.Dir(dir)
	}
	return dir
}

// stage makes the directories and the temporary files. errs are what keeps single
// files from being written, err what ends the whole.
func (t *localTx) stage() (errs []error, err error) {
	missing := map[string]error{}
	for _, d := range t.dirs {
		if err := missing[parent(d.name)]; err != nil {
			missing[d.name] = err
		} else if err := t.makeDir(d.name); err != nil {
			missing[strings.TrimRight(d.name, "/")] = err
			errs = append(errs, err)
		}
	}
	for _, f := range t.files {
		if err := missing[parent(f.name)]; err != nil {
			f.done(err)
			continue
		}
		err := t.stageFile(f)
		if err == nil {
			continue
		}
		t.drop(f)
		if full(err) {
			return errs, err
		}
		f.done(err)
		errs = append(errs, err)
	}
	return errs, nil
}

func (t *localTx) makeDir(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := os.Mkdir(name, 0o777)
	if err == nil {
		t.made = append(t.made, name)
	} else if fi, serr := os.Stat(name); serr == nil && fi.IsDir() {
		return nil // somebody else made it
	}
	return err
}

// full tells whether err, met in writing one file, ends the whole.
func full(err error) bool {
	return !errors.As(err, new(*sourceError)) &&
		(errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO))
}

func (t *localTx) stageFile(f *newFile) (err error) {
	r, err := f.src.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	perm := fs.FileMode(0o666)
	if e, ok := r.(*exactReader); ok {
		perm = e.perm
	}
	w, err := t.create(f, perm)
	if err != nil {
		return &fs.PathError{Op: "create", Path: f.name, Err: err}
	}
	defer func() {
		if cerr := w.Close(); err == nil {
			err = cerr
		}
		if err != nil && !errors.As(err, new(*sourceError)) {
			err = &fs.PathError{Op: "write", Path: f.name, Err: err}
		}
	}()
	if err := t.fill(w, r); err != nil {
		return err
	}
	if f.old != nil {
		likeOld(w, f.old)
	}
	if !f.src.ModTime.IsZero() {
		if err := os.Chtimes(f.tmp, time.Time{}, f.src.ModTime); err != nil {
			return err
		}
	}
	if len(t.files) == 1 && !t.opt.NoSync {
		return w.Sync()
	}
	return nil
}

// create makes the temporary file of f with the mode perm, less umask.
func (t *localTx) create(f *newFile, perm fs.FileMode) (*os.File, error) {
	for range 100 {
		tmp := filepath.Join(filepath.Dir(f.name), fmt.Sprintf(".nobodd-%08x", rand.Uint32()))
		t.mu.Lock()
		w, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err == nil {
			f.tmp = tmp
		}
		t.mu.Unlock()
		if !errors.Is(err, fs.ErrExist) {
			return w, err
		}
	}
	return nil, fs.ErrExist
}

func (t *localTx) fill(w io.Writer, r io.Reader) error {
	if t.buf == nil {
		t.buf = make([]byte, 1<<20)
	}
	for {
		n, err := r.Read(t.buf)
		if _, werr := w.Write(t.buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// likeOld gives the new file the mode and, where that is allowed, the owner of the
// file whose place it takes.
func likeOld(w *os.File, old fs.FileInfo) {
	st := old.Sys().(*syscall.Stat_t)
	w.Chown(int(st.Uid), int(st.Gid))
	w.Chmod(old.Mode().Perm())
}

func (t *localTx) staged() []*newFile {
	var staged []*newFile
	for _, f := range t.files {
		if f.tmp != "" {
			staged = append(staged, f)
		}
	}
	return staged
}

func (t *localTx) rename(f *newFile) error {
	err := os.Rename(f.tmp, f.name)
	if err != nil {
		t.drop(f)
		err = &fs.PathError{Op: "rename", Path: f.name, Err: err}
	}
	t.mu.Lock()
	f.tmp = ""
	t.mu.Unlock()
	f.done(err)
	return err
}

// drop removes the temporary file of f, if there is one.
func (t *localTx) drop(f *newFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.tmp != "" {
		os.Remove(f.tmp)
		f.tmp = ""
	}
}

// tidy takes back what was done before the first rename; after that, what is left of it.
func (t *localTx) tidy() {
	for _, f := range t.files {
		t.drop(f)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.made) > 0 {
		os.Remove(t.made[len(t.made)-1]) // fails if there is something in it
		t.made = t.made[:len(t.made)-1]
	}
}

// setDirTimes comes after the renames, which change the times of directories.
func (t *localTx) setDirTimes() {
	for i := len(t.dirs) - 1; i >= 0; i-- {
		if d := t.dirs[i]; !d.modTime.IsZero() {
			os.Chtimes(d.name, time.Time{}, d.modTime)
		}
	}
}

// sync makes several staged files durable at once; a single one was synced as it was
// written.
func (t *localTx) sync(staged []*newFile) error {
	if t.opt.NoSync || len(t.files) == 1 {
		return nil
	}
	return syncFilesystems(t.directories(staged))
}

// syncDirs makes the renames and the new directories durable.
func (t *localTx) syncDirs(staged []*newFile) error {
	if t.opt.NoSync {
		return nil
	}
	dirs := t.directories(staged)
	if len(dirs) == 1 && len(t.made) == 0 {
		return syncDir(dirs[0])
	}
	return syncFilesystems(dirs)
}

// directories are those in which something was made.
func (t *localTx) directories(staged []*newFile) []string {
	seen := map[string]bool{}
	var dirs []string
	add := func(dir string) {
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	for _, f := range staged {
		add(filepath.Dir(f.name))
	}
	for _, dir := range t.made {
		add(filepath.Dir(strings.TrimRight(dir, "/")))
	}
	return dirs
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// syncFilesystems syncs the file systems that hold dirs, with at most two calls
// however many they are.
func syncFilesystems(dirs []string) error {
	one := map[uint64]string{}
	for _, dir := range dirs {
		fi, err := os.Stat(dir)
		if err != nil {
			return err
		}
		one[uint64(fi.Sys().(*syscall.Stat_t).Dev)] = dir
	}
	if len(one) > 2 {
		unix.Sync()
		return nil
	}
	for _, dir := range one {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		err = unix.Syncfs(int(d.Fd()))
		d.Close()
		if err != nil {
			return &fs.PathError{Op: "syncfs", Path: dir, Err: err}
		}
	}
	return nil
}
