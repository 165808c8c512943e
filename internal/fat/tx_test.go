// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What can be refused before Commit is, with a plain text, and leaves the Tx usable.
func TestRefused(t *testing.T) {
	img, tree := fixtureTree(t, "fat12")
	data := source([]byte("x"))
	huge := data
	huge.Size = 1 << 32
	for _, tt := range []struct {
		plan func(tx *fat.Tx) error
		want string
		is   error
	}{
		{func(tx *fat.Tx) error { return tx.WriteFile("a:b", data) }, `write a:b: invalid name: it holds ':'`, fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("a\tb", data) }, "write a\tb: invalid name: it holds the character U+0009", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("a\u0085b", data) }, "write a\u0085b: invalid name: it holds the character U+0085", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile(`a\b`, data) }, `write a\b: invalid name: it holds '\\'`, fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile(`a"b`, data) }, `write a"b: invalid name: it holds '"'`, fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("a*b", data) }, "write a*b: invalid name: it holds '*'", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("a<b", data) }, "write a<b: invalid name: it holds '<'", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("a>b", data) }, "write a>b: invalid name: it holds '>'", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("a.", data) }, "write a.: invalid name: it ends in a dot", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.Mkdir("a ", now) }, "mkdir a : invalid name: it ends in a space", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("\xff", data) }, "write \xff: invalid name: it is not UTF-8", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.Mkdir("caf\xe9/x", now) }, "mkdir caf\xe9/x: invalid name: it is not UTF-8", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.Remove("caf\xe9") }, "remove caf\xe9: no such file or directory", fs.ErrNotExist},
		{func(tx *fat.Tx) error { return tx.RemoveAll("caf\xe9/x") }, "remove caf\xe9/x: no such file or directory", fs.ErrNotExist},
		{func(tx *fat.Tx) error { return tx.WriteFile("/x", data) }, "write /x: invalid name: it is no path", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile(strings.Repeat("x", 256), data) },
			"write " + strings.Repeat("x", 256) + ": invalid name: it is longer than 255 UTF-16 units", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile(strings.Repeat("\U0001F600", 128), data) },
			"write " + strings.Repeat("\U0001F600", 128) + ": invalid name: it is longer than 255 UTF-16 units", fat.ErrName},
		{func(tx *fat.Tx) error { return tx.WriteFile("big", huge) }, "write big: too large: a file has at most 4294967295 bytes", nil},
		{func(tx *fat.Tx) error { return tx.WriteFile("overlays", data) }, "write overlays: is a directory", fat.ErrIsDir},
		{func(tx *fat.Tx) error { return tx.WriteFile(".", data) }, "write .: is a directory", fat.ErrIsDir},
		{func(tx *fat.Tx) error { return tx.WriteFile("nowhere/x", data) }, "write nowhere/x: no such file or directory", fs.ErrNotExist},
		{func(tx *fat.Tx) error { return tx.WriteFile("config.txt/x", data) }, "write config.txt/x: not a directory", fat.ErrNotDir},
		{func(tx *fat.Tx) error { return tx.Mkdir("config.txt", now) }, "mkdir config.txt: file exists", fs.ErrExist},
		{func(tx *fat.Tx) error { return tx.Remove("nothing") }, "remove nothing: no such file or directory", fs.ErrNotExist},
		{func(tx *fat.Tx) error { return tx.Remove("overlays") }, "remove overlays: directory not empty", fat.ErrNotEmpty},
		{func(tx *fat.Tx) error { return tx.Remove(".") }, "remove .: the root directory cannot be removed", nil},
		{func(tx *fat.Tx) error { return tx.WriteFile(strings.Repeat("d/", 128)+"x", data) },
			"write " + strings.Repeat("d/", 128) + "x: invalid name: it is more than 128 directories deep", fat.ErrName},
		{func(tx *fat.Tx) error { tx.WriteFile("two", data); return tx.WriteFile("TWO", data) }, "write TWO: will not overwrite what was just made", nil},
		{func(tx *fat.Tx) error { tx.Remove("config.txt"); return tx.WriteFile("config.txt", data) }, "write config.txt: removed at the same time", nil},
		{func(tx *fat.Tx) error { tx.Remove("config.txt"); return tx.Remove("config.txt") }, "remove config.txt: no such file or directory", fs.ErrNotExist},
		{func(tx *fat.Tx) error { tx.WriteFile("overlays/x", data); return tx.RemoveAll("overlays") }, "remove overlays: will not overwrite what was just made", nil},
		{func(tx *fat.Tx) error { tx.RemoveAll("overlays"); return tx.WriteFile("overlays/x", data) }, "write overlays/x: no such file or directory", fs.ErrNotExist},
	} {
		v := mustOpen(t, bytes.Clone(img))
		tx, err := v.Begin(fat.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = tt.plan(tx)
		if errText(err) != tt.want || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("error %q, want %q", err, tt.want)
		}
	}
	check(t, img, tree)

	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		if tx.WriteFile("a?", data) == nil || tx.Mkdir("b|", now) == nil {
			t.Error("no error for a bad name")
		}
		return tx.WriteFile("good", data)
	}); err != nil {
		t.Error(err)
	}
	tree["good"] = []byte("x")
	check(t, img, tree)
}

