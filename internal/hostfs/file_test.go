// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"nobodd/internal/fat"
)

// A file reads as one of package os does, and says with the last piece that it is the last.
func TestFile(t *testing.T) {
	t.Chdir(t.TempDir())
	data := strings.Repeat("some text ", 1000)
	files{"full": data, "empty": "", "dir/": ""}.make(t)
	for name, want := range map[string]string{"full": data, "empty": ""} {
		f, err := FS{}.Open(name)
		must(t, err)
		if err := iotest.TestReader(struct {
			io.Reader
			io.ReaderAt
		}{f, f.(io.ReaderAt)}, []byte(want)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		fi, err := f.Stat()
		must(t, err)
		if fi.Size() != int64(len(want)) || fi.Name() != name || !fi.Mode().IsRegular() {
			t.Errorf("%s: Stat = %v", name, fi)
		}
		must(t, f.Close())
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: closed twice: %v", name, err)
		}
		if _, err := f.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: read after Close", name)
		}
	}
	f, err := FS{}.Open("full")
	must(t, err)
	defer f.Close()
	if n, err := f.Read(make([]byte, len(data)+1)); n != len(data) || err != io.EOF {
		t.Errorf("Read of all = %d, %v", n, err)
	}
	if d, err := (FS{}).Open("dir"); err != nil {
		t.Error(err)
	} else if _, ok := d.(fs.ReadDirFile); !ok {
		t.Error("a directory cannot be listed")
	}
	if _, err := (FS{}).Open("none"); errText(err) != "open none: no such file or directory" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v", err)
	}
	must(t, syscall.Mkfifo("fifo", 0o600))
	if _, err := (FS{}).Open("fifo"); errText(err) != "open fifo: is no longer a file" {
		t.Errorf("Open = %v", err)
	}
}

// A file that is longer or shorter by the time that it is read is noticed.
func TestFileChanges(t *testing.T) {
	t.Chdir(t.TempDir())
	for size, want := range map[int64]error{2000: nil, 2001: fat.ErrGrew, 5000: fat.ErrGrew, 1999: fat.ErrShrank, 0: fat.ErrShrank} {
		must(t, os.WriteFile("f", make([]byte, 2000), 0o666))
		r, err := FS{}.Open("f")
		must(t, err)
		must(t, os.Truncate("f", size))
		src := fat.Source{Size: 2000}
		got := int64(0)
		failed, err := src.CopyFrom(r, make([]byte, 512), func(p []byte) error { got += int64(len(p)); return nil })
		if must(t, err); failed != want || want == nil && got != 2000 {
			t.Errorf("%d bytes: failed = %v after %d bytes, want %v", size, failed, got, want)
		}
		r.Close()
	}
}

// A copy keeps the holes of a file, and needs room for the rest alone.
func TestHoles(t *testing.T) {
	t.Chdir(t.TempDir())
	const size = 8 << 20
	w, err := os.Create("holes")
	must(t, err)
	for _, off := range []int64{1 << 20, 5<<20 + 5} { // a hole at the start, one between and one at the end
		_, err = w.WriteAt([]byte("data"), off)
		must(t, err)
	}
	must(t, w.Truncate(size))
	must(t, w.Close())
	fi, err := os.Stat("holes")
	must(t, err)
	stored := Stored(fi)
	if stored == 0 {
		t.Skip("the file system here has no holes")
	}
	tx := FS{}.Begin(fat.TxOptions{})
	copied := int64(0)
	must(t, tx.WriteFile("copy", fat.Source{
		Size: size, Stored: stored,
		Open:   func() (io.ReadCloser, error) { return FS{}.Open("holes") },
		Copied: func(n int64) { copied += n },
	}))
	must(t, tx.Commit())
	got, err := os.ReadFile("copy")
	must(t, err)
	want := make([]byte, size)
	copy(want[1<<20:], "data")
	copy(want[5<<20+5:], "data")
	if !bytes.Equal(got, want) || copied != size {
		t.Errorf("the copy holds something else, or is told as %d bytes", copied)
	}
	fi, err = os.Stat("copy")
	must(t, err)
	if n := Stored(fi); n == 0 || n > 2<<20 {
		t.Errorf("%d bytes of the copy are stored, %d of the source", n, stored)
	}
}
