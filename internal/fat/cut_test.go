// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// tailed is a fixture with a file "tail" in its last three clusters, of the last of which it needs ten bytes. tail is
// where that cluster begins.
func tailed(t *testing.T, name string) (img []byte, tree map[string][]byte, tail int) {
	t.Helper()
	img, tree = fixtureTree(t, name)
	v := mustOpen(t, img)
	free, err := v.Free()
	if err != nil {
		t.Fatal(err)
	}
	clu := int(v.ClusterSize())
	tree["tail"] = pattern(2*clu+10, 99)
	for _, plan := range []func(tx *fat.Tx) error{
		func(tx *fat.Tx) error { return tx.WriteFile("filler", source(make([]byte, int(free)-3*clu))) },
		func(tx *fat.Tx) error { return tx.WriteFile("tail", source(tree["tail"])) },
		func(tx *fat.Tx) error { return tx.Remove("filler") },
	} {
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, plan); err != nil {
			t.Fatal(err)
		}
	}
	check(t, img, tree)
	return img, tree, bytes.LastIndex(img, tree["tail"][2*clu:])
}

var cutVolumes = []string{"fat12", "fat16", "fat16-s4", "fat32", "fat32-s8", "fat32-4k"}

// A volume that says it is larger than what is there is read as far as it goes: only files that need more are damaged.
func TestCutRead(t *testing.T) {
	for _, name := range cutVolumes {
		img, tree, tail := tailed(t, name)
		clu := int(mustOpen(t, img).ClusterSize())
		for size, whole := range map[int]bool{
			tail + clu: true, tail + 10: true, tail + 9: false, tail: false, tail - 1: false, tail - 2*clu: false, tail - 3*clu - 1: false,
		} {
			cut := img[:size:size]
			v := mustOpen(t, cut)
			for path, want := range tree {
				if path == "tail" && !whole || strings.HasSuffix(path, "/") {
					continue
				}
				if got, err := fs.ReadFile(v, path); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, %d of %d bytes: %s: %v", name, size, len(img), path, err)
				}
			}
			if list, err := v.ReadDir("."); err != nil || len(list) == 0 {
				t.Errorf("%s, %d of %d bytes: %d entries, %v", name, size, len(img), len(list), err)
			}
			_, err := v.OpenFile("tail")
			if (err == nil) != whole || err != nil && !errors.Is(err, fat.ErrCorrupt) {
				t.Errorf("%s, %d of %d bytes: tail: %v", name, size, len(img), err)
			}
			r, err := fatcheck.Check(testimg.Mem(cut), int64(size))
			if err != nil || r.Harmless() != whole {
				t.Errorf("%s, %d of %d bytes: the checker: %v, %v", name, size, len(img), r, err)
			}
		}
	}
	img, _, tail := tailed(t, "fat16")
	_, err := mustOpen(t, img[:tail-1]).OpenFile("tail")
	want := fmt.Sprintf("open tail: damaged file system: cluster 4531 is past the end: only %d of the volume's 2355200 bytes are there"+
		" (byte %d of the volume)", tail-1, tail-512)
	if errText(err) != want {
		t.Errorf("OpenFile = %v, want %s", err, want)
	}
}

// What is written goes into clusters that lie whole on what is there. Free and a NoSpaceError count those only,
// FSInfo's count is that of all free entries.
func TestCutWrite(t *testing.T) {
	for _, name := range cutVolumes {
		img, before, tail := tailed(t, name)
		clu := int(mustOpen(t, img).ClusterSize())
		for _, size := range []int{tail + clu - 1, tail + 1, tail, tail - 1, tail - 2*clu, tail - 20*clu - 1} {
			cut, tree := testimg.NewPaged(img[:size]), maps.Clone(before)
			plan := func(f func(tx *fat.Tx) error) error { return change(cut, int64(size), fat.TxOptions{}, f) }
			remove := func(tx *fat.Tx) error { return tx.Remove("tail") } // its clusters are not given out again
			if err := plan(remove); err != nil {
				t.Fatal(err)
			}
			delete(tree, "tail")
			free, err := mustOpenDevice(t, cut).Free()
			r, rerr := fatcheck.Check(cut, int64(size))
			if err != nil || rerr != nil {
				t.Fatal(err, rerr)
			}
			past := (tail + clu - size + clu - 1) / clu // clusters that are not there, or in part
			if free != int64((r.Free-past)*clu) {
				t.Errorf("%s, %d of %d bytes: Free = %d; %d clusters are free, %d not there", name, size, len(img), free, r.Free, past)
			}
			err = plan(func(tx *fat.Tx) error { return tx.WriteFile("more", unread(free+1)) })
			if want := fmt.Sprintf("no space: %d bytes needed, %d free", free+int64(clu), free); errText(err) != want {
				t.Errorf("%s, %d of %d bytes: %v, want %s", name, size, len(img), err, want)
			}
			o := writeOp("", "all of it", pattern(int(free), 1))
			if err := plan(o.plan); err != nil {
				t.Errorf("%s, %d of %d bytes: %v", name, size, len(img), err)
			}
			o.want(tree)
			checkDevice(t, cut, tree)
		}
	}
}

