// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nobodd/internal/fat"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files are the contents of files by name; the name of a directory ends in a slash.
type files map[string]string

func (f files) make(t *testing.T) {
	t.Helper()
	for name, text := range f {
		must(t, os.MkdirAll(filepath.Dir(name), 0o777))
		if !strings.HasSuffix(name, "/") {
			must(t, os.WriteFile(name, []byte(text), 0o666))
		}
	}
}

// found returns what is below the present directory.
func found(t *testing.T) files {
	t.Helper()
	f := files{}
	must(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || path == ".":
			return err
		case d.IsDir():
			f[path+"/"] = ""
			return nil
		}
		data, err := os.ReadFile(path)
		f[path] = string(data)
		return err
	}))
	return f
}

// text is a source that holds s.
func text(s string) fat.Source {
	return fat.Source{Size: int64(len(s)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// A source that fails while it is read costs its own file and no other; it is its Done
// that is told, and nobody else.
func TestFailingSources(t *testing.T) {
	reader := func(text string, err error) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(text), errReader{err})), nil
		}
	}
	for _, tt := range []struct {
		name, want string
		open       func() (io.ReadCloser, error)
	}{
		{"sound", "<nil>", reader("four", io.EOF)},
		{"shrinks", "the file shrank while it was copied", reader("fou", io.EOF)},
		{"grows", "the file grew while it was copied", reader("fourfive", io.EOF)},
		{"vanishes", "file does not exist", func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }},
		{"breaks", "input/output error", reader("fo", syscall.EIO)},
		{"breaks for want of space", "no space left on device", reader("fo", syscall.ENOSPC)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			files{"old": "old", "a": "1"}.make(t)
			tx := FS{}.Begin(fat.TxOptions{})
			told := map[string]string{}
			for _, dst := range []string{"old", "new"} {
				must(t, tx.WriteFile(dst, fat.Source{Size: 4, Open: tt.open, Done: func(err error) {
					told[dst] += errText(err)
				}}))
			}
			must(t, tx.WriteFile("fine", text("fine")))
			if err := tx.Commit(); err != nil {
				t.Errorf("Commit = %v", err)
			}
			if want := map[string]string{"old": tt.want, "new": tt.want}; !maps.Equal(told, want) {
				t.Errorf("Done was told %q, want %q", told, want)
			}
			want := files{"old": "old", "a": "1", "fine": "fine"}
			if tt.want == "<nil>" {
				want["old"], want["new"] = "four", "four"
			}
			if left := found(t); !maps.Equal(left, want) {
				t.Errorf("left %q, want %q", left, want)
			}
		})
	}
}

// A file with holes that is no longer of the size that it had is no whole copy either.
func TestHolesOfAnotherSize(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("hole", []byte("start"), 0o666))
	must(t, os.Truncate("hole", 1<<20))
	for size, want := range map[int64]error{1 << 20: nil, 1<<20 - 1: fat.ErrGrew, 1<<20 + 1: fat.ErrShrank, 2: fat.ErrGrew} {
		tx := FS{}.Begin(fat.TxOptions{})
		var told error
		must(t, tx.WriteFile("copy", fat.Source{
			Size: size,
			Open: func() (io.ReadCloser, error) { return FS{}.Open("hole") },
			Done: func(err error) { told = err },
		}))
		if err := tx.Commit(); err != nil || told != want {
			t.Errorf("size %d: Commit = %v, Done was told %v, want %v", size, err, told, want)
		}
		if _, err := os.Stat("copy"); (err == nil) != (want == nil) {
			t.Errorf("size %d: the copy: %v", size, err)
		}
		os.Remove("copy")
	}
}

