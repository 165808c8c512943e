// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// volumes are the fixtures that are one bare FAT volume each, and their widths.
var volumes = map[string]int{
	"fat12": 12, "fat12-one": 12, "fat12-s128": 12,
	"fat16": 16, "fat16-s4": 16, "fat16-4k": 16, "dirty16": 16,
	"fat32": 32, "fat32-one": 32, "fat32-4k": 32, "fat32-s8": 32, "fat32-s128": 32, "fat32-active": 32, "dirty32": 32,
	"names": 0, "orphans": 0,
}

func mustOpen(t testing.TB, img []byte) *fat.FS {
	t.Helper()
	return mustOpenDevice(t, testimg.Mem(img))
}

func mustOpenDevice(t testing.TB, dev sized) *fat.FS {
	t.Helper()
	v, err := fat.Open(dev, dev.Size())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// readTree reads a volume through v in the form that fatcheck.ReadTree has.
func readTree(v *fat.FS) (map[string][]byte, error) {
	tree := map[string][]byte{}
	err := fs.WalkDir(v, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".":
		case d.IsDir():
			tree[path+"/"] = nil
		default:
			tree[path], err = fs.ReadFile(v, path)
		}
		return err
	})
	return tree, err
}

func diffTrees(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for path, data := range want {
		if g, ok := got[path]; !ok {
			t.Errorf("%q is missing", path)
		} else if !bytes.Equal(g, data) {
			t.Errorf("%q has %d bytes that differ from the %d wanted", path, len(g), len(data))
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%q should not be there", path)
		}
	}
}

// A second reader, written apart from this one, sees the same files.
func TestReadFixtures(t *testing.T) {
	for name, width := range volumes {
		t.Run(name, func(t *testing.T) {
			img := testimg.Fixture(t, name)
			v := mustOpen(t, img)
			if width != 0 && v.Width() != width {
				t.Errorf("Width = %d, want %d", v.Width(), width)
			}
			if name == "orphans" {
				return // the other reader calls them damage
			}
			want, err := fatcheck.ReadTree(testimg.Mem(img), int64(len(img)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readTree(v)
			if err != nil {
				t.Fatal(err)
			}
			diffTrees(t, got, want)
			if v.InUse() != strings.HasPrefix(name, "dirty") {
				t.Errorf("InUse = %v", v.InUse())
			}
			r, err := fatcheck.Check(testimg.Mem(img), int64(len(img)))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := v.Free(); err != nil || n != int64(r.Free)*v.ClusterSize() {
				t.Errorf("Free = %d, %v; want %d clusters of %d", n, err, r.Free, v.ClusterSize())
			}
		})
	}
}

func TestFSConformance(t *testing.T) {
	for name := range volumes {
		t.Run(name, func(t *testing.T) {
			v := mustOpen(t, testimg.Fixture(t, name))
			tree, err := readTree(v)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for path := range tree {
				want = append(want, strings.TrimSuffix(path, "/"))
			}
			if err := fstest.TestFS(v, want...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFileWriteTo(t *testing.T) {
	v := mustOpen(t, testimg.Fixture(t, "fat32"))
	tree, err := readTree(v)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range tree {
		if strings.HasSuffix(path, "/") {
			continue
		}
		f, err := v.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		skip := min(int64(len(want)), 5)
		if _, err := f.Seek(skip, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if n, err := f.WriteTo(&got); err != nil || n != int64(len(want))-skip || !bytes.Equal(got.Bytes(), want[skip:]) {
			t.Errorf("%s: WriteTo = %d, %v; want %d bytes", path, n, err, int64(len(want))-skip)
		}
	}
}

// counter counts the bytes that are read.
type counter struct {
	r io.ReaderAt
	n int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.n += int64(len(p))
	return c.r.ReadAt(p, off)
}

// A walk reads each directory about once, however large those above it are.
func TestWalkReads(t *testing.T) {
	img, _ := fixtureTree(t, "fat16-4k")
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		var errs []error
		for i := range 65500 {
			errs = append(errs, tx.WriteFile(fmt.Sprintf("EMPTYDIR/%d", i), source(nil)))
		}
		for i := range 30 {
			errs = append(errs, tx.Mkdir(fmt.Sprintf("EMPTYDIR/DIR%d", i), now))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	c := &counter{r: bytes.NewReader(img)}
	v, err := fat.Open(c, int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	dirs := 0
	err = fs.WalkDir(v, ".", func(_ string, d fs.DirEntry, err error) error {
		if d.IsDir() {
			dirs++
		}
		return err
	})
	if err != nil || dirs != 34 {
		t.Errorf("%d directories, %v", dirs, err)
	}
	if c.n > 3<<20 {
		t.Errorf("%d bytes read, of directories of 2 MiB", c.n)
	}
}
