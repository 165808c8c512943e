// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

// image is a volume that can be damaged.
type image []byte

func fixture(t testing.TB, name string) image { return testimg.Fixture(t, name) }

func (img image) poke(off int, b ...byte) { copy(img[off:], b) }

// entry returns the directory entry of the short name.
func (img image) entry(t testing.TB, short string) []byte {
	t.Helper()
	i := bytes.Index(img, []byte(short))
	if i < 0 || i%32 != 0 {
		t.Fatalf("no entry %q", short)
	}
	return img[i:][:32]
}

func (img image) cluster(t testing.TB, short string) int {
	return int(binary.LittleEndian.Uint16(img.entry(t, short)[26:]))
}

// link sets the FAT16 entry of cluster c, in the first FAT.
func (img image) link(c, next int) {
	binary.LittleEndian.PutUint16(img[fatStart(img)+2*c:], uint16(next))
}

// Every kind of damage has an error that says what is damaged and where.
func TestOpenDamaged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(img image) image
		want   string
	}{
		{"empty", func(img image) image { return nil }, "no FAT file system"},
		{"short", func(img image) image { return img[:511] }, "no FAT file system"},
		{"zeros", func(img image) image { return make(image, 1<<20) }, "no FAT file system"},
		{"text", func(img image) image { return bytes.Repeat([]byte("text"), 1000) }, "no FAT file system"},
		{"NTFS", func(img image) image { img.poke(3, []byte("NTFS    ")...); return img }, "no FAT file system"},
		{"exFAT", func(img image) image { img.poke(3, []byte("EXFAT   ")...); return img }, "no FAT file system"},
		{"sector size 0", func(img image) image { img.poke(11, 0, 0); return img }, "damaged file system: sector size of 0 bytes (byte 11 of the volume)"},
		{"sector size 256", func(img image) image { img.poke(11, 0, 1); return img }, "damaged file system: sector size of 256 bytes (byte 11 of the volume)"},
		{"sector size 8192", func(img image) image { img.poke(11, 0, 32); return img }, "damaged file system: sector size of 8192 bytes (byte 11 of the volume)"},
		{"cluster size 0", func(img image) image { img.poke(13, 0); return img }, "damaged file system: 0 sectors per cluster (byte 13 of the volume)"},
		{"cluster size 3", func(img image) image { img.poke(13, 3); return img }, "damaged file system: 3 sectors per cluster (byte 13 of the volume)"},
		{"reserved 0", func(img image) image { img.poke(14, 0, 0); return img }, "damaged file system: no reserved sectors (byte 14 of the volume)"},
		{"FATs 0", func(img image) image { img.poke(16, 0); return img }, "damaged file system: 0 file allocation tables (byte 16 of the volume)"},
		{"FATs 3", func(img image) image { img.poke(16, 3); return img }, "damaged file system: 3 file allocation tables (byte 16 of the volume)"},
		{"FATs 255", func(img image) image { img.poke(16, 255); return img }, "damaged file system: 255 file allocation tables (byte 16 of the volume)"},
		{"root 0", func(img image) image { img.poke(17, 0, 0); return img }, "damaged file system: a root directory of no size (byte 17 of the volume)"},
		{"media", func(img image) image { img.poke(21, 1); return img }, "damaged file system: media byte 0x01 (byte 21 of the volume)"},
		{"sectors 0", func(img image) image { img.poke(19, 0, 0); return img }, "damaged file system: a volume of no sectors (byte 32 of the volume)"},
		{"sectors few", func(img image) image { img.poke(19, 30, 0); return img }, "damaged file system: no room for data: it would begin at byte 35328 of 15360 (byte 19 of the volume)"},
		{"FAT size", func(img image) image { img.poke(22, 2, 0); return img }, "damaged file system: 4563 clusters, but a file allocation table for 510 (byte 22 of the volume)"},
		{"FAT size huge", func(img image) image { img.poke(22, 255, 255); return img }, "damaged file system: no room for data: it would begin at byte 67124736 of 2355200 (byte 19 of the volume)"},
		{"truncated", func(img image) image { return img[:35327] }, "damaged file system: truncated: the data begins at byte 35328, but only 35327 of 2355200 bytes are there (byte 19 of the volume)"},
	} {
		img := tt.damage(fixture(t, "fat16"))
		_, err := fat.Open(testimg.Mem(img), int64(len(img)))
		if errText(err) != tt.want {
			t.Errorf("%s: Open = %v, want %s", tt.name, err, tt.want)
		}
		if strings.HasPrefix(tt.want, "damaged") != errors.Is(err, fat.ErrCorrupt) {
			t.Errorf("%s: %v is no ErrCorrupt", tt.name, err)
		}
	}
	for _, tt := range []struct {
		off  int
		b    []byte
		want string
	}{
		{36, []byte{0, 0, 0, 0}, "damaged file system: a file allocation table of no size (byte 36 of the volume)"},
		{40, []byte{0x82, 0}, "damaged file system: FAT 2 is active, but there are 2 (byte 40 of the volume)"},
		{44, []byte{1, 0, 0, 0}, "damaged file system: root directory at cluster 1 of 600 (byte 44 of the volume)"},
		{44, []byte{0, 0, 0, 1}, "damaged file system: root directory at cluster 16777216 of 600 (byte 44 of the volume)"},
	} {
		img := fixture(t, "fat32")
		img.poke(tt.off, tt.b...)
		if _, err := fat.Open(testimg.Mem(img), int64(len(img))); errText(err) != tt.want {
			t.Errorf("Open = %v, want %s", err, tt.want)
		}
	}
}