// readOnly hides the methods for writing.
type readOnly struct{ io.ReaderAt }

func TestBegin(t *testing.T) {
	img := testimg.Fixture(t, "fat12")
	v, err := fat.Open(readOnly{testimg.Mem(img)}, int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Begin(fat.TxOptions{}); errText(err) != "the device cannot be written" {
		t.Errorf("Begin = %v", err)
	}
	for _, name := range []string{"dirty16", "dirty32"} {
		img, tree := fixtureTree(t, name)
		before := bytes.Clone(img)
		o := writeOp("", "config.txt", []byte("new"))
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, o.plan); !errors.Is(err, fat.ErrInUse) || !bytes.Equal(img, before) {
			t.Errorf("%s: a volume in use: %v", name, err)
		}
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{Force: true}, o.plan); err != nil {
			t.Errorf("%s: forced: %v", name, err)
		}
		o.want(tree)
		check(t, img, tree)
		if !bytes.Equal(img[:512], before[:512]) || !mustOpen(t, img).InUse() {
			t.Errorf("%s: the flag was changed", name)
		}
	}
}

// Both flags count, that of the boot sector and that of FAT[1].
func TestInUse(t *testing.T) {
	for _, tt := range []struct {
		name string
		off  func(img []byte) int
		bit  byte
		set  bool
	}{
		{"fat12", func([]byte) int { return 0x25 }, 1, true},
		{"fat16", func([]byte) int { return 0x25 }, 1, true},
		{"fat32", func([]byte) int { return 0x41 }, 1, true},
		{"fat16", func(img []byte) int { return fatStart(img) + 3 }, 0x80, false},
		{"fat32", func(img []byte) int { return fatStart(img) + 7 }, 0x08, false},
	} {
		img := testimg.Fixture(t, tt.name)
		if mustOpen(t, img).InUse() {
			t.Errorf("%s is in use", tt.name)
		}
		if off := tt.off(img); tt.set {
			img[off] |= tt.bit
		} else {
			img[off] &^= tt.bit
		}
		if !mustOpen(t, img).InUse() {
			t.Errorf("%s is not in use with the bit changed", tt.name)
		}
	}
}

func fatStart(img []byte) int {
	return int(binary.LittleEndian.Uint16(img[11:])) * int(binary.LittleEndian.Uint16(img[14:]))
}

