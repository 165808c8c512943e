// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"nobodd/internal/fat"
)

// local is this machine's directory tree.
type local struct{}

func (local) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (local) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(name)
	for i, e := range entries {
		entries[i] = followed{e, local{}.Join(name, e.Name())}
	}
	return entries, err
}

// followed is a directory entry whose Info is that of what a symbolic link leads to.
type followed struct {
	fs.DirEntry
	path string
}

func (f followed) Info() (fs.FileInfo, error) { return os.Stat(f.path) }

// Open does not wait for a fifo that took the place of a file.
func (local) Open(name string) (io.ReadCloser, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = errors.New("is no longer a file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Join does not clean the name: "a/.." is not "." if a is a symbolic link.
func (local) Join(dir, base string) string {
	if strings.HasSuffix(dir, "/") {
		return dir + base
	}
	return dir + "/" + base
}

func (local) Key(name string) (string, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	return fileKey(fi), nil
}

func (local) ChildKey(dir, base string, fi fs.FileInfo) string {
	if fi != nil {
		return fileKey(fi)
	}
	return dir + "/" + base
}

func (local) Above(name string) (map[string]bool, error) {
	dir, err := filepath.Abs(name)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, err
	}
	above := map[string]bool{}
	for {
		key, err := local{}.Key(dir)
		if err != nil {
			return nil, err
		}
		above[key] = true
		if dir == "/" {
			return above, nil
		}
		dir = filepath.Dir(dir)
	}
}

func (local) Begin(opt fat.TxOptions) (Tx, error) {
	return &localTx{opt: opt, mkdir: map[string]bool{}}, nil
}
