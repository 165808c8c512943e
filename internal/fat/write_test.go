// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

func TestMain(m *testing.M) { testimg.Main(m) }

// now is stamped on what the tests write.
var now = time.Date(2024, 10, 23, 13, 41, 31, 0, time.UTC)

// source is a fat.Source with the content data.
func source(data []byte) fat.Source {
	return fat.Source{Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// unread is a fat.Source of size bytes that must not be read.
func unread(size int64) fat.Source {
	return fat.Source{Size: size, Open: func() (io.ReadCloser, error) { return nil, errors.New("the source was opened") }}
}

// change opens the volume on dev, plans what f does and commits it.
func change(dev fat.Device, size int64, opt fat.TxOptions, f func(*fat.Tx) error) error {
	v, err := fat.Open(dev, size)
	if err != nil {
		return err
	}
	if opt.Now.IsZero() {
		opt.Now = now
	}
	tx, err := v.Begin(opt)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// pattern returns n bytes that differ from those of any other seed, in every cluster.
func pattern(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i/251) ^ byte(i) ^ seed
	}
	return p
}

// check checks img with the independent checker and compares its files with want.
func check(t *testing.T, img []byte, want map[string][]byte) {
	t.Helper()
	checkDevice(t, testimg.Mem(img), want)
}

// sized is a volume in memory.
type sized interface {
	io.ReaderAt
	Size() int64
}

func checkDevice(t *testing.T, dev sized, want map[string][]byte) {
	t.Helper()
	r, err := fatcheck.Check(dev, dev.Size())
	if err != nil {
		t.Fatal(err)
	}
	r.Dirty = false
	if !r.Clean() {
		t.Errorf("the volume is not clean: %v", r)
	}
	got, err := fatcheck.ReadTree(dev, dev.Size())
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, got, want)
}