// All sources together must fit, before anything is written.
func TestNoSpace(t *testing.T) {
	img, tree := fixtureTree(t, "fat32")
	v := mustOpen(t, img)
	free, err := v.Free()
	if err != nil {
		t.Fatal(err)
	}
	half := source(make([]byte, free/2+1))
	half.Open = func() (io.ReadCloser, error) { t.Error("a source was opened"); return nil, fs.ErrNotExist }
	before := bytes.Clone(img)
	var told []error
	half.Done = func(err error) { told = append(told, err) }
	err = change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		return errors.Join(tx.WriteFile("one", half), tx.WriteFile("two", half))
	})
	var none *fat.NoSpaceError
	if !errors.As(err, &none) || none.Free != free || none.Need <= free || none.InPlace {
		t.Errorf("Commit = %v, free are %d", err, free)
	}
	if want := fmt.Sprintf("no space: %d bytes needed, %d free", none.Need, free); err.Error() != want {
		t.Errorf("Commit = %v, want %s", err, want)
	}
	if len(told) != 0 {
		t.Errorf("Done was told %v of sources that are sound", told)
	}
	if !bytes.Equal(img, before) {
		t.Error("the volume was changed")
	}

	// All of it can be used.
	all := pattern(int(free), 1)
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, writeOp("", "all", all).plan); err != nil {
		t.Fatal(err)
	}
	tree["all"] = all
	check(t, img, tree)
	if free, err := mustOpen(t, img).Free(); free != 0 || err != nil {
		t.Errorf("Free = %d, %v", free, err)
	}

	// A file is replaced in place only if that is asked for.
	over := op{"in place", func(tx *fat.Tx) error {
		return errors.Join(tx.WriteFile("ALL", source(all[1:])), tx.WriteFile("config.txt", source([]byte("small"))))
	}, func(tree map[string][]byte) { tree["all"], tree["config.txt"] = all[1:], []byte("small") }}
	err = change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, over.plan)
	if want := fmt.Sprintf("no space: %d bytes needed, 0 free until the old files are freed (--in-place frees them first)", free+512); errText(err) != want {
		t.Errorf("Commit = %v, want %s", err, want)
	}
	check(t, img, tree)
	inPlaceSweep(t, img, over, tree)
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{InPlace: true}, over.plan); err != nil {
		t.Error(err)
	}
	over.want(tree)
	check(t, img, tree)

	// And that which does not fit even so is refused.
	err = change(testimg.Mem(img), int64(len(img)), fat.TxOptions{InPlace: true}, writeOp("", "all", make([]byte, free+4096)).plan)
	if !errors.As(err, &none) || none.InPlace {
		t.Errorf("Commit = %v", err)
	}
	check(t, img, tree)
}

// inPlaceSweep cuts a change in place at each write: a replaced file is old, new, or empty.
func inPlaceSweep(t *testing.T, img []byte, o op, before map[string][]byte) {
	t.Helper()
	after := maps.Clone(before)
	o.want(after)
	empty := maps.Clone(after)
	for path := range after {
		if !bytes.Equal(before[path], after[path]) {
			empty[path] = []byte{}
		}
	}
	rec := testimg.NewRecorder(img)
	if err := change(rec, int64(len(img)), fat.TxOptions{InPlace: true}, o.plan); err != nil {
		t.Fatal(err)
	}
	for n := range rec.Len() + 1 {
		state := rec.After(n)
		if judge(state, before, after) != nil {
			if err := judge(state, empty, after); err != nil && judge(state, before, empty) != nil {
				t.Errorf("in place, after %d of %d: %v", n, rec.Len(), err)
			}
		}
		again(t, n, state, fat.TxOptions{InPlace: true}, o, before, after)
	}
}

// After a cut the same change works again, though what the cut one took is lost: it is taken back.
func TestAgainWhenTight(t *testing.T) {
	for _, name := range []string{"fat12", "fat32"} {
		img, before := fixtureTree(t, name)
		free, err := mustOpen(t, img).Free()
		if err != nil {
			t.Fatal(err)
		}
		after := maps.Clone(before)
		o := writeOp("tight", "config.txt", pattern(int(free*6/10), 1))
		o.want(after)
		rec := testimg.NewRecorder(img)
		if err := change(rec, int64(len(img)), fat.TxOptions{NoSync: true}, o.plan); err != nil {
			t.Fatal(err)
		}
		for n := range rec.Len() {
			cut := rec.After(n)
			if judge(cut, before, before) == nil { // else it was done
				again(t, n, cut, fat.TxOptions{}, o, before, after)
			}
		}
	}
}

