// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/image"
	"nobodd/internal/testimg"
)

// inScene makes a directory with the fixture as vol.img and the given files, and goes there.
func inScene(t *testing.T, fixture string, have files) []byte {
	t.Helper()
	t.Chdir(t.TempDir())
	have.make(t)
	img := testimg.Fixture(t, fixture)
	must(t, os.WriteFile("vol.img", img, 0o666))
	return img
}

// volumeTree is what vol.img holds; it must be sound.
func volumeTree(t *testing.T) files {
	t.Helper()
	img, err := os.ReadFile("vol.img")
	must(t, err)
	report, err := fatcheck.Check(testimg.Mem(img), int64(len(img)))
	must(t, err)
	if !report.Clean() {
		t.Errorf("the volume: %v", report)
	}
	all, err := fatcheck.ReadTree(testimg.Mem(img), int64(len(img)))
	must(t, err)
	f := files{}
	for name, data := range all {
		f[name] = string(data)
	}
	return f
}

// shortEntry returns the offset of the entry with the short name, as stored.
func shortEntry(t *testing.T, img []byte, name string) int {
	t.Helper()
	at := bytes.Index(img, []byte(name))
	if at < 0 {
		t.Fatalf("no %q", name)
	}
	return at
}

// What a damaged or hostile image holds costs itself alone, in bounded time, and is
// never written outside the destination.
func TestCopyOutOfHostileImages(t *testing.T) {
	le := binary.LittleEndian
	for _, tt := range []struct {
		name    string
		spoil   func(t *testing.T, img []byte)
		wantErr string   // beginning
		absent  []string // what is not copied
	}{
		{
			name: "a directory in itself",
			spoil: func(t *testing.T, img []byte) {
				outer, inner := shortEntry(t, img, "OVERLAYS   "), shortEntry(t, img, "DEEP       ")
				le.PutUint16(img[inner+26:], le.Uint16(img[outer+26:]))
			},
			wantErr: "vol.img:0:/overlays/deep: damaged file system: ",
			absent:  []string{"out/overlays/deep/", "out/overlays/deep/nested.cfg"},
		},
		{
			name: "a directory that is the root",
			spoil: func(t *testing.T, img []byte) {
				le.PutUint16(img[shortEntry(t, img, "DEEP       ")+26:], 0)
			},
			wantErr: "vol.img:0:/overlays/deep: damaged file system: ",
			absent:  []string{"out/overlays/deep/", "out/overlays/deep/nested.cfg"},
		},
		{
			name: "a file without an end",
			spoil: func(t *testing.T, img []byte) {
				le.PutUint32(img[shortEntry(t, img, "CONFIG  TXT")+28:], 0xffffffff)
			},
			wantErr: "vol.img:0:/config.txt: damaged file system: ",
			absent:  []string{"out/config.txt"},
		},
		{
			name: "a name that leads out",
			spoil: func(t *testing.T, img []byte) {
				copy(img[shortEntry(t, img, "CONFIG  TXT"):], "/../OUT/ETC")
			},
			absent: []string{"out/config.txt"},
		},
		{
			name: "a name of dots",
			spoil: func(t *testing.T, img []byte) {
				e := shortEntry(t, img, "CONFIG  TXT")
				copy(img[e:], "..      .  ")
				img[e+12] = 0
			},
			absent: []string{"out/config.txt"},
		},
		{
			name: "a long name that leads out",
			spoil: func(t *testing.T, img []byte) {
				at := bytes.Index(img, []byte("A\x00 \x00l\x00o\x00n\x00"))
				copy(img[at:], ".\x00.\x00/\x00.\x00.\x00")
			},
			absent: []string{"out/A longer name.text"},
		},
		{
			name: "one name in two spellings",
			spoil: func(t *testing.T, img []byte) {
				copy(img[shortEntry(t, img, "EMPTY      "):], "CONFIG  TXT")
			},
			absent: []string{"out/empty"},
		},
		{
			name: "one name twice",
			spoil: func(t *testing.T, img []byte) {
				config := shortEntry(t, img, "CONFIG  TXT")
				copy(img[shortEntry(t, img, "EMPTY      "):], img[config:config+13])
			},
			wantErr: "vol.img:0:/config.txt: two entries have this name; rename or remove the first to reach the second",
			absent:  []string{"out/empty"},
		},
		{
			name: "one directory twice",
			spoil: func(t *testing.T, img []byte) {
				overlays := shortEntry(t, img, "OVERLAYS   ")
				copy(img[shortEntry(t, img, "PIECE3  BIN"):], img[overlays:overlays+13])
			},
			wantErr: "vol.img:0:/overlays: two entries have this name; ",
			absent:  []string{"out/piece3.bin"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img := inScene(t, "fat16", nil)
			want := volumeTree(t)
			tt.spoil(t, img)
			must(t, os.WriteFile("vol.img", img, 0o666))
			env, _ := testEnv("")
			got := messages(t, Copy(env, CopyOptions{Recursive: true}, []string{"vol.img:0:/"}, "out"))
			if !strings.HasPrefix(got, tt.wantErr) || strings.Contains(got, "\n") || (tt.wantErr == "" && got != "") {
				t.Errorf("error\n%s\nwant\n%s", got, tt.wantErr)
			}
			left := found(t)
			for name, data := range want {
				name = "out/" + name
				if _, ok := left[name]; ok == slices.Contains(tt.absent, name) {
					t.Errorf("%s is there: %t", name, ok)
				} else if ok && left[name] != data {
					t.Errorf("%s is not what it was", name)
				}
			}
			for name := range left {
				if name != "vol.img" && !strings.HasPrefix(name, "out/") {
					t.Errorf("%s was made", name)
				}
			}
		})
	}
}

