// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// faultVolumes are small volumes of each width, with one and two FATs and with mirroring off.
var faultVolumes = []string{"fat12", "fat16", "fat32", "fat32-one", "fat32-active"}

// oldOrNew compares the tree of a volume after a cut with those before and after the change: every
// file is the whole old or the whole new one, or not there if it is not there in one of them.
func oldOrNew(got, before, after map[string][]byte) error {
	var errs []error
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	maps.Copy(paths, got)
	for path := range paths {
		g, there := got[path]
		b, wasThere := before[path]
		a, isThere := after[path]
		if !(there == wasThere && bytes.Equal(g, b)) && !(there == isThere && bytes.Equal(g, a)) {
			errs = append(errs, fmt.Errorf("%q is neither the old nor the new one (there: %v, %d bytes)", path, there, len(g)))
		}
	}
	return errors.Join(errs...)
}

// judge checks the volume that a cut left.
func judge(dev sized, before, after map[string][]byte) error {
	r, err := fatcheck.Check(dev, dev.Size())
	if err != nil {
		return err
	}
	if !r.Harmless() {
		return fmt.Errorf("the checker finds damage: %v", r)
	}
	if r.Dirty {
		return errors.New("it is marked as in use")
	}
	got, err := fatcheck.ReadTree(dev, dev.Size())
	if err != nil {
		return err
	}
	return oldOrNew(got, before, after)
}

// For every write of every change: cut there, the volume holds each file whole, and the same change
// made again works. A device that fails there returns its error and leaves the same.
func TestFaults(t *testing.T) {
	for _, name := range faultVolumes {
		t.Run(name, func(t *testing.T) {
			img, before := fixtureTree(t, name)
			v := mustOpen(t, img)
			for _, o := range ops(int(v.ClusterSize())) {
				after := maps.Clone(before)
				o.want(after)
				t.Run(o.name, func(t *testing.T) { sweep(t, img, fat.TxOptions{}, o, before, after) })
			}
		})
	}
}

func sweep(t *testing.T, img []byte, opt fat.TxOptions, o op, before, after map[string][]byte) {
	size, start := int64(len(img)), testimg.NewPaged(img)
	for n, hit := 0, true; hit; n++ {
		stopped := start.Clone()
		dev := testimg.NewStopAt(stopped, n)
		if err := change(dev, size, opt, o.plan); err != nil {
			t.Fatalf("stop at write %d: %v", n, err)
		}
		if hit = dev.Hit; !hit {
			checkDevice(t, stopped, after)
		}
		if err := judge(stopped, before, after); err != nil {
			t.Errorf("stop at write %d: %v", n, err)
		}

		failed := start.Clone()
		fails := testimg.NewFailWrite(failed, n)
		if err := change(fails, size, opt, o.plan); hit && !errors.Is(err, testimg.ErrFault) || !hit && err != nil {
			t.Errorf("fail at write %d: %v", n, err)
		}
		if !failed.Equal(stopped) {
			t.Errorf("fail at write %d leaves something else than a stop there", n)
		}
		again(t, n, stopped, opt, o, before, after)
	}
}

// Of a name whose entries stand in clusters far apart no cut leaves a part alone.
func TestFarSlots(t *testing.T) {
	img, before := fixtureTree(t, "fat16")
	plan := func(f func(*fat.Tx) error) {
		t.Helper()
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, f); err != nil {
			t.Fatal(err)
		}
	}
	name := func(i int) string { return fmt.Sprintf("EMPTYDIR/%d %s", i, strings.Repeat("y", 60+i)) }
	for i := range 6 { // the directory grows between large files
		for _, o := range []op{writeOp("", name(i), []byte("x")), writeOp("", fmt.Sprintf("large%d", i), make([]byte, 200<<10))} {
			plan(o.plan)
			o.want(before)
		}
	}
	straddle(t, img, name(0), name(2), name(4))
	check(t, img, before)
	for i := range 6 {
		for _, m := range []move{
			{from: name(i), to: "overlays/moved"}, {from: name(i), to: "EMPTYDIR/short"}, {from: name(i), to: ""},
		} {
			rec := testimg.NewRecorder(img)
			if err := change(rec, rec.Size(), fat.TxOptions{}, func(tx *fat.Tx) error {
				if m.to == "" {
					return tx.Remove(m.from)
				}
				return m.plan(tx)
			}); err != nil {
				t.Fatal(err)
			}
			for n := range rec.Len() + 1 {
				var err error
				if m.to != "" {
					err = m.judge(rec.After(n), rec.Size(), before)
				} else {
					after := maps.Clone(before)
					delete(after, m.from)
					err = judge(rec.After(n), before, after)
				}
				if err != nil {
					t.Errorf("%v: after %d of %d: %v", m, n, rec.Len(), err)
				}
			}
		}
	}
}