// A damaged file or directory says what is wrong when it is opened; all others can be listed and read.
func TestDamagedEntry(t *testing.T) {
	const last = 4532 // number of the last cluster
	for _, tt := range []struct {
		name, short, path string
		damage            func(img image, c int)
		want              string // without the offset
	}{
		{"loop", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img.link(c, c) }, "the cluster chain loops: cluster %d leads back to %[1]d"},
		{"free", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img.link(c, 0) }, "cluster %d is in use but marked free"},
		{"bad", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img.link(c, 0xFFF7) }, "cluster %d is marked bad"},
		{"reserved", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img.link(c, 1) }, "cluster %d leads to 1, but there are the clusters 2 to 4532 (byte 550 of the volume)"},
		{"out of range", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img.link(c, last+1) }, "cluster %d leads to 4533, but there are the clusters 2 to 4532"},
		{"short", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img.link(c, 0xFFF8) }, "the size of 1636 bytes needs 4 clusters, the chain has 1"},
		{"no cluster", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img[bytes.Index(img, []byte("FRAGME~1BIN"))+26] = 0 }, "it begins at cluster 0, but there are the clusters 2 to 4532"},
		{"size", "FRAGME~1BIN", "fragmented.bin", func(img image, c int) { img[bytes.Index(img, []byte("FRAGME~1BIN"))+31] = 0xFF },
			"a size of 4278191716 bytes on a volume of 2319872"},
		{"directory without cluster", "OVERLAYS   ", "overlays", func(img image, c int) { img[bytes.Index(img, []byte("OVERLAYS   "))+26] = 0 },
			"it begins at cluster 0, but there are the clusters 2 to 4532"},
		{"directory out of range", "OVERLAYS   ", "overlays", func(img image, c int) { img[bytes.Index(img, []byte("OVERLAYS   "))+27] = 0xEE },
			"it begins at cluster 60"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img := fixture(t, "fat16")
			list, err := mustOpen(t, img).ReadDir(".")
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			c := img.cluster(t, tt.short)
			if strings.Contains(want, "%") {
				want = fmt.Sprintf(want, c)
			}
			tt.damage(img, c)
			v := mustOpen(t, img)
			got, err := v.ReadDir(".")
			if err != nil || len(got) != len(list) {
				t.Errorf("ReadDir returns %d entries, %v; want %d", len(got), err, len(list))
			}
			for _, e := range got {
				err := readAny(v, e.Name())
				switch {
				case e.Name() != tt.path && err != nil:
					t.Errorf("%s: %v", e.Name(), err)
				case e.Name() == tt.path && (!strings.HasPrefix(errText(err), "damaged file system: "+want) || !errors.Is(err, fat.ErrCorrupt)):
					t.Errorf("%s: %v, want %s", e.Name(), err, want)
				}
			}
		})
	}
}