// TestCopyInVolume copies within one volume, where sources and destinations may meet.
func TestCopyInVolume(t *testing.T) {
	have := files{"p/f": "from p", "d/p/f": "old", "d/p/g": "g", "d/x": "x"}
	for _, tt := range []struct {
		name    string
		opt     CopyOptions
		args    string
		want    files
		wantErr string
	}{
		{name: "a source that is to be written", opt: CopyOptions{Recursive: true}, args: "/p /d/p/f /d",
			want: files{"d/p/f": "from p"}, wantErr: "vol.img:0:/d/p/f: is written by this very command"},
		{name: "a source that was read before", opt: CopyOptions{Recursive: true}, args: "/d/p/f /p /d",
			want: files{"d/f": "old", "d/p/f": "from p"}},
		{name: "a source that would give up its space", opt: CopyOptions{Recursive: true, InPlace: true}, args: "/d/p/f /p /d",
			want: files{"d/f": "old"}, wantErr: "vol.img:0:/d/p/f: is read by this very command"},
		{name: "a tree beside itself", opt: CopyOptions{Recursive: true}, args: "/d /d2",
			want: files{"d2/": "", "d2/p/": "", "d2/p/f": "old", "d2/p/g": "g", "d2/x": "x"}},
		{name: "what the directory around one holds", opt: CopyOptions{Recursive: true}, args: "/d/p/.. /p",
			want: files{"p/p/": "", "p/p/f": "old", "p/p/g": "g", "p/x": "x"}},
		{name: "the case of the destination's directory", args: "/p/f /D/P", want: files{"d/p/f": "from p"}},
		{name: "same name in another case", args: "/p/f /d/X", want: files{"d/x": "from p"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inScene(t, "fat16", have)
			env, _ := testEnv("")
			must(t, Copy(env, CopyOptions{Recursive: true}, []string{"p", "d"}, "vol.img:0:/"))
			want := volumeTree(t)
			maps.Copy(want, tt.want)
			var args []string
			for _, arg := range strings.Fields(tt.args) {
				args = append(args, "vol.img:0:"+arg)
			}
			err := Copy(env, tt.opt, args[:len(args)-1], args[len(args)-1])
			if got := messages(t, err); got != tt.wantErr {
				t.Errorf("error\n%s\nwant\n%s", got, tt.wantErr)
			}
			if left := volumeTree(t); !maps.Equal(left, want) {
				t.Errorf("left %q, want %q", slices.Sorted(maps.Keys(left)), slices.Sorted(maps.Keys(want)))
			}
		})
	}
}