// straddle moves the entries of the directory that names are in together, as other programs write them: without
// leaving the rest of a cluster free where a name does not fit. Each of names stands in another cluster of 512 bytes.
func straddle(t *testing.T, img []byte, names ...string) {
	t.Helper()
	var clusters, slots []byte
	var offs []int64
	for _, name := range names {
		fi, err := mustOpen(t, img).Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		off := fi.Sys().(*fat.Entry).Off / 512 * 512
		offs = append(offs, off)
		clusters = append(clusters, img[off:off+512]...)
	}
	for e := range slices.Chunk(clusters, 32) {
		if e[0] != 0 && e[0] != 0xE5 {
			slots = append(slots, e...)
		}
	}
	slots = append(slots, make([]byte, len(clusters)-len(slots))...)
	for i, off := range offs {
		copy(img[off:off+512], slots[i*512:])
	}
}

// What is new is there before anything that is removed in the same Tx is gone: what is moved, as both, is never
// nowhere. A disk that reorders the writes between two syncs changes nothing about that.
func TestNeverNowhere(t *testing.T) {
	const long = "a name that takes some more than one entry"
	for _, name := range faultVolumes {
		img := testimg.Fixture(t, name)
		for _, tt := range []struct{ from, to string }{
			{"config.txt", "NEW.TXT"},
			{"A longer name.text", "b"},
			{"config.txt", long},
			{"README.TXT", "config.txt"},
			{"fragmented.bin", "overlays/" + long},
			{"overlays/deep/nested.cfg", "new.cfg"},
			{"overlays/deep", "EMPTYDIR/" + long},
		} {
			rec := testimg.NewRecorder(img)
			if err := change(rec, int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
				return errors.Join(tx.WriteFile(tt.to, source([]byte("new"))), tx.RemoveAll(tt.from))
			}); err != nil {
				t.Fatal(err)
			}
			old := mustOpen(t, img)
			from, to := contents(t, old, tt.from), contents(t, old, tt.to)
			for n := range rec.Len() + 1 {
				for state := range rec.Torn(n, 5) {
					v := mustOpenDevice(t, state)
					isOld, isNew := contents(t, v, tt.from) == from, contents(t, v, tt.to) == "new"
					if !isOld && !isNew || !isNew && contents(t, v, tt.to) != to {
						t.Errorf("%s: %s to %s: torn after %d of %d: old %v, new %v", name, tt.from, tt.to, n, rec.Len(), isOld, isNew)
					}
				}
			}
		}
	}
}

// contents is what the file name holds, or the names and contents of all that the directory name holds; "-" if it
// is not there.
func contents(t *testing.T, v *fat.FS, name string) string {
	t.Helper()
	var all []string
	err := fs.WalkDir(v, name, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(v, path)
		all = append(all, strings.TrimPrefix(path, name)+string(data))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return strings.Join(all, "\n")
}

// again makes the change once more, on what a cut at write n left.
func again(t *testing.T, n int, dev *testimg.Paged, opt fat.TxOptions, o op, before, after map[string][]byte) {
	t.Helper()
	err := change(dev, dev.Size(), opt, o.plan)
	if len(after) < len(before) { // what is removed may be gone already
		return
	}
	if err != nil {
		t.Errorf("again after a stop at write %d: %v", n, err)
		return
	}
	if err := judge(dev, after, after); err != nil {
		t.Errorf("again after a stop at write %d: %v", n, err)
	}
}

// A disk that reorders the sectors between two syncs still leaves each file whole: the syncs stand where
// they must. (Long names in more than one sector, and removals, may leave parts of a long name behind.)
func TestTorn(t *testing.T) {
	for _, name := range []string{"fat16", "fat32-one"} {
		img, before := fixtureTree(t, name)
		v := mustOpen(t, img)
		for _, o := range ops(int(v.ClusterSize())) {
			if strings.HasPrefix(o.name, "remove") || o.name == "create longest" {
				continue
			}
			after := maps.Clone(before)
			o.want(after)
			rec := testimg.NewRecorder(img)
			if err := change(rec, int64(len(img)), fat.TxOptions{}, o.plan); err != nil {
				t.Fatal(err)
			}
			for n := range rec.Len() + 1 {
				for state := range rec.Torn(n, 8) {
					if err := judge(state, before, after); err != nil {
						t.Errorf("%s: %s: torn after %d of %d: %v", name, o.name, n, rec.Len(), err)
					}
				}
			}
		}
	}
}

// The links to the clusters that a directory grows by come a sync after the chains of these: where both stand in
// different sectors of the FAT, either may be there without the other.
func TestTornGrow(t *testing.T) {
	for _, name := range []string{"fat16", "fat32-one"} {
		img, before := fixtureTree(t, name)
		v := mustOpen(t, img)
		free, err := v.Free()
		if err != nil {
			t.Fatal(err)
		}
		fill := writeOp("", "fill", make([]byte, free-3*v.ClusterSize())) // the last three stay free
		fill.want(before)
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, fill.plan); err != nil {
			t.Fatal(err)
		}
		after := maps.Clone(before)
		rec := testimg.NewRecorder(img)
		if err := change(rec, int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			name := "EMPTYDIR/" + strings.Repeat("x", 190) // a sector full of entries
			after[name] = nil
			return tx.WriteFile(name, source(nil))
		}); err != nil {
			t.Fatal(err)
		}
		for n := range rec.Len() + 1 {
			for state := range rec.Torn(n, 16) {
				if err := judge(state, before, after); err != nil {
					t.Errorf("%s: torn after %d of %d: %v", name, n, rec.Len(), err)
				}
			}
		}
	}
}