// What is lost is not taken where that is uncertain: on a volume in use, with a damage somewhere, or where
// a directory may have shown more.
func TestLostIsKept(t *testing.T) {
	img := testimg.Fixture(t, "fat32")
	free, err := mustOpen(t, img).Free()
	if err != nil {
		t.Fatal(err)
	}
	o := writeOp("tight", "config.txt", pattern(int(free*6/10), 1))
	rec := testimg.NewRecorder(img)
	if err := change(rec, int64(len(img)), fat.TxOptions{NoSync: true}, o.plan); err != nil {
		t.Fatal(err)
	}
	for i, harm := range []func(img []byte){
		func(img []byte) { img[0x41] |= 1 },
		func(img []byte) { copy(img[bytes.Index(img, []byte("README  TXT"))+26:], "\x01\x00") },
		func(img []byte) { copy(img[bytes.Index(img, []byte("README  TXT"))+28:], "\xFF\xFF") },    // its chain is cut short
		func(img []byte) { copy(img[bytes.Index(img, []byte("README  TXT")):], "\x00") },           // an end marker
		func(img []byte) { copy(img[bytes.Index(img, []byte(".          ")):], make([]byte, 64)) }, // an empty directory
	} {
		cut := rec.After(3).Bytes()
		harm(cut)
		left := bytes.Clone(cut)
		err := change(testimg.Mem(cut), int64(len(img)), fat.TxOptions{Force: true}, o.plan)
		if none := (*fat.NoSpaceError)(nil); !errors.As(err, &none) || !bytes.Equal(cut, left) {
			t.Errorf("harm %d: Commit = %v", i, err)
		}
	}
}

// A fixed root directory that is full is found out before anything is written.
func TestRootFull(t *testing.T) {
	img, tree := fixtureTree(t, "fat12")
	before := bytes.Clone(img)
	fill := func(n int) error {
		return change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			var errs []error
			for i := range n {
				name := fmt.Sprintf("F%d", i)
				tree[name] = nil
				errs = append(errs, tx.WriteFile(name, source(nil)))
			}
			return errors.Join(errs...)
		})
	}
	slots := int(binary.LittleEndian.Uint16(img[17:]))
	want := fmt.Sprintf(": the root directory is full: it has %d entries, of which a long name takes several; "+
		"remove files, or move some into a directory", slots)
	if err := fill(slots); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("Commit = %v", err)
	}
	if !bytes.Equal(img, before) {
		t.Error("the volume was changed")
	}
	img, tree = fixtureTree(t, "fat12")
	for fill(1); ; { // as many as there is room for
		n := len(tree)
		tx := writeOp("", fmt.Sprintf("f%d", n), nil)
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, tx.plan); err != nil {
			break
		}
		tx.want(tree)
	}
	check(t, img, tree)
	if n := bytes.Count(img, []byte("TXT")); n == 0 {
		t.Error("nothing is left of the volume")
	}
}