// A file whose place was taken meanwhile costs itself alone.
func TestPlaceTaken(t *testing.T) {
	t.Chdir(t.TempDir())
	tx := FS{}.Begin(fat.TxOptions{})
	src := text("new")
	src.Done = func(err error) { t.Errorf("Done was told %v", err) }
	open := src.Open
	src.Open = func() (io.ReadCloser, error) {
		files{"new/x": "1"}.make(t)
		return open()
	}
	must(t, tx.WriteFile("new", src))
	must(t, tx.WriteFile("fine", text("fine")))
	pe := (*fs.PathError)(nil)
	if err := tx.Commit(); !errors.As(err, &pe) || pe.Path != "new" || !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit = %v", err)
	}
	if left, want := found(t), (files{"new/": "", "new/x": "1", "fine": "fine"}); !maps.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func errText(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

func TestNoSpace(t *testing.T) {
	t.Chdir(t.TempDir())
	files{"old": "old"}.make(t)
	tx := FS{}.Begin(fat.TxOptions{})
	must(t, tx.Mkdir("d", time.Time{}))
	open := func() (io.ReadCloser, error) { return nil, errors.New("opened") }
	told := func(err error) { t.Errorf("Done was told %v", err) }
	must(t, tx.WriteFile("d/huge", fat.Source{Size: 1 << 60, Open: open, Done: told}))
	must(t, tx.WriteFile("old", fat.Source{Size: 1, Open: open, Done: told}))
	var none *fat.NoSpaceError
	if err := tx.Commit(); !errors.As(err, &none) || none.Need < 1<<60 || none.Free <= 0 {
		t.Errorf("Commit = %v, want NoSpaceError", err)
	}
	if left := found(t); !maps.Equal(left, files{"old": "old"}) {
		t.Errorf("left %q", left)
	}
}

// A directory that cannot be made is one error, not one for each file that belongs there.
func TestDirectoryCannotBeMade(t *testing.T) {
	t.Chdir(t.TempDir())
	tx := FS{}.Begin(fat.TxOptions{})
	for _, dir := range []string{"d", "d/e", "other"} {
		must(t, tx.Mkdir(dir, time.Time{}))
	}
	var told []error
	for _, name := range []string{"d/x", "d/e/y", "z"} {
		src := text("x")
		src.Done = func(err error) { told = append(told, err) }
		must(t, tx.WriteFile(name, src))
	}
	have := files{"d": "a file by now", "other/": ""}
	have.make(t)
	if err := tx.Commit(); errText(err) != "mkdir d: file exists" {
		t.Errorf("Commit = %v", err)
	}
	if len(told) != 1 || told[0] != nil {
		t.Errorf("Done was told %v", told)
	}
	have["z"] = "x"
	if left := found(t); !maps.Equal(left, have) {
		t.Errorf("left %q, want %q", left, have)
	}
}

// The temporary file is made beside the one that it replaces, also where the path to
// that leads through a link and up again.
func TestUpFromLink(t *testing.T) {
	t.Chdir(t.TempDir())
	files{"far/off/dir/": "", "far/off/file": "old"}.make(t)
	must(t, os.Symlink("far/off/dir", "link"))
	tx := FS{}.Begin(fat.TxOptions{})
	var during []os.DirEntry
	src := text("new")
	open := src.Open
	src.Open = func() (io.ReadCloser, error) {
		during, _ = os.ReadDir("far/off")
		return open()
	}
	must(t, tx.WriteFile("link/../file", src))
	must(t, tx.Commit())
	if len(during) != 3 {
		t.Errorf("while it was written, there were %v", during)
	}
	if data, err := os.ReadFile("far/off/file"); string(data) != "new" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// A signal in the middle leaves nothing but what was there.
func TestTidyOnSignal(t *testing.T) {
	t.Chdir(t.TempDir())
	files{"old": "old", "a/b": "1"}.make(t)
	var tidy func()
	tx := FS{OnSignal: func(f func()) func() { tidy = f; return func() {} }}.Begin(fat.TxOptions{})
	must(t, tx.Mkdir("d", time.Time{}))
	var during files
	signal := func() (io.ReadCloser, error) {
		during = found(t)
		tidy()
		return nil, errors.New("stopped")
	}
	must(t, tx.WriteFile("d/x", text("x")))
	var told error
	must(t, tx.WriteFile("old", fat.Source{Size: 1, Open: signal, Done: func(err error) { told = err }}))
	if err := tx.Commit(); err != nil || errText(told) != "stopped" {
		t.Errorf("Commit = %v, Done was told %v", err, told)
	}
	if len(during) != 6 {
		t.Errorf("in the middle there is %q", during)
	}
	if left := found(t); !maps.Equal(left, files{"old": "old", "a/": "", "a/b": "1"}) {
		t.Errorf("left %q", left)
	}
}

func TestDir(t *testing.T) {
	for in, want := range map[string]string{
		"a": ".", "a/b": "a", "a/b/": "a", "a//b": "a", "/a": "/", "//a": "/", "a/..": "a", "./a": ".", "a/../b": "a/..",
	} {
		if got := Dir(in); got != want {
			t.Errorf("Dir(%q) = %q, want %q", in, got, want)
		}
	}
}