// readAny reads a file or lists a directory, and returns the cause of an error.
func readAny(v *fat.FS, name string) error {
	fi, err := v.Stat(name)
	if err == nil && fi.IsDir() {
		_, err = v.ReadDir(name)
	} else if err == nil {
		_, err = fs.ReadFile(v, name)
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// What comes after the clusters that a file's size needs is not looked at.
func TestChainBehindSize(t *testing.T) {
	img := fixture(t, "fat16")
	want, err := fs.ReadFile(mustOpen(t, img), "config.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []int{0, 1, 0xFFF7, 0xFFF0, 5, img.cluster(t, "CONFIG  TXT")} {
		img.link(img.cluster(t, "CONFIG  TXT"), next)
		if got, err := fs.ReadFile(mustOpen(t, img), "config.txt"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("chain goes on with %d: %v", next, err)
		}
	}
}

// A directory whose chain breaks shows the entries before the break, and an error.
func TestDamagedDirectoryChain(t *testing.T) {
	img, tree := fixtureTree(t, "fat16")
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		var errs []error
		for i := range 40 {
			errs = append(errs, tx.WriteFile(fmt.Sprintf("overlays/file-%02d.txt", i), source([]byte("x"))))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	c := image(img).cluster(t, "OVERLAYS   ")
	for next, want := range map[int]string{
		c:      fmt.Sprintf("the cluster chain loops: cluster %d leads back to %d", c, c),
		0:      fmt.Sprintf("cluster %d is in use but marked free", c),
		0xFFF7: fmt.Sprintf("cluster %d is marked bad", c),
	} {
		image(img).link(c, next)
		v := mustOpen(t, img)
		list, err := v.ReadDir("overlays")
		if !errors.Is(err, fat.ErrCorrupt) || !strings.Contains(errText(err), want) {
			t.Errorf("ReadDir = %v, want %s", err, want)
		}
		if len(list) == 0 {
			t.Error("no entries")
		}
		for _, e := range list {
			if e.IsDir() {
				continue
			}
			if _, err := fs.ReadFile(v, "overlays/"+e.Name()); err != nil {
				t.Error(err)
			}
		}
		if _, err := v.Stat("overlays/nothing"); !errors.Is(err, fat.ErrCorrupt) {
			t.Errorf("what may stand after the damage is %v", err)
		}
		if got, err := fs.ReadFile(v, "config.txt"); err != nil || !bytes.Equal(got, tree["config.txt"]) {
			t.Errorf("a neighbour: %v", err)
		}
		tx, err := v.Begin(fat.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			tx.WriteFile("overlays/new", source(nil)), tx.Mkdir("overlays/dir", now),
			tx.Remove("overlays/" + list[0].Name()), tx.RemoveAll("overlays"),
		} {
			if !errors.Is(err, fat.ErrCorrupt) {
				t.Errorf("a change in a damaged directory: %v", err)
			}
		}
	}
}

// Directories that lead back, or share clusters, end every walk.
func TestDirectoryCycle(t *testing.T) {
	for _, name := range []string{"fat16", "fat32"} {
		img := fixture(t, name)
		over := img.entry(t, "OVERLAYS   ")
		deep := img.entry(t, "DEEP       ")
		for _, target := range [][]byte{over, deep} {
			copy(img.entry(t, "EMPTYDIR   ")[20:28], target[20:28]) // the same directory twice
			copy(deep[20:28], over[20:28])                          // below itself
			v := mustOpen(t, img)
			var dirs, damaged int
			err := fs.WalkDir(v, ".", func(path string, d fs.DirEntry, err error) error {
				if d.IsDir() {
					dirs++
				}
				if err != nil {
					damaged++
					if !strings.Contains(err.Error(), "two directories share a cluster, or one leads back to itself") {
						t.Error(err)
					}
				}
				return nil
			})
			if err != nil || dirs > 10 || damaged == 0 {
				t.Errorf("%s: %d directories, %d damaged, %v", name, dirs, damaged, err)
			}
			tx, err := v.Begin(fat.TxOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := tx.WriteFile("new", source(nil)); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); !errors.Is(err, fat.ErrCorrupt) {
				t.Errorf("a change to such a volume: %v", err)
			}
		}
	}
}

// Directories nested deeper than any path end every walk, and are not removed blindly.
func TestDeepDirectories(t *testing.T) {
	img, _ := fixtureTree(t, "fat16")
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		var errs []error
		for _, root := range []string{"upper", "lower"} {
			for depth := range 100 {
				errs = append(errs, tx.Mkdir(root+strings.Repeat("/d", depth), now))
			}
		}
		return errors.Join(append(errs, tx.Mkdir("upper"+strings.Repeat("/d", 99)+"/last", now))...)
	}); err != nil {
		t.Fatal(err)
	}
	copy(image(img).entry(t, "LAST       ")[26:28], image(img).entry(t, "LOWER      ")[26:28])
	image(img).entry(t, "LOWER      ")[0] = 0xE5
	v := mustOpen(t, img)
	depth, bad := 0, 0
	err := fs.WalkDir(v, ".", func(path string, d fs.DirEntry, err error) error {
		depth = max(depth, strings.Count(path, "/")+1)
		if err != nil {
			bad++
			if !strings.HasSuffix(err.Error(), ": more than 128 directories deep") || !errors.Is(err, fat.ErrCorrupt) {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil || depth != 129 || bad != 1 {
		t.Errorf("%v, %d deep, %d errors", err, depth, bad)
	}
	tx, err := v.Begin(fat.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.RemoveAll("upper"); errText(err) != "remove upper: more than 128 directories deep" {
		t.Errorf("RemoveAll = %v", err)
	}
}

// A directory is at most 2 MiB large, and one that long can be read and filled no further.
func TestDirectoryFull(t *testing.T) {
	img, tree := fixtureTree(t, "fat16-4k")
	if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
		var errs []error
		for i := range 65536 - 2 { // "." and ".."
			errs = append(errs, tx.WriteFile(fmt.Sprintf("EMPTYDIR/%d", i), source(nil)))
			tree[fmt.Sprintf("EMPTYDIR/%d", i)] = nil
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	check(t, img, tree)
	if list, err := mustOpen(t, img).ReadDir("EMPTYDIR"); err != nil || len(list) != 65534 {
		t.Errorf("%d entries, %v", len(list), err)
	}
	before := bytes.Clone(img)
	err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error { return tx.WriteFile("EMPTYDIR/one more", source(nil)) })
	const want = "write EMPTYDIR/one more: the directory is full: " +
		"it has at most 65536 entries, of which a long name takes several"
	if errText(err) != want || !bytes.Equal(img, before) {
		t.Errorf("Commit = %v", err)
	}
}

// A device that ends early or breaks is no damage.
func TestDeviceErrors(t *testing.T) {
	img := testimg.Fixture(t, "fat16")
	v, err := fat.Open(testimg.Mem(img[:len(img)/1024*4]), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{".", "config.txt"} {
		if err := readAny(v, path); err == nil || errors.Is(err, fat.ErrCorrupt) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Names on a volume that no path could hold are changed, so that they do not lead out of it.
func TestHostileNames(t *testing.T) {
	img := fixture(t, "fat16")
	copy(img.entry(t, "README  TXT"), "../../X TXT")
	copy(img.entry(t, "CONFIG  TXT"), ".. .. .    ")
	copy(img.entry(t, "EMPTY      "), "\x05\x01\x02\x81    \x90  ")
	copy(img.entry(t, "PIECE1  BIN"), "           ")
	img.entry(t, "PIECE3  BIN")[12] = 0x18
	long := bytes.Index(img, []byte("r\x00 \x00n\x00a\x00"))
	copy(img[long-9:], ".\x00.\x00/\x00x\x00y\x00")
	var names []string
	v := mustOpen(t, img)
	list, err := v.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
		if !fs.ValidPath(e.Name()) || strings.Contains(e.Name(), "/") {
			t.Errorf("name %q", e.Name())
		}
		if err := readAny(v, e.Name()); err != nil {
			t.Errorf("%q: %v", e.Name(), err)
		}
	}
	for _, want := range []string{".._.._X.TXT", "_", "σ__ü.É", "piece3.bin"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %q in %q", want, names)
		}
	}
}

func TestNamesFindEntry(t *testing.T) {
	v := mustOpen(t, testimg.Fixture(t, "fat32"))
	for name, want := range map[string]string{
		"config.txt": "config.txt", "CONFIG.TXT": "config.txt", "Readme.txt": "README.TXT", "FRAGME~1.BIN": "fragmented.bin",
		"fragme~1.bin": "fragmented.bin", "A LONGER NAME.TEXT": "A longer name.text", "ALONGE~1.TEX": "A longer name.text",
		"OVERLAYS/DEEP/NESTED.CFG": "nested.cfg",
	} {
		fi, err := v.Stat(name)
		if err != nil || fi.Name() != want {
			t.Errorf("Stat(%q) = %v, %v; want %q", name, fi, err, want)
		}
	}
	for name, want := range map[string]string{
		"nothing": "no such file or directory", "config.txt/x": "not a directory", "../x": "invalid argument", "overlays/": "invalid argument",
		"caf\xe9": "no such file or directory", "overlays/\xff/x": "no such file or directory",
	} {
		_, err := v.Open(name)
		if pe := (*fs.PathError)(nil); !errors.As(err, &pe) || pe.Err.Error() != want {
			t.Errorf("Open(%q) = %v, want %s", name, err, want)
		}
	}
	if _, err := v.OpenFile("overlays"); !errors.Is(err, fat.ErrIsDir) {
		t.Errorf("OpenFile of a directory = %v", err)
	}
	if _, err := v.Open("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// Two names that differ in case alone are damage. Each file can be read, replaced and removed by its own spelling,
// and one be moved over the other; any other spelling means the first.
func TestTwins(t *testing.T) {
	twins := func() (image, map[string][]byte) {
		img, tree := fixtureTree(t, "fat16")
		e := image(img).entry(t, "PIECE3  BIN")
		copy(e, "PIECE1  BIN")
		e[12] = 0 // in capitals
		tree["PIECE1.BIN"] = tree["piece3.bin"]
		delete(tree, "piece3.bin")
		return img, tree
	}
	img, tree := twins()
	v := mustOpen(t, img)
	for name, want := range map[string]string{
		"PIECE1.BIN": "PIECE1.BIN", "piece1.bin": "piece1.bin", "Piece1.Bin": "piece1.bin",
	} {
		if got, err := fs.ReadFile(v, name); err != nil || !bytes.Equal(got, tree[want]) {
			t.Errorf("%s is not %s, %v", name, want, err)
		}
	}
	for name, plan := range map[string]func(tx *fat.Tx, tree map[string][]byte) error{
		"remove the first": func(tx *fat.Tx, tree map[string][]byte) error {
			delete(tree, "piece1.bin")
			return tx.Remove("piece1.bin")
		},
		"remove the second": func(tx *fat.Tx, tree map[string][]byte) error {
			delete(tree, "PIECE1.BIN")
			return tx.Remove("PIECE1.BIN")
		},
		"move over the first": func(tx *fat.Tx, tree map[string][]byte) error {
			tree["piece1.bin"] = tree["PIECE1.BIN"]
			delete(tree, "PIECE1.BIN")
			return tx.Rename("PIECE1.BIN", "piece1.bin", nil)
		},
		"replace and move away": func(tx *fat.Tx, tree map[string][]byte) error {
			tree["PIECE1.BIN"] = pattern(7, 7)
			tree["other"] = tree["piece1.bin"]
			delete(tree, "piece1.bin")
			return errors.Join(tx.WriteFile("PIECE1.BIN", source(tree["PIECE1.BIN"])), tx.Rename("piece1.bin", "other", nil))
		},
	} {
		img, tree := twins()
		if err := change(testimg.Mem(img), int64(len(img)), fat.TxOptions{}, func(tx *fat.Tx) error {
			return plan(tx, tree)
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(t, img, tree)
	}
}

func TestLabel(t *testing.T) {
	img := fixture(t, "fat16")
	if got := mustOpen(t, img).Label(); got == "" {
		t.Error("no label")
	}
	label := img[bytes.LastIndex(img, img[43:54]):][:32]
	copy(img[43:], "OTHER LABEL")
	label[0] = 0xE5
	if got := mustOpen(t, img).Label(); got != "" {
		t.Errorf("Label = %q, which Windows has deleted", got)
	}
	label[11] = 0x20 // what is deleted was a file
	if got := mustOpen(t, img).Label(); got != "OTHER LABEL" {
		t.Errorf("Label = %q", got)
	}
	for _, none := range []string{"NO NAME    ", "NO NAME\x00\x00\x00\x00", strings.Repeat("\x00", 11)} {
		copy(img[43:], none)
		if got := mustOpen(t, img).Label(); got != "" {
			t.Errorf("Label = %q of %q", got, none)
		}
	}
}

// Some formatters, mkfs.vfat of BusyBox among them, pad with zeros instead of spaces.
func TestPaddedWithZeros(t *testing.T) {
	img := fixture(t, "fat16")
	zeros := func(name string) {
		for e := img; ; {
			i := bytes.Index(e, []byte(name))
			if i < 0 {
				return
			}
			copy(e[i:], bytes.ReplaceAll([]byte(name), []byte(" "), []byte{0}))
			e = e[i+1:]
		}
	}
	copy(img[bytes.LastIndex(img, img[43:54]):], "BOOT       ")
	copy(img[43:], "PI         ")
	zeros("BOOT       ")
	zeros("PI         ")
	zeros("README  TXT")
	v := mustOpen(t, img)
	if got := v.Label(); got != "BOOT" {
		t.Errorf("Label = %q", got)
	}
	fi, err := v.Stat("readme.txt")
	if err != nil || fi.Name() != "README.TXT" || fi.Sys().(*fat.Entry).ShortName != "README.TXT" {
		t.Errorf("README.TXT is %v, %v", fi, err)
	}
	clear(img[bytes.LastIndex(img, []byte("BOOT\x00")):][:12])
	if got := mustOpen(t, img).Label(); got != "PI" {
		t.Errorf("Label = %q", got)
	}
}

func TestInfo(t *testing.T) {
	img := fixture(t, "fat16")
	e := img.entry(t, "CONFIG  TXT")
	e[11] = 0x27                     // read-only, hidden, system, archive
	copy(e[22:], []byte{0, 0, 0, 0}) // no time at all
	copy(e[13:], []byte{150, 0x21, 0x6D, 0x57, 0x59})
	fi, err := mustOpen(t, img).Stat("CONFIG.TXT")
	if err != nil {
		t.Fatal(err)
	}
	want := fat.Entry{Off: int64(bytes.Index(img, []byte("CONFIG  TXT"))), ShortName: "CONFIG.TXT", ReadOnly: true, Hidden: true, System: true,
		Created: time.Date(2024, 10, 23, 13, 41, 3, 5e8, time.UTC)}
	if got := *fi.Sys().(*fat.Entry); got != want {
		t.Errorf("Sys = %+v, want %+v", got, want)
	}
	if got := fs.FormatFileInfo(fi); got != "-r--r--r-- 87 1980-01-01 00:00:00 config.txt" {
		t.Errorf("got %s", got)
	}
}