// A source that fails leaves its own file alone, and the volume as it was if there is no other.
func TestSourceFails(t *testing.T) {
	broken := errors.New("broken")
	open := func(r io.Reader) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
	}
	for _, tt := range []struct {
		name string
		src  func() fat.Source
		want string
	}{
		{"vanishes", func() fat.Source {
			return fat.Source{Size: 2000, Open: func() (io.ReadCloser, error) { return nil, broken }}
		}, "broken"},
		{"shrinks", func() fat.Source { return fat.Source{Size: 2000, Open: open(strings.NewReader("short"))} },
			"the file shrank while it was copied"},
		{"grows", func() fat.Source { return fat.Source{Size: 3, Open: open(strings.NewReader("long"))} },
			"the file grew while it was copied"},
		{"empty one grows", func() fat.Source { return fat.Source{Size: 0, Open: open(strings.NewReader("long"))} },
			"the file grew while it was copied"},
		{"breaks", func() fat.Source {
			return fat.Source{Size: 2000, Open: open(io.MultiReader(strings.NewReader(strings.Repeat("x", 1000)), brokenReader{broken}))}
		}, "broken"},
	} {
		for _, path := range []string{"config.txt", "new file.text", "overlays/and another one of a long name.dtbo"} {
			t.Run(tt.name+"/"+path, func(t *testing.T) {
				img, tree := fixtureTree(t, "fat32")
				boot := slices.Clone(img[:32*512])
				var told error
				bad := tt.src()
				bad.Done = func(err error) { told = err }
				err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.WriteFile(path, bad) })
				if err != nil || errText(told) != tt.want {
					t.Errorf("Commit = %v, Done was told %v; want %s", err, told, tt.want)
				}
				check(t, img, tree)
				if !bytes.Equal(img[:32*512], boot) {
					t.Error("FSInfo or a boot sector was changed")
				}

				good := source([]byte("good"))
				good.Done = func(err error) { told = err }
				told = broken
				bad, worse := tt.src(), tt.src()
				var failed []string
				bad.Done = func(err error) { failed = append(failed, errText(err)) }
				worse.Done = bad.Done
				err = change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
					return errors.Join(tx.Mkdir("dir", now), tx.WriteFile(path, bad), tx.WriteFile("dir/x", worse), tx.WriteFile("dir/a good one.txt", good),
						tx.WriteFile("README.TXT", source([]byte("good, too"))))
				})
				if err != nil || !slices.Equal(failed, []string{tt.want, tt.want}) {
					t.Errorf("Commit = %v, Done was told %q; want %q twice", err, failed, tt.want)
				}
				if told != nil {
					t.Errorf("Done of the good one was told %v", told)
				}
				tree["dir/"], tree["dir/a good one.txt"], tree["README.TXT"] = nil, []byte("good"), []byte("good, too")
				check(t, img, tree)
			})
		}
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// What replaces a file keeps its entry: place, spelling of the name, short name. It counts as made when it was replaced.
func TestReplaceKeepsEntry(t *testing.T) {
	img, _ := fixtureTree(t, "fat32")
	stat := func(name string) (fs.FileInfo, *fat.Entry) {
		fi, err := mustOpen(t, img).Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return fi, fi.Sys().(*fat.Entry)
	}
	_, was := stat("A longer name.text")
	src := source([]byte("new"))
	src.ModTime = time.Date(2001, 2, 3, 4, 5, 7, 0, time.FixedZone("", 3600))
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.WriteFile("a LONGER name.TEXT", src) }); err != nil {
		t.Fatal(err)
	}
	fi, is := stat("A longer name.text")
	want := *was
	want.Created = now
	if fi.Name() != "A longer name.text" || *is != want || fi.Size() != 3 || !fi.ModTime().Equal(time.Date(2001, 2, 3, 3, 5, 6, 0, time.UTC)) {
		t.Errorf("%v %+v, before %+v", fi, is, was)
	}
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{Now: now}, func(tx *fat.Tx) error {
		return errors.Join(tx.WriteFile("made.txt", source(nil)), tx.Mkdir("Made Dir", time.Unix(0, 0)))
	}); err != nil {
		t.Fatal(err)
	}
	if fi, e := stat("made.txt"); !fi.ModTime().Equal(now.Truncate(2*time.Second)) || !e.Created.Equal(now) || e.ShortName != "MADE.TXT" {
		t.Errorf("%v %+v", fi, e)
	}
	if fi, e := stat("Made Dir"); !fi.ModTime().Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) || e.ShortName != "MADEDI~1" || !fi.IsDir() {
		t.Errorf("%v %+v", fi, e)
	}
	i := bytes.Index(img, []byte("MADE    TXT"))
	if img[i+11] != 0x20 || img[i+12] != 0x18 {
		t.Errorf("attributes %#x, case flags %#x", img[i+11], img[i+12])
	}
}

