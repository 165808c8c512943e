// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nobodd/internal/fat"
)

// Tx collects files and directories to be written and writes them at Commit.
type Tx struct {
	opt      fat.TxOptions
	onSignal func(tidy func()) (done func())
	dirs     []newDir
	mkdir    map[string]bool // names of dirs
	files    []*newFile
	buf      []byte

	mu   sync.Mutex // of made and the tmp of files, which tidy uses
	made []string   // directories that Commit made
}

// newDir is a directory to be made.
type newDir struct {
	name    string
	modTime time.Time // zero: as it comes
}

// newFile is a file to be written.
type newFile struct {
	name string      // no symbolic link
	old  fs.FileInfo // of the file that it replaces, or nil
	src  fat.Source
	tmp  string // name of its temporary file; "" where there is none
}

// done calls Done of the source of f: with nil once f stands in its place.
func (f *newFile) done(err error) {
	if f.src.Done != nil {
		f.src.Done(err)
	}
}

// Mkdir plans to make the directory name; it is no error if it is planned, or there by
// then. A zero modTime leaves its time as it comes.
func (t *Tx) Mkdir(name string, modTime time.Time) error {
	if t.mkdir[name] {
		return nil
	}
	if fi, err := os.Lstat(name); err == nil && !fi.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: name, Err: unix.EEXIST}
	}
	t.mkdir[name] = true
	t.dirs = append(t.dirs, newDir{name, modTime})
	return nil
}

// WriteFile plans to create or replace the file name, or the one that a symbolic link of
// that name leads to. Without Force it may not be write-protected.
func (t *Tx) WriteFile(name string, src fat.Source) error {
	f := &newFile{name: name, src: src}
	if err := f.look(t.opt.Force); err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	t.files = append(t.files, f)
	return nil
}

// look finds out what f replaces, and whether it may.
func (f *newFile) look(force bool) error {
	if fi, err := os.Stat(f.name); err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
		return fmt.Errorf("is a %s, which nobodd-cat can write to", Kind(fi.Mode()))
	}
	fi, err := os.Lstat(f.name)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		f.name, err = filepath.EvalSymlinks(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("not writing through a dangling symbolic link")
		}
		if err == nil {
			fi, err = os.Lstat(f.name)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("is a %s, which nobodd-cat can write to", Kind(fi.Mode()))
	}
	f.old = fi
	if force {
		return nil
	}
	return unix.Faccessat(unix.AT_FDCWD, f.name, unix.W_OK, unix.AT_EACCESS)
}

// Commit makes what was planned, in this order: the new directories, and each file under a
// temporary name beside its place; sync; all files are renamed into their places; sync.
// Stopped at any point, each file is the whole old one or the whole new one; a process
// that is killed may leave temporary files.
//
// The error is a *fat.NoSpaceError (nothing was written), one *fs.PathError that ended the
// whole (no file was replaced), or several, joined, of directories and files that could not
// be written while the others were. A source that failed is no error of Commit: its Done
// is told.
func (t *Tx) Commit() error {
	if err := t.checkSpace(); err != nil {
		return err
	}
	if t.onSignal != nil {
		defer t.onSignal(t.tidy)()
	}
	errs, err := t.stage()
	if err == nil {
		err = t.sync()
	}
	if err != nil {
		t.tidy()
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

// staged returns the files whose temporary files are whole.
func (t *Tx) staged() []*newFile {
	var staged []*newFile
	for _, f := range t.files {
		if f.tmp != "" {
			staged = append(staged, f)
		}
	}
	return staged
}

// rename puts f into its place.
func (t *Tx) rename(f *newFile) error {
	if err := os.Rename(f.tmp, f.name); err != nil {
		t.drop(f)
		return &fs.PathError{Op: "rename", Path: f.name, Err: err}
	}
	t.mu.Lock()
	f.tmp = ""
	t.mu.Unlock()
	f.done(nil)
	return nil
}

// drop removes the temporary file of f, if there is one.
func (t *Tx) drop(f *newFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.tmp != "" {
		os.Remove(f.tmp)
		f.tmp = ""
	}
}

// tidy takes back what was done before the first rename; after that, what is left of it.
func (t *Tx) tidy() {
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
func (t *Tx) setDirTimes() {
	for i := len(t.dirs) - 1; i >= 0; i-- {
		if d := t.dirs[i]; !d.modTime.IsZero() {
			os.Chtimes(d.name, time.Time{}, d.modTime)
		}
	}
}