// Update finds what changed in the 2 seconds that a FAT volume takes for one time.
func TestUpdateWithinTwoSeconds(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)
	start := strings.Repeat("x", 64<<10) // more than is compared at once
	for _, tt := range []struct {
		name     string
		later    time.Duration // than the copy in the volume
		data     string        // which holds "old"
		preserve bool
		want     string
	}{
		{"the same", 1500 * time.Millisecond, "old", false, ""},
		{"another", 1500 * time.Millisecond, "new", false, "'a' -> 'vol.img:0:/a'\n"},
		{"a longer one", 1500 * time.Millisecond, "longer", false, "'a' -> 'vol.img:0:/a'\n"},
		{"the same size with times kept", 1500 * time.Millisecond, "new", true, ""},
		{"a longer one with times kept", 1500 * time.Millisecond, "longer", true, "'a' -> 'vol.img:0:/a'\n"},
		{"2 seconds later", 2 * time.Second, "old", false, "'a' -> 'vol.img:0:/a'\n"},
		{"older", -time.Nanosecond, "longer", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inScene(t, "fat16", files{"a": start + "old"})
			env, out := testEnv("")
			must(t, os.Chtimes("a", at, at))
			must(t, Copy(env, CopyOptions{Preserve: true}, []string{"a"}, "vol.img:0:/"))
			must(t, os.WriteFile("a", []byte(start+tt.data), 0o666))
			must(t, os.Chtimes("a", at, at.Add(tt.later)))
			must(t, Copy(env, CopyOptions{Update: true, Verbose: true, Preserve: tt.preserve}, []string{"a"}, "vol.img:0:/"))
			if out.String() != tt.want {
				t.Errorf("printed %q, want %q", out, tt.want)
			}
		})
	}
}

func TestSameContent(t *testing.T) {
	t.Chdir(t.TempDir())
	at := func(name, data string) place {
		must(t, os.WriteFile(name, []byte(data), 0o666))
		return place{tree: host{}, addr: addr.Addr{Text: name, Path: name}}
	}
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10} { // it is compared by 64 KiB
		start := strings.Repeat("x", size)
		if a := at("a", start+"a"); !sameContent(a, at("b", start+"a")) || sameContent(a, at("b", start+"b")) || !sameContent(at("a", start), at("b", start)) {
			t.Errorf("sameContent is wrong at %d bytes", size)
		}
	}
}

// A source that fails costs its own file of a volume and no other.
func TestFailingSourcesOfVolume(t *testing.T) {
	inScene(t, "fat16", files{"a": "1", "gone": "2"})
	env, out := testEnv("")
	want := volumeTree(t)
	c := newCopier(env, CopyOptions{Verbose: true})
	to, err := Parse("vol.img:0:/")
	must(t, err)
	must(t, c.begin(to))
	for _, name := range []string{"a", "gone"} {
		a, err := Parse(name)
		must(t, err)
		c.source(a, true)
	}
	must(t, os.Remove("gone"))
	err = c.commit()
	c.close(&err)
	if got := messages(t, err); got != "gone: no such file or directory" {
		t.Errorf("error %q", got)
	}
	if out.String() != "'a' -> 'vol.img:0:/a'\n" {
		t.Errorf("output %q", out)
	}
	want["a"] = "1"
	if left := volumeTree(t); !maps.Equal(left, want) {
		t.Errorf("left %q", slices.Sorted(maps.Keys(left)))
	}
}

// All names of a file have one key, and so have all of one that is yet to be made.
func TestKeysOfVolume(t *testing.T) {
	inScene(t, "names", nil)
	env, _ := testEnv("")
	ims := newImages(env)
	a, err := Parse("vol.img:0:/")
	must(t, err)
	ims.want(a, image.Read)
	ims.open()
	defer ims.close()
	root, _, err := ims.find(a)
	must(t, err)
	entries, err := root.tree.ReadDir(".")
	must(t, err)
	names := map[string]string{root.key: "."}
	for _, e := range entries {
		fi, err := e.Info()
		must(t, err)
		p, _, err := root.child(e.Name())
		must(t, err)
		if other, ok := names[p.key]; ok {
			t.Errorf("%q and %q have one key", e.Name(), other)
		}
		names[p.key] = e.Name()
		for _, spelling := range []string{strings.ToUpper(e.Name()), strings.ToLower(e.Name()), fi.Sys().(*fat.Entry).ShortName} {
			if other, _, err := root.child(spelling); err != nil || other.key != p.key {
				t.Errorf("%q has the key %q, %v; %q has %q", spelling, other.key, err, e.Name(), p.key)
			}
		}
		upper, lower := root.newChild("new "+strings.ToUpper(e.Name())), root.newChild("NEW "+e.Name())
		if upper.key != lower.key || names[upper.key] != "" {
			t.Errorf("new names have the keys %q and %q", upper.key, lower.key)
		}
	}
}