// A file that replaces another one counts as created at least 10 ms after it, so that the entry is never the same one:
// not when both are written in one moment, nor by a clock that goes wrong, nor at the end of the calendar.
func TestReplacedLater(t *testing.T) {
	const step = 10 * time.Millisecond
	img := image(testimg.Fixture(t, "fat16"))
	write := func(at time.Time, want time.Time) {
		t.Helper()
		before := bytes.Clone(img.entry(t, "CONFIG  TXT"))
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{Now: at}, func(tx *fat.Tx) error {
			src := source([]byte("x"))
			src.ModTime = now
			return tx.WriteFile("config.txt", src)
		}); err != nil {
			t.Fatal(err)
		}
		fi, err := mustOpen(t, img).Stat("config.txt")
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.Sys().(*fat.Entry).Created; !want.IsZero() && !got.Equal(want) {
			t.Errorf("written at %v: created %v, want %v", at, got, want)
		}
		if after := img.entry(t, "CONFIG  TXT"); bytes.Equal(after[:18], before[:18]) {
			t.Errorf("written at %v: the entry stays %x", at, after)
		}
	}
	write(now, now)
	write(now, now.Add(step))
	write(now.Add(step+step/2), now.Add(2*step))
	write(now.Add(time.Hour), now.Add(time.Hour))
	write(now.Add(-24*time.Hour), now.Add(time.Hour+step))
	clear(img.entry(t, "CONFIG  TXT")[13:18]) // no time at all
	write(now, now)
	end := time.Date(2107, 12, 31, 23, 59, 59, 99e7, time.UTC)
	write(end, end)
	for range 3 {
		write(end, time.Time{})
	}
	copy(img.entry(t, "CONFIG  TXT")[13:18], "\xff\xff\xff\xff\xff")
	write(now, time.Time{})
	write(now, time.Time{})
}

// Only the FAT that is active is written where mirroring is off, and the upper four bits of entries stay.
func TestFATCopies(t *testing.T) {
	img, tree := fixtureTree(t, "fat32-active")
	start, size := fatStart(img), int(binary.LittleEndian.Uint32(img[36:]))*512
	active := int(img[40] & 15)
	idle := slices.Clone(img[start+(1-active)*size:][:size])
	o := writeOp("", "config.txt", pattern(3000, 1))
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, o.plan); err != nil {
		t.Fatal(err)
	}
	o.want(tree)
	check(t, img, tree)
	if !bytes.Equal(idle, img[start+(1-active)*size:][:size]) {
		t.Error("the FAT that is not active was written")
	}

	img, tree = fixtureTree(t, "fat32-one")
	start, size = fatStart(img), int(binary.LittleEndian.Uint32(img[36:]))*512
	for i := start + 8; i < start+size; i += 4 {
		img[i+3] |= 0xA0
	}
	check(t, img, tree)
	all := op{"", func(tx *fat.Tx) error { return errors.Join(o.plan(tx), tx.RemoveAll("overlays")) }, o.want}
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, all.plan); err != nil {
		t.Fatal(err)
	}
	all.want(tree)
	dropTree(tree, "overlays")
	check(t, img, tree)
	for i := start + 8; i < start+size; i += 4 {
		if img[i+3]&0xF0 != 0xA0 {
			t.Fatalf("the upper bits of entry %d are %#x", (i-start)/4, img[i+3])
		}
	}
}

// A file may be copied from the volume to itself, and one read through an FS after a Commit is the new one.
func TestCopyWithin(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	v := mustOpen(t, img)
	if _, err := fs.ReadFile(v, "config.txt"); err != nil {
		t.Fatal(err)
	}
	tx, err := v.Begin(fat.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"fragmented.bin": "config.txt", "README.TXT": "copy of the readme"} {
		src := fat.Source{Size: int64(len(tree[from])), Open: func() (io.ReadCloser, error) { return v.OpenFile(from) }}
		if err := tx.WriteFile(to, src); err != nil {
			t.Fatal(err)
		}
		tree[to] = tree[from]
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	check(t, img, tree)
	got, err := readTree(v)
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, got, tree)
	if err := tx.Commit(); err == nil {
		t.Error("a second Commit worked")
	}
	if err := tx.WriteFile("x", source(nil)); err == nil {
		t.Error("a change after Commit worked")
	}
}