// A file that needs what is past the end can be replaced and removed, in place too.
func TestCutReplace(t *testing.T) {
	for _, name := range cutVolumes {
		img, before, tail := tailed(t, name)
		for _, o := range []op{
			writeOp("replace", "tail", []byte("new")),
			{"remove", func(tx *fat.Tx) error { return tx.Remove("tail") }, func(tree map[string][]byte) { delete(tree, "tail") }},
		} {
			cut, tree := bytes.Clone(img[:tail-1]), maps.Clone(before)
			if err := change(testimg.Mem(cut), int64(len(cut)), fat.TxOptions{}, o.plan); err != nil {
				t.Errorf("%s: %s: %v", name, o.name, err)
			}
			o.want(tree)
			check(t, cut, tree)
		}
		cut := bytes.Clone(img[:tail-1])
		free, err := mustOpen(t, cut).Free()
		if err != nil {
			t.Fatal(err)
		}
		clu := mustOpen(t, cut).ClusterSize()
		err = change(testimg.Mem(cut), int64(len(cut)), fat.TxOptions{InPlace: true}, writeOp("", "tail", make([]byte, free+2*clu)).plan)
		if none := (*fat.NoSpaceError)(nil); !errors.As(err, &none) || none.InPlace {
			t.Errorf("%s: more than the one cluster that tail has before the end: %v", name, err)
		}
		o := writeOp("in place", "tail", pattern(int(free+clu), 3))
		if err := change(testimg.Mem(cut), int64(len(cut)), fat.TxOptions{InPlace: true}, o.plan); err != nil {
			t.Errorf("%s: %s: %v", name, o.name, err)
		}
		o.want(before)
		check(t, cut, before)
	}
}

// What a cut write left is taken back where it is needed, though clusters past the end are free. The hint in FSInfo
// never leads there.
func TestCutLost(t *testing.T) {
	for _, name := range cutVolumes {
		img, tree, tail := tailed(t, name)
		clu := mustOpen(t, img).ClusterSize()
		cut := bytes.Clone(img[:tail-2*int(clu)+1]) // all of tail is past the end
		delete(tree, "tail")
		if err := change(testimg.Mem(cut), int64(len(cut)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.Remove("tail") }); err != nil {
			t.Fatal(err)
		}
		free, err := mustOpen(t, cut).Free()
		if err != nil {
			t.Fatal(err)
		}
		o := writeOp("", "config.txt", pattern(int((free/clu/2+1)*clu), 1)) // once it is lost, fewer than that are free
		for n := 1; ; n++ {
			stopped := bytes.Clone(cut)
			dev := testimg.NewStopAt(testimg.Mem(stopped), n)
			if err := change(dev, int64(len(cut)), fat.TxOptions{}, o.plan); err != nil {
				t.Fatal(err)
			}
			if got, err := fs.ReadFile(mustOpen(t, stopped), "config.txt"); err != nil || !bytes.Equal(got, tree["config.txt"]) {
				break // the new one is there
			}
			if err := change(testimg.Mem(stopped), int64(len(cut)), fat.TxOptions{}, o.plan); err != nil {
				t.Errorf("%s: again after a stop at write %d: %v", name, n, err)
			}
		}
		img = bytes.Clone(img[:len(cut)])
		free, err = mustOpen(t, img).Free()
		if err != nil {
			t.Fatal(err)
		}
		fill := writeOp("", "fill", pattern(int(free), 2))
		fill.want(tree)
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, fill.plan); err != nil {
			t.Fatal(err)
		}
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.Remove("tail") }); err != nil {
			t.Fatal(err)
		}
		check(t, img, tree)
		sector := int(binary.LittleEndian.Uint16(img[11:]))
		if hint := img[sector+492:][:4]; mustOpen(t, img).Width() == 32 && !bytes.Equal(hint, []byte("\xff\xff\xff\xff")) {
			t.Errorf("%s: FSInfo's hint is %x", name, hint)
		}
	}
}

// A directory that goes on past the end shows what is there of it; nothing is written to it.
func TestCutDirectory(t *testing.T) {
	for _, name := range cutVolumes {
		img, _, _ := tailed(t, name)
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.Remove("tail") }); err != nil {
			t.Fatal(err)
		}
		v := mustOpen(t, img)
		free, err := v.Free()
		if err != nil {
			t.Fatal(err)
		}
		clu := int(v.ClusterSize())
		for _, plan := range []func(tx *fat.Tx) error{
			func(tx *fat.Tx) error { return tx.WriteFile("filler", source(make([]byte, int(free)-3*clu))) },
			func(tx *fat.Tx) error { // two clusters of a directory at the end, and one of a file before
				errs := []error{tx.Mkdir("dir", now)}
				for i := range clu/32 + 10 {
					errs = append(errs, tx.WriteFile(fmt.Sprintf("dir/%d", i), source(nil)))
				}
				return errors.Join(errs...)
			},
			func(tx *fat.Tx) error { return tx.Remove("filler") },
		} {
			if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, plan); err != nil {
				t.Fatal(err)
			}
		}
		second := bytes.LastIndex(img, []byte(fmt.Sprintf("%-11d", clu/32-2)))
		cut := bytes.Clone(img[:second+5*32+1])
		list, err := mustOpen(t, cut).ReadDir("dir")
		if len(list) != clu/32-2+5 || !errors.Is(err, fat.ErrCorrupt) || !strings.Contains(errText(err), "is past the end: only") {
			t.Errorf("%s: %d entries, %v", name, len(list), err)
		}
		err = change(testimg.Mem(cut), int64(len(cut)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.WriteFile("dir/new", source(nil)) })
		if !errors.Is(err, fat.ErrCorrupt) {
			t.Errorf("%s: a change of the directory: %v", name, err)
		}
		if err := change(testimg.Mem(cut), int64(len(cut)), fat.TxOptions{}, writeOp("", "new", []byte("x")).plan); err != nil {
			t.Errorf("%s: a change of another directory: %v", name, err)
		}
	}
}