func fixtureTree(t testing.TB, name string) (img []byte, tree map[string][]byte) {
	t.Helper()
	img = testimg.Fixture(t, name)
	tree, err := fatcheck.ReadTree(testimg.Mem(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	return img, tree
}

// op is a command's worth of changes.
type op struct {
	name string
	plan func(*fat.Tx) error
	want func(tree map[string][]byte) // makes the same changes in memory
}

// dropTree removes path and all below it.
func dropTree(tree map[string][]byte, path string) {
	maps.DeleteFunc(tree, func(p string, _ []byte) bool { return p == path || strings.HasPrefix(p, path+"/") })
}

func writeOp(name, path string, data []byte) op {
	return op{name,
		func(tx *fat.Tx) error { return tx.WriteFile(path, source(data)) },
		func(tree map[string][]byte) { tree[path] = data }}
}

// ops are changes to the volumes that all hold the same tree (see make-fixtures.sh). clu is the cluster size.
func ops(clu int) []op {
	const alike = "overlays/an overlay whose name is long and like others "
	return []op{
		writeOp("create short", "NEW.TXT", pattern(3*clu+1, 1)),
		writeOp("create lower case", "new.txt", pattern(clu, 2)),
		writeOp("create long", "a new file with a long name.txt", pattern(2*clu, 3)),
		writeOp("create longest", strings.Repeat("x", 251)+".txt", pattern(10, 4)),
		writeOp("create empty", "nothing at all.txt", nil),
		writeOp("replace larger", "config.txt", pattern(5*clu+7, 5)),
		writeOp("replace fragmented", "fragmented.bin", pattern(7*clu, 6)),
		writeOp("replace smaller", "fragmented.bin", pattern(9, 7)),
		writeOp("replace by empty", "fragmented.bin", []byte{}),
		writeOp("replace empty", "empty", pattern(clu+1, 8)),
		writeOp("replace long-named", "A longer name.text", pattern(clu+2, 9)),
		{"mkdir", func(tx *fat.Tx) error { return tx.Mkdir("EMPTYDIR/a new directory", now) },
			func(tree map[string][]byte) { tree["EMPTYDIR/a new directory/"] = nil }},
		{"new tree", func(tx *fat.Tx) error {
			return errors.Join(
				tx.Mkdir("tree", now), tx.Mkdir("tree/branch", now), tx.Mkdir("tree/branch/twig", now),
				tx.WriteFile("tree/leaf number one.txt", source(pattern(clu+1, 10))),
				tx.WriteFile("tree/branch/leaf", source(pattern(2*clu, 11))),
				tx.WriteFile("tree/branch/twig/Leaf.Two", source(pattern(5, 12))))
		}, func(tree map[string][]byte) {
			tree["tree/"], tree["tree/branch/"], tree["tree/branch/twig/"] = nil, nil, nil
			tree["tree/leaf number one.txt"] = pattern(clu+1, 10)
			tree["tree/branch/leaf"] = pattern(2*clu, 11)
			tree["tree/branch/twig/Leaf.Two"] = pattern(5, 12)
		}},
		{"grow a directory by many", func(tx *fat.Tx) error {
			var errs []error
			for i := range 3 + 2*clu/100 {
				name := alike + strings.Repeat("+", 1+i%40)
				if i >= 40 {
					name += string(rune('0' + i/40))
				}
				errs = append(errs, tx.WriteFile(name, source(pattern(i, 13))))
			}
			return errors.Join(errs...)
		}, func(tree map[string][]byte) {
			for i := range 3 + 2*clu/100 {
				name := alike + strings.Repeat("+", 1+i%40)
				if i >= 40 {
					name += string(rune('0' + i/40))
				}
				tree[name] = pattern(i, 13)
			}
		}},
		{"copy many", func(tx *fat.Tx) error {
			return errors.Join(
				tx.WriteFile("config.txt", source(pattern(clu, 14))),
				tx.WriteFile("README.TXT", source(pattern(2*clu, 15))),
				tx.WriteFile("another long-named one.dtbo", source(pattern(1, 16))),
				tx.Mkdir("overlays", now),
				tx.WriteFile("overlays/deep/nested.cfg", source(pattern(3*clu, 17))),
				tx.WriteFile("overlays/deep/more of it.cfg", source(pattern(clu, 18))))
		}, func(tree map[string][]byte) {
			tree["config.txt"] = pattern(clu, 14)
			tree["README.TXT"] = pattern(2*clu, 15)
			tree["another long-named one.dtbo"] = pattern(1, 16)
			tree["overlays/deep/nested.cfg"] = pattern(3*clu, 17)
			tree["overlays/deep/more of it.cfg"] = pattern(clu, 18)
		}},
		{"remove", func(tx *fat.Tx) error { return tx.Remove("fragmented.bin") },
			func(tree map[string][]byte) { delete(tree, "fragmented.bin") }},
		{"remove long-named", func(tx *fat.Tx) error { return tx.Remove("a LONGER name.text") },
			func(tree map[string][]byte) { delete(tree, "A longer name.text") }},
		{"remove empty directory", func(tx *fat.Tx) error { return tx.Remove("EMPTYDIR") },
			func(tree map[string][]byte) { dropTree(tree, "EMPTYDIR") }},
		{"remove tree", func(tx *fat.Tx) error { return tx.RemoveAll("overlays") },
			func(tree map[string][]byte) { dropTree(tree, "overlays") }},
		{"remove several and write", func(tx *fat.Tx) error {
			return errors.Join(tx.Remove("README.TXT"), tx.Remove("piece1.bin"), tx.RemoveAll("overlays/deep"),
				tx.WriteFile("overlays/instead of it", source(pattern(clu, 19))))
		}, func(tree map[string][]byte) {
			delete(tree, "README.TXT")
			delete(tree, "piece1.bin")
			dropTree(tree, "overlays/deep")
			tree["overlays/instead of it"] = pattern(clu, 19)
		}},
		{"remove everything", func(tx *fat.Tx) error { return tx.RemoveAll(".") },
			func(tree map[string][]byte) { clear(tree) }},
	}
}

// The data of many small files takes few writes, which touch nothing else.
func TestFewWrites(t *testing.T) {
	for _, name := range []string{"fat16", "fat16-s4", "fat32-4k"} {
		img, tree := fixtureTree(t, name)
		dev := testimg.NewCounter(testimg.Mem(img))
		if err := change(dev, int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			var errs []error
			for i := range 30 {
				file := fmt.Sprintf("EMPTYDIR/F%d", i)
				tree[file] = pattern(i*7, byte(i))
				errs = append(errs, tx.WriteFile(file, source(tree[file])))
			}
			return errors.Join(errs...)
		}); err != nil {
			t.Fatal(err)
		}
		check(t, img, tree)
		if dev.Writes > 16 {
			t.Errorf("%s: %d writes for 30 files", name, dev.Writes)
		}
	}
}