// A step that writes nothing takes no sync, and no command more than four, or five where a directory grows.
func TestSyncs(t *testing.T) {
	img := testimg.Fixture(t, "fat32")
	const long = "EMPTYDIR/a name so long that it takes more than one entry of the directory, and a second "
	grow := func(tx *fat.Tx) error { // more than the one cluster that the directory has
		return errors.Join(tx.Mkdir(long+"one", now), tx.Mkdir(long+"two", now), tx.Mkdir(long+"three", now))
	}
	for _, tt := range []struct {
		name string
		want int
		plan func(tx *fat.Tx) error
	}{
		{"nothing", 0, func(tx *fat.Tx) error { return tx.Mkdir("overlays", now) }},
		{"empty file", 2, func(tx *fat.Tx) error { return tx.WriteFile("NEW.TXT", source(nil)) }}, // FSInfo's hint
		{"create", 3, func(tx *fat.Tx) error { return tx.WriteFile("NEW.TXT", source([]byte("x"))) }},
		{"replace", 3, func(tx *fat.Tx) error { return tx.WriteFile("config.txt", source([]byte("x"))) }},
		{"grow", 4, grow},
		{"remove", 2, func(tx *fat.Tx) error { return tx.RemoveAll("overlays") }},
		{"create and remove", 4, func(tx *fat.Tx) error {
			return errors.Join(tx.RemoveAll("overlays"), tx.WriteFile("NEW.TXT", source([]byte("x"))))
		}},
		{"grow and remove", 5, func(tx *fat.Tx) error { return errors.Join(grow(tx), tx.RemoveAll("overlays")) }},
	} {
		for _, opt := range []fat.TxOptions{{}, {NoSync: true}} {
			want := tt.want
			if opt.NoSync {
				want = 0
			}
			dev := testimg.NewCounter(testimg.NewPaged(img))
			if err := change(dev, int64(len(img)), opt, tt.plan); err != nil || dev.Syncs != want {
				t.Errorf("%s: %d syncs, %v; want %d", tt.name, dev.Syncs, err, want)
			}
			if tt.want == 0 && dev.Writes > 0 {
				t.Errorf("%s: %d writes", tt.name, dev.Writes)
			}
		}
	}
}

// Many alike names into one directory: each gets a short name of its own, and the directory as many
// clusters as they need. A second helping joins them.
func TestManyAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("many files")
	}
	img, tree := fixtureTree(t, "fat16-s4")
	for _, from := range []int{0, 700} {
		err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			errs := []error{tx.Mkdir("many", now)}
			for i := range 700 {
				name := fmt.Sprintf("many/a long name like all the others %d.text", from+i)
				tree[name] = []byte{byte(i)}
				errs = append(errs, tx.WriteFile(name, source(tree[name])))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
		tree["many/"] = nil
		check(t, img, tree)
	}
	shorts := map[string]bool{}
	list, err := mustOpen(t, img).ReadDir("many")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		fi, _ := e.Info()
		shorts[fi.Sys().(*fat.Entry).ShortName] = true
	}
	if len(list) != 1400 || len(shorts) != 1400 || !shorts["ALONGN~1.TEX"] || !shorts["ALO~1000.TEX"] {
		t.Errorf("%d entries, %d short names", len(list), len(shorts))
	}
}

