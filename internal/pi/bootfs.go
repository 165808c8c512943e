// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// bootPath makes a path of config.txt one of io/fs: "" and "/" are ".", ".." ends at the root.
func bootPath(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	return name
}

// isMissing reports whether err says that there is no such file.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)
}

// readFile reads at most limit bytes of a file; more are left out.
func readFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := openFile(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

var errIsDir = errors.New("is a directory")

// openFile opens a file that is no directory.
func openFile(fsys fs.FS, name string) (fs.File, error) {
	f, err := fsys.Open(bootPath(name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errIsDir
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// fileSize returns the size of a file, -1 if there is none that could be loaded.
func fileSize(fsys fs.FS, name string) int64 {
	info, err := fs.Stat(fsys, bootPath(name))
	if err != nil || info.IsDir() {
		return -1
	}
	return info.Size()
}

// exists reports whether there is a file, which is no directory.
func exists(fsys fs.FS, name string) bool { return fileSize(fsys, name) >= 0 }

// firstOf returns the first of the names that exists with prefix in front, "" if none does.
func firstOf(fsys fs.FS, prefix string, names []string) string {
	for _, name := range names {
		if exists(fsys, prefix+name) {
			return name
		}
	}
	return ""
}

// reason is the cause of an error of io/fs, without the operation and the path.
func reason(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if isMissing(err) {
		return "no such file"
	}
	return err.Error()
}

// quote shows text that comes from the image: short, and with nothing in it that a terminal
// would act on.
func quote(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "..."
	}
	plain := text != ""
	for _, c := range text {
		plain = plain && c != utf8.RuneError && c != '"' && unicode.IsPrint(c) && c != ' '
	}
	if plain {
		return text
	}
	return fmt.Sprintf("%q", text)
}
