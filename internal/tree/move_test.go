// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"bytes"
	"io"
	"maps"
	"os"
	"strings"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

func TestMove(t *testing.T) {
	for _, tt := range []struct {
		name    string
		opt     MoveOptions
		sources []string
		dest    string
		moved   map[string]string // new name by old name; what is replaced is there no more
		out     string
		wantErr string
	}{
		{
			name:    "a new name",
			opt:     MoveOptions{Verbose: true},
			sources: []string{"vol.img:/CONFIG.TXT"},
			dest:    "vol.img:0:/A new one",
			moved:   map[string]string{"config.txt": "A new one"},
			out:     "'vol.img:/CONFIG.TXT' -> 'vol.img:0:/A new one'\n",
		},
		{
			name:    "into a directory, under the names that the entries have",
			opt:     MoveOptions{Verbose: true},
			sources: []string{"vol.img:/ALONGE~1.TEX", "vol.img:/OVERLAYS/DEEP/"},
			dest:    "vol.img:/emptydir",
			moved:   map[string]string{"A longer name.text": "EMPTYDIR/A longer name.text", "overlays/deep/": "EMPTYDIR/deep/"},
			out: "'vol.img:/ALONGE~1.TEX' -> 'vol.img:/emptydir/A longer name.text'\n" +
				"'vol.img:/OVERLAYS/DEEP' -> 'vol.img:/emptydir/deep'\n",
		},
		{
			name:    "over a file",
			sources: []string{"vol.img:/fragmented.bin"},
			dest:    "vol.img:/CONFIG.TXT",
			moved:   map[string]string{"fragmented.bin": "config.txt"},
		},
		{
			name:    "over an empty directory",
			opt:     MoveOptions{NoTargetDir: true},
			sources: []string{"vol.img:/overlays"},
			dest:    "vol.img:/emptydir",
			moved:   map[string]string{"overlays/": "EMPTYDIR/"},
		},
		{
			name:    "another spelling of a directory",
			sources: []string{"vol.img:/overlays"},
			dest:    "vol.img:/Overlays",
			moved:   map[string]string{"overlays/": "Overlays/"},
		},
		{
			name:    "another spelling of one of several is no spelling",
			sources: []string{"vol.img:/config.txt", "vol.img:/overlays"},
			dest:    "vol.img:/OVERLAYS",
			moved:   map[string]string{"config.txt": "overlays/config.txt"},
			wantErr: "vol.img:/overlays: cannot move a directory into itself, 'vol.img:/OVERLAYS/overlays'",
		},
		{
			name:    "nothing is replaced",
			opt:     MoveOptions{NoClobber: true, Verbose: true},
			sources: []string{"vol.img:/README.TXT"},
			dest:    "vol.img:/config.txt",
		},
		{
			name:    "two sources of one name",
			sources: []string{"vol.img:/overlays/deep/nested.cfg", "vol.img:/overlays/deep/NESTED.CFG", "vol.img:/config.txt"},
			dest:    "vol.img:/EMPTYDIR",
			moved:   map[string]string{"overlays/deep/nested.cfg": "EMPTYDIR/nested.cfg", "config.txt": "EMPTYDIR/config.txt"},
			wantErr: "vol.img:/overlays/deep/NESTED.CFG: no such file or directory",
		},
		{
			name:    "elsewhere",
			sources: []string{"here", "other.img:/x", "vol.img:/config.txt"},
			dest:    "vol.img:/EMPTYDIR",
			moved:   map[string]string{"config.txt": "EMPTYDIR/config.txt"},
			wantErr: "here: not in the volume of 'vol.img:/EMPTYDIR'; copy and remove it instead: " +
				"nobodd-cp -rp 'here' 'vol.img:/EMPTYDIR' && rm -r 'here'\n" +
				"other.img:/x: not in the volume of 'vol.img:/EMPTYDIR'; copy and remove it instead: " +
				"nobodd-cp -rp 'other.img:/x' 'vol.img:/EMPTYDIR' && nobodd-rm -r 'other.img:/x'",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inScene(t, "fat12", nil)
			before := volumeTree(t)
			want := movedTree(before, tt.moved)
			env, out := testEnv("")
			if got := messages(t, Move(env, tt.opt, tt.sources, tt.dest)); got != tt.wantErr {
				t.Errorf("errors %q, want %q", got, tt.wantErr)
			}
			if out.String() != tt.out {
				t.Errorf("printed %q, want %q", out, tt.out)
			}
			if got := volumeTree(t); !maps.Equal(got, want) {
				t.Errorf("the volume holds %v, want %v", got, want)
			}
		})
	}
}

// movedTree returns tree with moved, new names by old ones; a directory's name ends in a slash.
func movedTree(tree files, moved map[string]string) files {
	want := maps.Clone(tree)
	for from := range moved {
		for name := range tree {
			if name == from || strings.HasSuffix(from, "/") && strings.HasPrefix(name, from) {
				delete(want, name)
			}
		}
	}
	for from, to := range moved {
		for name, text := range tree {
			if sub, ok := strings.CutPrefix(name, from); ok {
				want[to+sub] = text
			}
		}
	}
	return want
}

