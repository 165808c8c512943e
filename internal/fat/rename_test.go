// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// move is what Rename is told, and what becomes of it.
type move struct {
	from, to string
	spelled  string // the path of the new place as the volume has it; "": to
	wide     bool   // old or new entries are in more than one sector, of which a disk may write one alone
}

func (m move) String() string { return m.from + " to " + m.to }

func (m move) plan(tx *fat.Tx) error { return tx.Rename(m.from, m.to, nil) }

func (m move) target() string {
	if m.spelled != "" {
		return m.spelled
	}
	return m.to
}

// below returns what of the tree is path or below it, by the rest of the paths.
func below(tree map[string][]byte, path string) map[string][]byte {
	part := map[string][]byte{}
	for p, data := range tree {
		if rest, ok := strings.CutPrefix(p, path); ok && (rest == "" || rest[0] == '/') {
			part[rest] = data
		}
	}
	return part
}

// want makes the move in memory.
func (m move) want(tree map[string][]byte) {
	part := below(tree, m.from)
	for rest := range part {
		delete(tree, m.from+rest)
	}
	for rest := range below(tree, m.target()) {
		delete(tree, m.target()+rest)
	}
	for rest, data := range part {
		tree[m.target()+rest] = data
	}
}

// judge checks what a cut left: what is moved is whole in its old place or in its new one, or in both; what it
// replaces is there until then; all else is as it was, and no two entries share a cluster.
func (m move) judge(dev fat.Device, size int64, before map[string][]byte) error {
	r, err := fatcheck.Check(dev, size)
	if err != nil || !r.Harmless() || r.Dirty {
		return fmt.Errorf("the checker: %v, in use: %v, %v", r, r != nil && r.Dirty, err)
	}
	got, err := fatcheck.ReadTree(dev, size)
	if err != nil {
		return err
	}
	equal := func(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
	want := below(before, m.from)
	isOld, isNew := equal(below(got, m.from), want), equal(below(got, m.target()), want)
	switch {
	case !isOld && !isNew:
		return errors.New("it is in neither place")
	case !isOld && len(below(got, m.from)) > 0 && m.from != m.target():
		return errors.New("it is in its old place in part")
	case !isNew && !equal(below(got, m.target()), below(before, m.target())):
		return errors.New("it is in its new place in part")
	}
	rest := func(tree map[string][]byte) map[string][]byte {
		tree = maps.Clone(tree)
		for _, path := range []string{m.from, m.target()} {
			for rest := range below(tree, path) {
				delete(tree, path+rest)
			}
		}
		return tree
	}
	if !equal(rest(got), rest(before)) {
		return errors.New("something else has changed")
	}
	return nil
}

const longer = "a name that takes some more than one entry of its directory"

// moves are moves in the volumes that all hold the same tree. Those of inPlace are made by one write.
var (
	inPlace = []move{
		{from: "config.txt", to: "NEW.TXT"},
		{from: "A longer name.text", to: "b"},
		{from: "A longer name.text", to: "A longer NAME.text"},
		{from: "A longer name.text", to: "ALONGE~1.TEX"},
		{from: "fragmented.bin", to: "Fragments.bin"},
		{from: "README.TXT", to: "readme.txt"},
		{from: "overlays", to: "others"},
		{from: "overlays/deep", to: "overlays/DEEP"},
		{from: "overlays/deep/nested.cfg", to: "overlays/deep/" + longer},
		{from: "config.txt", to: "Config.TXT", wide: true}, // its sector has no room
	}
	copied = []move{
		{from: "config.txt", to: longer + strings.Repeat("+", 150), wide: true},
		{from: "empty", to: "Quite Empty"}, // nor has that
		{from: "config.txt", to: "overlays/config.txt"},
		{from: "empty", to: "overlays/deep/nothing in it"},
		{from: "fragmented.bin", to: "overlays/deep/nested.cfg", wide: true},
		{from: "overlays/deep/nested.cfg", to: "CONFIG.TXT", spelled: "config.txt"},
		{from: "overlays", to: "EMPTYDIR/" + longer},
		{from: "overlays/deep", to: "deep"},
		{from: "overlays/deep", to: "emptydir", spelled: "EMPTYDIR"},
	}
)

// For every write of every move: cut there, it is whole in one place at least, and the same move made again ends it.
func TestRenameFaults(t *testing.T) {
	for _, name := range append([]string{"fat32-4k"}, faultVolumes...) {
		img, before := fixtureTree(t, name)
		size, start := int64(len(img)), testimg.NewPaged(img)
		for i, m := range append(inPlace[:len(inPlace):len(inPlace)], copied...) {
			after := maps.Clone(before)
			m.want(after)
			for n, hit := 0, true; hit; n++ {
				stopped := start.Clone()
				dev := testimg.NewStopAt(stopped, n)
				if err := change(dev, size, fat.TxOptions{}, m.plan); err != nil {
					t.Fatalf("%s: %v: stop at write %d: %v", name, m, n, err)
				}
				if hit = dev.Hit; !hit {
					checkDevice(t, stopped, after)
					if want := i < len(inPlace); (dev.Writes == 1) != want || dev.Syncs > 5 || want && dev.Syncs != 1 {
						t.Errorf("%s: %v: %d writes, %d syncs", name, m, dev.Writes, dev.Syncs)
					}
				}
				if err := m.judge(stopped, size, before); err != nil {
					t.Errorf("%s: %v: stop at write %d: %v", name, m, n, err)
				}
				fails := testimg.NewFailWrite(start.Clone(), n)
				if err := change(fails, size, fat.TxOptions{}, m.plan); hit != errors.Is(err, testimg.ErrFault) {
					t.Errorf("%s: %v: fail at write %d: %v", name, m, n, err)
				}
				err := change(stopped, size, fat.TxOptions{}, m.plan)
				switch {
				case errors.Is(err, fs.ErrNotExist): // it was done
				case err != nil:
					t.Errorf("%s: %v: again after a stop at write %d: %v", name, m, n, err)
				default:
					if err := judge(stopped, after, after); err != nil {
						t.Errorf("%s: %v: again after a stop at write %d: %v", name, m, n, err)
					}
				}
			}
		}
	}
}

// A directory moves onto one that holds just the same, as a cut move leaves it, and onto no other one.
func TestRenameEnds(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	for name, tt := range map[string]struct {
		more func(tx *fat.Tx) error
		want string
	}{
		"the same": {func(*fat.Tx) error { return nil }, ""},
		"less":     {func(tx *fat.Tx) error { return tx.Remove("EMPTYDIR/o/dwc2.dtbo") }, "rename EMPTYDIR/o: directory not empty"},
		"more":     {func(tx *fat.Tx) error { return tx.WriteFile("EMPTYDIR/o/deep/x", source(nil)) }, "rename EMPTYDIR/o: directory not empty"},
		"another name": {func(tx *fat.Tx) error { return tx.Rename("EMPTYDIR/o/deep", "EMPTYDIR/o/DEEP", nil) },
			"rename EMPTYDIR/o: directory not empty"},
		"another time": {func(tx *fat.Tx) error { // of creation
			return tx.WriteFile("EMPTYDIR/o/dwc2.dtbo", source(tree["overlays/dwc2.dtbo"]))
		}, "rename EMPTYDIR/o: directory not empty"},
		"another content": {func(tx *fat.Tx) error {
			data := bytes.Clone(tree["overlays/dwc2.dtbo"])
			data[len(data)-1]++
			return tx.WriteFile("EMPTYDIR/o/dwc2.dtbo", source(data))
		}, "rename EMPTYDIR/o: directory not empty"},
	} {
		rec := testimg.NewRecorder(img)
		plan := func(f func(tx *fat.Tx) error) error { return change(rec, rec.Size(), fat.TxOptions{}, f) }
		if err := plan(move{from: "overlays", to: "EMPTYDIR/o"}.plan); err != nil {
			t.Fatal(err)
		}
		n := 0 // the writes after which both are there
		for contents(t, mustOpenDevice(t, rec.After(n)), "EMPTYDIR/o") == "-" {
			n++
		}
		rec = testimg.Record(rec.After(n))
		if err := plan(tt.more); err != nil {
			t.Fatal(err)
		}
		told := errors.New("not told")
		err := plan(func(tx *fat.Tx) error { return tx.Rename("overlays", "EMPTYDIR/o", func(err error) { told = err }) })
		if errText(err) != tt.want || (told == nil) != (err == nil) {
			t.Errorf("%s: %v, done was told %v", name, err, told)
		}
		want := contents(t, mustOpen(t, img), "overlays")
		v := mustOpenDevice(t, rec)
		if old := contents(t, v, "overlays"); tt.want == "" && old != "-" || tt.want != "" && old != want {
			t.Errorf("%s: the old place holds %d bytes", name, len(old))
		}
		if tt.want == "" && contents(t, v, "EMPTYDIR/o") != want {
			t.Errorf("%s: the new place does not hold it", name)
		}
	}
}

// What is changed in the same Tx is not what a cut left.
func TestRenameEndsNot(t *testing.T) {
	img, _ := fixtureTree(t, "fat16")
	rec := testimg.NewRecorder(img)
	if err := change(rec, rec.Size(), fat.TxOptions{}, move{from: "overlays", to: "EMPTYDIR/o"}.plan); err != nil {
		t.Fatal(err)
	}
	n := 0
	for contents(t, mustOpenDevice(t, rec.After(n)), "EMPTYDIR/o") == "-" {
		n++
	}
	for name, plan := range map[string]func(tx *fat.Tx) error{
		"removed from the old": func(tx *fat.Tx) error { return tx.Remove("overlays/dwc2.dtbo") },
		"removed from the new": func(tx *fat.Tx) error { return tx.Remove("EMPTYDIR/o/deep/nested.cfg") },
		"written to the new":   func(tx *fat.Tx) error { return tx.WriteFile("EMPTYDIR/o/dwc2.dtbo", source([]byte("new"))) },
	} {
		dev := rec.After(n)
		if err := change(dev, dev.Size(), fat.TxOptions{}, func(tx *fat.Tx) error {
			if !tx.WasMoved("overlays", "EMPTYDIR/o") || tx.WasMoved("overlays", "EMPTYDIR") || tx.WasMoved("overlays", "overlays") ||
				tx.WasMoved("config.txt", "README.TXT") || tx.WasMoved("overlays", ".") || tx.WasMoved("none", "EMPTYDIR/o") {
				t.Errorf("%s: WasMoved is wrong", name)
			}
			if err := plan(tx); err != nil {
				t.Fatal(err)
			}
			if err := tx.Rename("overlays", "EMPTYDIR/o", nil); tx.WasMoved("overlays", "EMPTYDIR/o") || err == nil {
				t.Errorf("%s: Rename = %v", name, err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// What was prepared is not planned any further, and nothing is written until Commit.
func TestPrepare(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	dev := testimg.NewCounter(testimg.Mem(img))
	if err := change(dev, int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		if err := tx.WriteFile("new", source([]byte("new"))); err != nil {
			return err
		}
		if err := tx.Prepare(); err != nil || dev.Writes > 0 {
			t.Errorf("Prepare = %v, with %d writes", err, dev.Writes)
		}
		if err := errors.Join(tx.Prepare(), tx.Mkdir("dir", now)); err == nil {
			t.Error("something can be planned after Prepare")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tree["new"] = []byte("new")
	check(t, img, tree)
}

// A disk that reorders the writes between two syncs changes nothing about that.
func TestRenameTorn(t *testing.T) {
	for _, name := range []string{"fat16", "fat32-one"} {
		img, before := fixtureTree(t, name)
		for _, m := range append(inPlace[:len(inPlace):len(inPlace)], copied...) {
			if m.wide {
				continue
			}
			rec := testimg.NewRecorder(img)
			if err := change(rec, int64(len(img)), fat.TxOptions{}, m.plan); err != nil {
				t.Fatal(err)
			}
			for n := range rec.Len() + 1 {
				for state := range rec.Torn(n, 6) {
					if err := m.judge(state, int64(len(img)), before); err != nil {
						t.Errorf("%s: %v: torn after %d of %d: %v", name, m, n, rec.Len(), err)
					}
				}
			}
		}
	}
}

// fsck.vfat agrees: a cut leaves lost clusters at worst, and nothing at all is left of a move that ends.
func TestRenameFsck(t *testing.T) {
	testimg.NeedPeer(t, "fsck.vfat")
	for _, name := range []string{"fat12", "fat32"} {
		img := testimg.Fixture(t, name)
		file := filepath.Join(t.TempDir(), name)
		for _, m := range append(inPlace[:len(inPlace):len(inPlace)], copied...) {
			rec := testimg.NewRecorder(img)
			if err := change(rec, int64(len(img)), fat.TxOptions{NoSync: true}, m.plan); err != nil {
				t.Fatal(err)
			}
			for n := range rec.Len() + 1 {
				if err := os.WriteFile(file, rec.After(n).Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
				if err := fsck(file, n == rec.Len()); err != nil {
					t.Errorf("%s: %v: after %d of %d writes: %v", name, m, n, rec.Len(), err)
				}
			}
		}
	}
}

// A file that replaces another one in its sector takes its entry, its name and no copy; in another sector it is copied.
func TestRenameReplaces(t *testing.T) {
	for _, name := range faultVolumes {
		img, before := fixtureTree(t, name)
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			var errs []error
			for i := range 60 {
				errs = append(errs, tx.WriteFile(fmt.Sprintf("EMPTYDIR/%d.TXT", i), source(pattern(i, byte(i)))))
				before[fmt.Sprintf("EMPTYDIR/%d.TXT", i)] = pattern(i, byte(i))
			}
			return errors.Join(append(errs, tx.Mkdir("EMPTYDIR/X", now), tx.Mkdir("EMPTYDIR/Y", now), tx.Mkdir("EMPTYDIR/X/Z", now))...)
		}); err != nil {
			t.Fatal(err)
		}
		before["EMPTYDIR/X/"], before["EMPTYDIR/Y/"], before["EMPTYDIR/X/Z/"] = nil, nil, nil
		for _, tt := range []struct {
			from, to string
			copied   bool
		}{
			{"3.TXT", "5.TXT", false},
			{"5.TXT", "3.TXT", false},
			{"5.TXT", "0.TXT", false}, // an empty one
			{"40.TXT", "5.TXT", true},
			{"X", "Y", false},
		} {
			m := move{from: "EMPTYDIR/" + tt.from, to: "EMPTYDIR/" + tt.to}
			after := maps.Clone(before)
			m.want(after)
			rec := testimg.NewRecorder(img)
			stat := func(dev *testimg.Paged, name string) fat.Entry {
				fi, err := mustOpenDevice(t, dev).Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				return *fi.Sys().(*fat.Entry)
			}
			was := stat(rec.Paged, m.to)
			if err := change(rec, int64(len(img)), fat.TxOptions{NoSync: true, Now: now}, m.plan); err != nil {
				t.Fatal(err)
			}
			for n := range rec.Len() + 1 {
				if err := m.judge(rec.After(n), int64(len(img)), before); err != nil {
					t.Errorf("%s: %v: after %d of %d writes: %v", name, m, n, rec.Len(), err)
				}
			}
			check(t, rec.Bytes(), after)
			was.Created = now.Add(10 * time.Millisecond) // at least 10 ms after the entry it replaces
			if is := stat(rec.Paged, m.to); is != was {
				t.Errorf("%s: %v: %+v, want %+v", name, m, is, was)
			}
			one := rec.After(1) // the first write
			if _, err := mustOpenDevice(t, one).Stat(m.from); errors.Is(err, fs.ErrNotExist) == tt.copied {
				t.Errorf("%s: %v: copied %v: %v", name, m, !tt.copied, err)
			}
		}
	}
}

// What is moved keeps its times and attributes.
func TestRenameKeeps(t *testing.T) {
	for _, to := range []string{"new name.txt", "overlays/new name.txt"} {
		img := image(testimg.Fixture(t, "fat16"))
		e := img.entry(t, "CONFIG  TXT")
		e[11] |= 0x03
		copy(e[13:20], []byte{150, 0x21, 0x6D, 0x57, 0x59, 0x58, 0x59})
		was, err := mustOpen(t, img).Stat("config.txt")
		if err != nil {
			t.Fatal(err)
		}
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, move{from: "config.txt", to: to}.plan); err != nil {
			t.Fatal(err)
		}
		is, err := mustOpen(t, img).Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		want := *was.Sys().(*fat.Entry)
		got := *is.Sys().(*fat.Entry)
		want.ShortName, want.Off = "NEWNAM~1.TXT", got.Off
		if got != want || !is.ModTime().Equal(was.ModTime()) || is.Mode() != was.Mode() || is.Size() != was.Size() {
			t.Errorf("%+v %v, want %+v %v", got, is, want, was)
		}
		if e := img.entry(t, "NEWNAM~1TXT"); e[11] != 0x23 || e[12] != 0 || !bytes.Equal(e[18:20], []byte{0x58, 0x59}) {
			t.Errorf("entry %x", e)
		}
	}
}

// What cannot be moved is refused with a plain text, and a bad move leaves the others of the Tx.
func TestRenameRefused(t *testing.T) {
	for _, tt := range []struct {
		from, to, want string
	}{
		{"nothing", "x", "rename nothing: no such file or directory"},
		{"caf\xe9", "x", "rename caf\xe9: no such file or directory"},
		{"config.txt", "caf\xe9", "rename caf\xe9: invalid name: it is not UTF-8"},
		{"config.txt", "a:b", "rename a:b: invalid name: it holds ':'"},
		{"config.txt", "nowhere/x", "rename nowhere/x: no such file or directory"},
		{"config.txt", "README.TXT/x", "rename README.TXT/x: not a directory"},
		{"config.txt", "overlays", "rename overlays: is a directory"},
		{"overlays", "config.txt", "rename config.txt: not a directory"},
		{"EMPTYDIR", "overlays", "rename overlays: directory not empty"},
		{"overlays", "overlays/deep/x", "rename overlays/deep/x: cannot move a directory into itself"},
		{"overlays/deep", "overlays", "rename overlays: directory not empty"},
		{".", "x", "rename .: the root directory cannot be moved or replaced"},
		{"overlays", ".", "rename .: the root directory cannot be moved or replaced"},
		{"new", "newer", "rename new: will not overwrite what was just made"},
		{"piece1.bin", "new", "rename new: will not overwrite what was just made"},
		{"piece3.bin", "x", "rename piece3.bin: no such file or directory"}, // moved already
		{"piece1.bin", "piece3.bin", "rename piece3.bin: removed at the same time"},
	} {
		img, tree := fixtureTree(t, "fat12")
		v := mustOpen(t, img)
		tx, err := v.Begin(fat.TxOptions{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(tx.WriteFile("new", source([]byte("new"))), tx.Rename("piece3.bin", "moved.bin", nil)); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rename(tt.from, tt.to, func(error) { t.Error("done was called") }); errText(err) != tt.want {
			t.Errorf("Rename(%q, %q) = %v, want %s", tt.from, tt.to, err, tt.want)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		tree["new"] = []byte("new")
		move{from: "piece3.bin", to: "moved.bin"}.want(tree)
		check(t, img, tree)
	}
}

// Several moves in one Tx, out of what is moved itself too, and a directory made for them.
func TestRenameMany(t *testing.T) {
	for _, name := range faultVolumes {
		img, tree := fixtureTree(t, name)
		var done int
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			errs := []error{tx.Mkdir("made", now)}
			for _, m := range []move{
				{from: "overlays/deep/nested.cfg", to: "made/nested.cfg"},
				{from: "overlays/deep", to: "made/deep"},
				{from: "overlays", to: "made/overlays"},
				{from: "config.txt", to: "made/config.txt"},
				{from: "README.TXT", to: "read me.txt"},
				{from: "empty", to: "nothing"},
			} {
				m.want(tree)
				errs = append(errs, tx.Rename(m.from, m.to, func(err error) {
					if done++; err != nil {
						t.Errorf("%v: %v", m, err)
					}
				}))
			}
			return errors.Join(errs...)
		}); err != nil {
			t.Fatal(err)
		}
		tree["made/"] = nil
		check(t, img, tree)
		if done != 6 {
			t.Errorf("%s: done was called %d times", name, done)
		}
	}
}

// What cannot be read whole stays where it is, with all it is a part of; a name alone can be changed.
func TestRenameDamaged(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	image(img).link(image(img).cluster(t, "FRAGME~1BIN"), 0xFFF7)
	image(img).entry(t, "NESTED  CFG")[27] = 0xEE // past the last cluster
	before := bytes.Clone(img)
	told := map[string]error{}
	rename := func(tx *fat.Tx, from, to string) error {
		return tx.Rename(from, to, func(err error) { told[from] = err })
	}
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		return errors.Join(rename(tx, "fragmented.bin", "EMPTYDIR/x"), rename(tx, "overlays", "EMPTYDIR/overlays"))
	}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(told["fragmented.bin"], fat.ErrCorrupt) || !errors.Is(told["overlays"], fat.ErrCorrupt) {
		t.Errorf("done was told %v", told)
	}
	if !bytes.Equal(img, before) {
		t.Error("the volume was changed")
	}
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		return errors.Join(rename(tx, "fragmented.bin", "frag.bin"), rename(tx, "config.txt", "EMPTYDIR/config.txt"))
	}); err != nil || told["fragmented.bin"] != nil || told["config.txt"] != nil {
		t.Errorf("%v, told %v", err, told)
	}
	if got, err := fs.ReadFile(mustOpen(t, img), "EMPTYDIR/config.txt"); err != nil || !bytes.Equal(got, tree["config.txt"]) {
		t.Errorf("config.txt: %v", err)
	}
	if _, err := mustOpen(t, img).Stat("frag.bin"); err != nil {
		t.Error(err)
	}
}

// A read that fails in the midst of a directory leaves it where it is, and what it shares with others.
func TestRenameReadFails(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	entry := func(short string) []byte { return image(img).entry(t, short) }
	copy(entry("README  TXT")[26:32], entry("NESTED  CFG")[26:32]) // a part of what is moved, too
	tree["README.TXT"] = tree["overlays/deep/nested.cfg"]
	bad := bytes.Index(img, tree["overlays/dwc2.dtbo"])
	dev := &badSector{Mem: testimg.Mem(img), off: int64(bad)}
	var told error
	err := change(dev, int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		return errors.Join(tx.Rename("overlays", "EMPTYDIR/overlays", func(err error) { told = err }), tx.Remove("README.TXT"))
	})
	if err != nil || !errors.Is(told, errBadSector) {
		t.Errorf("Commit = %v, done was told %v", err, told)
	}
	delete(tree, "README.TXT")
	if err := judge(testimg.Mem(img), tree, tree); err != nil {
		t.Error(err)
	}
}

// What needs something to be moved out of it stays where it is if that fails.
func TestRenameNeeds(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	dev := &badSector{Mem: testimg.Mem(img), off: int64(bytes.Index(img, tree["overlays/dwc2.dtbo"]))}
	var told []error
	note := func(err error) { told = append(told, err) }
	if err := change(dev, int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		return errors.Join(tx.Rename("overlays/dwc2.dtbo", "EMPTYDIR/x", note), tx.Rename("overlays", "EMPTYDIR/overlays", note))
	}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !errors.Is(told[0], errBadSector) || !errors.Is(told[1], errBadSector) {
		t.Errorf("done was told %v", told)
	}
	check(t, img, tree)
}

// A new name that needs more slots does not bring back what stands after the end of its directory, and leaves room
// for what is made there in the same Tx.
func TestRenamePastEnd(t *testing.T) {
	img := image(testimg.Fixture(t, "fat16"))
	plan := func(f func(tx *fat.Tx) error) {
		t.Helper()
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, f); err != nil {
			t.Fatal(err)
		}
	}
	plan(writeOp("", "EMPTYDIR/ONE.TXT", []byte("one")).plan)
	one := bytes.Index(img, []byte("ONE     TXT"))
	ghost := img[one+6*32:][:32]
	copy(ghost, img[one:][:32])
	copy(ghost, "GHOST   TXT")
	was := bytes.Clone(img)
	for _, tt := range []struct {
		stale bool
		more  []string
	}{{true, nil}, {true, []string{"two"}}, {false, nil}, {false, []string{"two", "three and some more letters"}}} {
		copy(img, was)
		if !tt.stale {
			clear(ghost)
		}
		plan(func(tx *fat.Tx) error {
			errs := []error{tx.Rename("EMPTYDIR/ONE.TXT", "EMPTYDIR/"+longer, nil)}
			for _, name := range tt.more {
				errs = append(errs, tx.WriteFile("EMPTYDIR/"+name, source(nil)))
			}
			return errors.Join(errs...)
		})
		want := append([]string{longer}, tt.more...)
		list, err := mustOpen(t, img).ReadDir("EMPTYDIR")
		var got []string
		for _, e := range list {
			got = append(got, e.Name())
		}
		slices.Sort(want)
		if r, cerr := fatcheck.Check(testimg.Mem(img), int64(len(img))); err != nil || !slices.Equal(got, want) || cerr != nil || !r.Clean() && !tt.stale {
			t.Errorf("stale %v: %q, %v, want %q; %v, %v", tt.stale, got, err, want, r, cerr)
		}
	}
}

var errBadSector = errors.New("bad sector")

// badSector is a disk of which the byte at off cannot be read.
type badSector struct {
	testimg.Mem
	off int64
}

func (b *badSector) ReadAt(p []byte, off int64) (int, error) {
	if off <= b.off && b.off < off+int64(len(p)) {
		return 0, errBadSector
	}
	return b.Mem.ReadAt(p, off)
}

// A copy within the volume needs room; a new name within the directory does not, on a full volume either.
func TestRenameNoSpace(t *testing.T) {
	img, tree := fixtureTree(t, "fat32")
	free, err := mustOpen(t, img).Free()
	if err != nil {
		t.Fatal(err)
	}
	o := writeOp("", "all of it", make([]byte, free))
	o.want(tree)
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, o.plan); err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(img)
	err = change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, move{from: "fragmented.bin", to: "EMPTYDIR/x"}.plan)
	if errText(err) != "no space: 2048 bytes needed, 0 free" || !bytes.Equal(img, before) {
		t.Errorf("Commit = %v", err)
	}
	m := move{from: "fragmented.bin", to: "x"}
	m.want(tree)
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, m.plan); err != nil {
		t.Error(err)
	}
	check(t, img, tree)
}

// A directory may hold names that are not whole in UTF-16, and differ in that alone. Where they are copied along with
// it, they are still what they were.
func TestRenameKeepsOddNames(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	tree["h1.config"], tree["h2.config"] = pattern(700, 1), pattern(700, 2)
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		return errors.Join(tx.Mkdir("from", time.Time{}), tx.Mkdir("to", time.Time{}),
			tx.WriteFile("from/h1.config", source(tree["h1.config"])), tx.WriteFile("from/h2.config", source(tree["h2.config"])))
	}); err != nil {
		t.Fatal(err)
	}
	spell := func(old, now string) {
		img = bytes.ReplaceAll(img, []byte("\x41h\x00"+old), []byte("\x41h\x00"+now))
	}
	spell("1\x00", "\x01\xD8")
	spell("2\x00", "\x02\xD8")
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, move{from: "from", to: "to/dir"}.plan); err != nil {
		t.Fatal(err)
	}
	spell("\x01\xD8", "1\x00")
	spell("\x02\xD8", "2\x00")
	tree["to/"], tree["to/dir/"] = nil, nil
	for _, name := range []string{"h1.config", "h2.config"} {
		tree["to/dir/"+name] = tree[name]
		delete(tree, name)
	}
	check(t, img, tree)
}
