// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stage makes the directories and the temporary files. errs are what keeps single
// directories and files from being written, err is what ends the whole.
func (t *Tx) stage() (errs []error, err error) {
	missing := map[string]bool{} // directories that could not be made
	for _, d := range t.dirs {
		name := strings.TrimRight(d.name, "/")
		if missing[Dir(name)] {
			missing[name] = true
		} else if err := t.makeDir(d.name); err != nil {
			missing[name] = true
			errs = append(errs, err)
		}
	}
	for _, f := range t.files {
		if missing[Dir(f.name)] {
			continue
		}
		failed, err := t.stageFile(f)
		if failed != nil {
			f.done(failed)
		}
		if failed != nil || err != nil {
			t.drop(f)
		}
		if full(err) {
			return errs, err
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs, nil
}

func (t *Tx) makeDir(name string) error {
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

// full reports whether err, met in writing one file, ends the whole.
func full(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO)
}

// stageFile writes the temporary file of f. failed is what is wrong with the source.
func (t *Tx) stageFile(f *newFile) (failed, err error) {
	defer func() {
		if err != nil {
			err = &fs.PathError{Op: "write", Path: f.name, Err: err}
		}
	}()
	w, err := t.create(f)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := w.Close(); failed == nil && err == nil {
			err = cerr
		}
	}()
	if t.buf == nil {
		t.buf = make([]byte, 1<<20)
	}
	failed, err = copyFile(w, f.src, t.buf)
	if failed != nil || err != nil {
		return failed, err
	}
	return nil, t.finish(w, f)
}

// finish sets owner, mode and time of the temporary file of f, which holds all data, and
// syncs it if there is no other file.
func (t *Tx) finish(w *os.File, f *newFile) error {
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

// create makes the temporary file of f with the mode of its source, less umask.
func (t *Tx) create(f *newFile) (*os.File, error) {
	for range 100 {
		tmp := fmt.Sprintf("%s/.nobodd-%08x", strings.TrimRight(Dir(f.name), "/"), rand.Uint32())
		t.mu.Lock()
		w, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, cmp.Or(f.src.Perm, 0o666))
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

// likeOld sets the mode and, where that is allowed, the owner of the new file to those
// of the file whose place it takes.
func likeOld(w *os.File, old fs.FileInfo) {
	st := old.Sys().(*syscall.Stat_t)
	w.Chown(int(st.Uid), int(st.Gid))
	w.Chmod(old.Mode().Perm())
}