// The same command again ends the move of a directory that was cut when it stood in both places, be the
// destination its new name or the directory that it goes into. Another command, which moves it into that
// directory, is another move.
func TestMoveAgain(t *testing.T) {
	for _, tt := range []struct {
		dest, to, moved string
		opt             MoveOptions
	}{
		{"vol.img:/EMPTYDIR", "EMPTYDIR/overlays", "EMPTYDIR/overlays", MoveOptions{Verbose: true}},
		{"vol.img:/EMPTYDIR/", "EMPTYDIR/overlays", "EMPTYDIR/overlays", MoveOptions{Verbose: true}},
		{"vol.img:/EMPTYDIR/new", "EMPTYDIR/new", "EMPTYDIR/new", MoveOptions{Verbose: true}},
		{"vol.img:/EMPTYDIR/new", "EMPTYDIR/new", "EMPTYDIR/new/overlays", MoveOptions{Verbose: true, IntoDir: true}},
	} {
		img := inScene(t, "fat16", nil)
		want := volumeTree(t)
		for name, data := range maps.Clone(want) {
			if sub, ok := strings.CutPrefix(name, "overlays/"); ok {
				delete(want, name)
				want[tt.to+"/"+sub], want[tt.moved+"/"+sub] = data, data
			}
		}
		rec := testimg.NewRecorder(img)
		v, err := fat.Open(rec, rec.Size())
		must(t, err)
		tx, err := v.Begin(fat.TxOptions{})
		must(t, err)
		must(t, tx.Rename("overlays", tt.to, nil))
		must(t, tx.Commit())
		both := 0 // cuts that leave it in both places
		for n := range rec.Len() + 1 {
			must(t, os.WriteFile("vol.img", rec.After(n).Bytes(), 0o666))
			v, err := fat.Open(rec.After(n), rec.Size())
			must(t, err)
			_, olderr := v.Stat("overlays")
			_, newerr := v.Stat(tt.to)
			if olderr != nil || newerr != nil {
				continue
			}
			both++
			env, out := testEnv("")
			must(t, Move(env, tt.opt, []string{"vol.img:/overlays"}, tt.dest))
			if want := "'vol.img:/overlays' -> 'vol.img:/" + tt.moved + "'\n"; out.String() != want {
				t.Errorf("cut after %d: printed %q, want %q", n, out, want)
			}
			if got := volumeTree(t); !maps.Equal(got, want) {
				t.Errorf("cut after %d: the volume holds %q", n, got)
			}
		}
		if both == 0 {
			t.Errorf("%s: no cut leaves it in both places", tt.dest)
		}
	}
}

// meterEnv notes what is shown of the progress.
type meterEnv struct {
	fakeEnv
	total, done, ended *int64
}

func (e meterEnv) Progress(total int64) (func(int64), func()) {
	*e.total = total
	return func(n int64) { *e.done += n }, func() { *e.ended++ }
}

// What is copied shows its progress, what is renamed in place has none.
func TestMoveProgress(t *testing.T) {
	inScene(t, "fat12", files{"new": strings.Repeat("new", 5000), "small": "small"})
	fake, _ := testEnv("")
	must(t, Copy(fake, CopyOptions{}, []string{"new", "small"}, "vol.img:/"))
	var total, done, ended int64
	env := meterEnv{fake, &total, &done, &ended}
	must(t, Move(env, MoveOptions{}, []string{"vol.img:/new"}, "vol.img:/n"))
	if total != 0 || ended != 0 {
		t.Errorf("in place: %d bytes, ended %d times", total, ended)
	}
	must(t, Move(env, MoveOptions{}, []string{"vol.img:/n", "vol.img:/small"}, "vol.img:/overlays"))
	if total != 15005 || done != total || ended != 1 {
		t.Errorf("%d of %d bytes, ended %d times", done, total, ended)
	}
}

// A copy shows how much of all its files is done, into a volume and to this machine.
func TestCopyProgress(t *testing.T) {
	inScene(t, "fat12", files{"new": strings.Repeat("new", 5000), "small": "small"})
	must(t, os.Mkdir("out", 0o777))
	fake, _ := testEnv("")
	for _, args := range [][]string{{"new", "small", "vol.img:/"}, {"vol.img:/new", "vol.img:/small", "out"}} {
		sources, dest := args[:2], args[2]
		var total, done, ended int64
		must(t, Copy(meterEnv{fake, &total, &done, &ended}, CopyOptions{}, sources, dest))
		if total != 15005 || done != total || ended != 1 {
			t.Errorf("to %s: %d of %d bytes, ended %d times", dest, done, total, ended)
		}
	}
}

// What is read of this machine shows how much of it is done.
func TestReadProgress(t *testing.T) {
	t.Chdir(t.TempDir())
	files{"new": strings.Repeat("new", 200_000)}.make(t)
	fake, _ := testEnv("")
	var total, done, ended int64
	a, err := Parse("new")
	must(t, err)
	must(t, Read(meterEnv{fake, &total, &done, &ended}, a, io.Discard))
	if total != 600_000 || done != total || ended != 1 {
		t.Errorf("%d of %d bytes, ended %d times", done, total, ended)
	}
}

// A volume in use is refused once, even where nothing would be moved.
func TestMoveInUse(t *testing.T) {
	img := inScene(t, "dirty16", nil)
	env, _ := testEnv("")
	const want = "vol.img:/EMPTYDIR: file system is in use (or was not unmounted): shut its board down first; --force writes all the same"
	for _, opt := range []MoveOptions{{}, {NoClobber: true}} {
		err := Move(env, opt, []string{"vol.img:/nothere", "vol.img:/config.txt"}, "vol.img:/EMPTYDIR")
		if got := messages(t, err); got != want {
			t.Errorf("errors %q, want %q", got, want)
		}
	}
	now, err := os.ReadFile("vol.img")
	if must(t, err); !bytes.Equal(now, img) {
		t.Error("the volume was written to")
	}
}