// Where files share clusters, they are read as they are, and none is freed or written that another needs.
func TestCrossLinked(t *testing.T) {
	for _, name := range []string{"fragmented.bin", "README.TXT"} {
		for what, plan := range map[string]func(tx *fat.Tx, tree map[string][]byte) error{
			"removed": func(tx *fat.Tx, tree map[string][]byte) error { delete(tree, name); return tx.Remove(name) },
			"replaced": func(tx *fat.Tx, tree map[string][]byte) error {
				tree[name] = []byte("new")
				return tx.WriteFile(name, source(tree[name]))
			},
			"moved": func(tx *fat.Tx, tree map[string][]byte) error {
				move{from: name, to: "EMPTYDIR/x"}.want(tree)
				return tx.Rename(name, "EMPTYDIR/x", nil)
			},
		} {
			img, tree := fixtureTree(t, "fat16")
			copy(image(img).entry(t, "README  TXT")[26:32], image(img).entry(t, "FRAGME~1BIN")[26:32])
			tree["README.TXT"] = tree["fragmented.bin"]
			got, err := readTree(mustOpen(t, img))
			if err != nil {
				t.Fatal(err)
			}
			diffTrees(t, got, tree)
			for _, plan := range []func(tx *fat.Tx) error{
				func(tx *fat.Tx) error { return plan(tx, tree) },
				func(tx *fat.Tx) error {
					tree["other"] = pattern(100000, 1)
					return tx.WriteFile("other", source(tree["other"]))
				},
			} {
				if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, plan); err != nil {
					t.Fatal(err)
				}
				if err := judge(testimg.Mem(img), tree, tree); err != nil {
					t.Errorf("%s is %s: %v", name, what, err)
				}
			}
		}
	}
}

// Clusters that another file needs, too, are no room for what replaces a file in place.
func TestCrossLinkedInPlace(t *testing.T) {
	img, _ := fixtureTree(t, "fat16")
	copy(image(img).entry(t, "README  TXT")[26:32], image(img).entry(t, "FRAGME~1BIN")[26:32])
	free, err := mustOpen(t, img).Free()
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(img)
	err = change(testimg.Mem(img), int64(len(img)), fat.TxOptions{InPlace: true}, func(tx *fat.Tx) error {
		return tx.WriteFile("README.TXT", source(pattern(int(free)+512+1, 1))) // its old cluster is lost
	})
	if !errors.As(err, new(*fat.NoSpaceError)) || !bytes.Equal(img, before) {
		t.Errorf("Commit = %v", err)
	}
}

// A file that is not replaced, since its source failed, keeps what it shares with one that is.
func TestCrossLinkedSourceFails(t *testing.T) {
	names := []string{"README.TXT", "fragmented.bin"}
	for i := range names {
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			img, tree := fixtureTree(t, "fat16")
			entry := func(short string) []byte {
				return img[bytes.Index(img, []byte(short)):][:32]
			}
			copy(entry("README  TXT")[26:32], entry("FRAGME~1BIN")[26:32])
			tree["README.TXT"] = tree["fragmented.bin"]
			tree[names[1-i]] = []byte("new")
			var told error
			failing := fat.Source{
				Size: 1,
				Open: func() (io.ReadCloser, error) { return nil, fs.ErrPermission },
				Done: func(err error) { told = err },
			}
			err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
				for _, k := range order {
					src := source([]byte("new"))
					if k == i {
						src = failing
					}
					if err := tx.WriteFile(names[k], src); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil || told != fs.ErrPermission {
				t.Errorf("Commit = %v, Done was told %v", err, told)
			}
			if err := judge(testimg.Mem(img), tree, tree); err != nil {
				t.Errorf("%s is not replaced: %v", names[i], err)
			}
		}
	}
}

// A file whose chain is marked free is readable as long as its clusters are not given out, and they are not.
func TestMarkedFree(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	i := bytes.Index(img, []byte("CONFIG  TXT"))
	c := int(binary.LittleEndian.Uint16(img[i+26:]))
	start, size := fatStart(img), int(binary.LittleEndian.Uint16(img[22:]))*512
	for _, s := range []int{start, start + size} {
		clear(img[s+2*c:][:2])
	}
	free, err := mustOpen(t, img).Free()
	if err != nil {
		t.Fatal(err)
	}
	tree["other"] = pattern(int(free)-512, 1)
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.WriteFile("other", source(tree["other"])) }); err != nil {
		t.Fatal(err)
	}
	got, err := readTree(mustOpen(t, img))
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, got, tree)
}