// All commands lock their images in one order, whatever they are to do with them: else
// two that cross could wait for each other for good.
func TestLockOrder(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.img", "b.img", "c.img"} {
		must(t, testimg.Unpack("fat12", name))
	}
	must(t, os.Symlink("a.img", "link.img"))
	order := func(paths ...string) string {
		var order []string
		env, _ := testEnv("")
		env.waiting = func(path string) func() {
			order = append(order, strings.Replace(path, "link", "a", 1))
			return func() { t.Errorf("waits for %s", path) }
		}
		ims := newImages(env)
		for i, path := range paths {
			a, err := Parse(path + ":0:/")
			must(t, err)
			ims.want(a, image.Mode(i%2)) // Read, Write
		}
		ims.open()
		must(t, ims.close())
		return strings.Join(order, " ")
	}
	want := order("a.img", "b.img", "c.img")
	for range 10 {
		for _, paths := range [][]string{{"a.img", "c.img", "b.img"}, {"b.img", "a.img", "c.img", "link.img"}, {"c.img", "b.img", "link.img"}} {
			if got := order(paths...); got != want {
				t.Errorf("%v are locked in the order %s, want %s", paths, got, want)
			}
		}
	}
}

// A damaged file's size counts for nothing: it does not keep the rest from being copied
// for want of space.
func TestDamagedFileNeedsNoSpace(t *testing.T) {
	img := inScene(t, "fat16", nil)
	must(t, testimg.Unpack("fat12", "to.img"))
	binary.LittleEndian.PutUint32(img[shortEntry(t, img, "CONFIG  TXT")+28:], 0x00ffffff)
	must(t, os.WriteFile("vol.img", img, 0o666))
	env, _ := testEnv("")
	err := Copy(env, CopyOptions{}, []string{"vol.img:0:/config.txt", "vol.img:0:/README.TXT"}, "to.img:0:/EMPTYDIR")
	if got := messages(t, err); !strings.HasPrefix(got, "vol.img:0:/config.txt: damaged file system: ") || strings.Contains(got, "\n") {
		t.Errorf("error %q", got)
	}
	must(t, Copy(env, CopyOptions{}, []string{"to.img:0:/EMPTYDIR/README.TXT"}, "back"))
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, ".a": true, "...": true, "": false, ".": false, "..": false, "a/b": false, "/": false, "a\x00": false} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("checkName(%q) = %v", name, err)
		}
	}
}

// A pattern finds each of two files whose names differ in case alone. Of two that have the very same name it finds the
// first, and says so: it never takes one for the other.
func TestPatternFindsTwins(t *testing.T) {
	for _, tt := range []struct {
		flags byte             // of the second file's name
		sizes map[string]int64 // of what is copied; that of the second file is 2
		fails string
	}{
		{0, map[string]int64{"piece1.bin": 1, "PIECE1.BIN": 2}, ""},
		{0x18, map[string]int64{"piece1.bin": 1},
			"vol.img:0:/piece1.bin: two entries have this name; rename or remove the first to reach the second"},
	} {
		img := inScene(t, "fat16", nil)
		must(t, os.Mkdir("out", 0o777))
		first, second := img[shortEntry(t, img, "PIECE1  BIN"):], img[shortEntry(t, img, "PIECE3  BIN"):]
		copy(second, "PIECE1  BIN")
		second[12] = tt.flags
		binary.LittleEndian.PutUint32(first[28:], 1)
		binary.LittleEndian.PutUint32(second[28:], 2)
		must(t, os.WriteFile("vol.img", img, 0o666))
		env, _ := testEnv("")
		err := Copy(env, CopyOptions{}, []string{"vol.img:0:/piece1*"}, "out")
		if got := messages(t, err); got != tt.fails {
			t.Errorf("flags %#x: %q", tt.flags, got)
		}
		copies, err := os.ReadDir("out")
		must(t, err)
		sizes := map[string]int64{}
		for _, e := range copies {
			fi, err := e.Info()
			must(t, err)
			sizes[e.Name()] = fi.Size()
		}
		if !maps.Equal(sizes, tt.sizes) {
			t.Errorf("flags %#x: %v", tt.flags, sizes)
		}
	}
}
