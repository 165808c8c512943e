// SPDX-License-Identifier: GPL-3.0-or-later

package tree_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

func TestMain(m *testing.M) { testimg.Main(m) }

// scene is a command whose faults are swept.
type scene struct {
	name    string
	args    []string
	made    map[string]string // what it writes: new content by name
	removed string            // what it removes, with all below it
	moves   bool              // it moves what is removed to what is made
	local   bool              // it writes to this machine
}

// sources are made in the present directory: a large file, small ones, and a tree.
func sources(t *testing.T) map[string]string {
	t.Helper()
	src := map[string]string{
		"large": strings.Repeat("a large one\n", 3000),
		"small": "small\n",
		"empty": "",
	}
	for i := range 30 {
		src[fmt.Sprintf("tree/sub/a long and common beginning %d", i)] = fmt.Sprintln(i)
	}
	for name, text := range src {
		noError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		noError(t, os.WriteFile(name, []byte(text), 0o666))
	}
	return src
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func scenes(src, volume map[string]string) []scene {
	tree := map[string]string{"tree/": "", "tree/sub/": ""}
	for name, text := range src {
		if strings.HasPrefix(name, "tree/") {
			tree[name] = text
		}
	}
	out := map[string]string{}
	for name, text := range volume {
		if sub, ok := strings.CutPrefix(name, "overlays/"); ok && !strings.HasSuffix(name, "/") {
			out["out/"+sub] = text
		}
	}
	renamed := map[string]string{}
	for name, text := range volume {
		if sub, ok := strings.CutPrefix(name, "overlays/"); ok {
			renamed["o/"+sub] = text
		}
	}
	return []scene{
		{name: "create", args: []string{"nobodd-cp", "large", "vol.img:0:/"},
			made: map[string]string{"large": src["large"]}},
		{name: "larger", args: []string{"nobodd-cp", "large", "vol.img:0:/config.txt"},
			made: map[string]string{"config.txt": src["large"]}},
		{name: "smaller", args: []string{"nobodd-cp", "small", "vol.img:0:/fragmented.bin"},
			made: map[string]string{"fragmented.bin": src["small"]}},
		{name: "to empty", args: []string{"nobodd-cp", "empty", "vol.img:0:/config.txt"},
			made: map[string]string{"config.txt": ""}},
		{name: "several", args: []string{"nobodd-cp", "large", "small", "empty", "vol.img:0:/overlays"},
			made: map[string]string{"overlays/large": src["large"], "overlays/small": src["small"], "overlays/empty": ""}},
		{name: "tree", args: []string{"nobodd-cp", "-r", "tree", "vol.img:0:/"}, made: tree},
		{name: "in the volume", args: []string{"nobodd-cp", "vol.img:0:/fragmented.bin", "vol.img:0:/config.txt"},
			made: map[string]string{"config.txt": volume["fragmented.bin"]}},
		{name: "remove", args: []string{"nobodd-rm", "-f", "vol.img:0:/fragmented.bin"}, removed: "fragmented.bin"},
		{name: "remove a tree", args: []string{"nobodd-rm", "-rf", "vol.img:0:/overlays"}, removed: "overlays/"},
		{name: "move", args: []string{"nobodd-mv", "-f", "vol.img:0:/fragmented.bin", "vol.img:0:/overlays/a long name"},
			made: map[string]string{"overlays/a long name": volume["fragmented.bin"]}, removed: "fragmented.bin", moves: true},
		{name: "rename", args: []string{"nobodd-mv", "-f", "vol.img:0:/overlays", "vol.img:0:/o"},
			made: renamed, removed: "overlays/", moves: true},
		{name: "move over a file", args: []string{"nobodd-mv", "-f", "vol.img:0:/fragmented.bin", "vol.img:0:/config.txt"},
			made: map[string]string{"config.txt": volume["fragmented.bin"]}, removed: "fragmented.bin", moves: true},
		{name: "make directories", args: []string{"nobodd-mkdir", "-p", "vol.img:0:/new/sub", "vol.img:0:/overlays/a long name"},
			made: map[string]string{"new/": "", "new/sub/": "", "overlays/a long name/": ""}},
		{name: "one to this machine", args: []string{"nobodd-cp", "vol.img:0:/fragmented.bin", "out"}, local: true,
			made: map[string]string{"out/fragmented.bin": volume["fragmented.bin"]}},
		{name: "a tree to this machine", args: []string{"nobodd-cp", "-rT", "vol.img:0:/overlays", "out"}, local: true, made: out},
	}
}

// state is what the volume, or this machine below out, holds.
func (s scene) state(t *testing.T, what string) map[string]string {
	t.Helper()
	state := map[string]string{}
	if s.local {
		noError(t, filepath.WalkDir("out", func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			state[path] = string(data)
			return err
		}))
		return state
	}
	img, err := os.ReadFile("vol.img")
	noError(t, err)
	report, err := fatcheck.Check(testimg.Mem(img), int64(len(img)))
	noError(t, err)
	if !report.Harmless() || report.Dirty {
		t.Fatalf("%s: %v", what, report)
	}
	tree, err := fatcheck.ReadTree(testimg.Mem(img), int64(len(img)))
	noError(t, err)
	for name, data := range tree {
		state[name] = string(data)
	}
	return state
}

// check requires that each file is the old or the new one, and reports whether all is new.
func (s scene) check(t *testing.T, what string, old map[string]string, killed bool) (done bool) {
	t.Helper()
	got := s.state(t, what)
	done = true
	for name, text := range got {
		oldText, isOld := old[name]
		newText, isNew := s.made[name]
		temp := killed && strings.HasPrefix(filepath.Base(name), ".nobodd-")
		if !temp && !(isOld && text == oldText) && !(isNew && text == newText) {
			t.Errorf("%s: %s is neither the old nor the new one", what, name)
		}
		done = done && (s.removed == "" || !strings.HasPrefix(name, s.removed))
	}
	isNew := true
	for name, text := range s.made {
		data, ok := got[name]
		isNew = isNew && ok && data == text
	}
	for name := range old {
		isRemoved := s.removed != "" && strings.HasPrefix(name, s.removed)
		if _, ok := got[name]; !ok && (!isRemoved || s.moves && !isNew) {
			t.Errorf("%s: %s is lost", what, name)
		}
	}
	return done && isNew
}

// TestFaults has the built commands killed, and their writes and syncs fail, at each of
// them in turn: nothing may be lost, and the same command must then work. That no cut of a
// volume loses a file is proved on devices in memory, in package fat; here it is that the
// commands write as that package does, and what they say. A change of a volume meets one of the
// two faults, what is written to this machine meets them all.
func TestFaults(t *testing.T) {
	testimg.NeedPeer(t, "strace")
	if err := exec.Command("strace", "-o", "/dev/null", "true").Run(); err != nil {
		t.Skip("strace may not trace here")
	}
	bin := testimg.Commands(t)
	for _, f := range []fault{
		{name: "kill", fixture: "fat12", syncs: true, effect: "signal=KILL",
			scenes: []string{"create", "larger", "tree", "remove a tree", "move", "make directories"}},
		{name: "EIO", fixture: "fat32", syncs: true, effect: "error=EIO", says: "input/output error",
			scenes: []string{"smaller", "to empty", "several", "in the volume", "remove", "rename", "move over a file"}},
		{name: "ENOSPC", fixture: "fat12", effect: "error=ENOSPC", says: "no space left on device",
			scenes: []string{"larger"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Chdir(memoryDir(t))
			img := testimg.Fixture(t, f.fixture)
			src := sources(t)
			noError(t, testimg.WriteSparse("vol.img", img))
			for _, s := range scenes(src, scene{}.state(t, "at first")) {
				if !slices.Contains(f.scenes, s.name) && !s.local {
					continue
				}
				t.Run(s.name, func(t *testing.T) {
					for _, calls := range f.calls(s) {
						sweep(t, s, f, calls, bin, img)
					}
				})
			}
		})
	}
}

// memoryDir returns a temporary directory on which syncs take no time, if there is one.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "nobodd-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// fault is what happens to a system call.
type fault struct {
	name    string
	fixture string   // the volume
	syncs   bool     // to syncs, too
	effect  string   // as strace has it
	says    string   // what the command then says; "": it is killed
	scenes  []string // those in a volume
}

// calls are the system calls of s that f happens to, each of them in a sweep of its own:
// else the first of one kind would hide the first of another.
func (f fault) calls(s scene) []string {
	calls, sync := []string{"pwrite64"}, "fsync"
	if s.local {
		calls, sync = []string{"write", "renameat"}, "fsync,syncfs"
	}
	if f.syncs {
		calls = append(calls, sync)
	}
	return calls
}

// reset makes everything as it was before the command and returns what that is.
func (s scene) reset(t *testing.T, img []byte) map[string]string {
	t.Helper()
	noError(t, testimg.WriteSparse("vol.img", img))
	noError(t, os.RemoveAll("out"))
	noError(t, os.MkdirAll("out", 0o777))
	noError(t, os.WriteFile("out/fragmented.bin", []byte("old"), 0o666))
	noError(t, os.WriteFile("out/dwc2.dtbo", []byte("old"), 0o666))
	return s.state(t, "at first")
}

// sweep has f happen to each of calls in turn.
func sweep(t *testing.T, s scene, f fault, calls, bin string, img []byte) {
	const most = 500
	short := 0 // sweeps that met fewer calls than the command makes
	for n := 1; n < most; n++ {
		what := fmt.Sprintf("%s, call %d", calls, n)
		old := s.reset(t, img)
		trace := []string{"strace", "-f", "-qq", "-o", "trace", "-e", "trace=" + calls, "-e",
			fmt.Sprintf("inject=%s:%s:when=%d", calls, f.effect, n)}
		status, stderr := execute(bin, trace, s.args)
		done := s.check(t, what, old, f.says == "")
		if status == 0 {
			if !done {
				t.Errorf("%s: exit status 0, but not all is new", what)
			}
			if n < 2 {
				// strace counts the calls of each thread by itself, and a goroutine may change its thread.
				if short++; short < 10 {
					n = 0
					continue
				}
				t.Errorf("no %s fails", calls)
			}
			return
		}
		if f.says != "" && (status != 1 || !f.said(s, calls, stderr)) {
			t.Errorf("%s: exit status %d, %q", what, status, stderr)
		}
		if status, stderr := execute(bin, nil, s.args); status != 0 && !(s.moves && done) {
			t.Errorf("%s: then exit status %d, %q", what, status, stderr)
		}
		if !s.check(t, what+", again", old, f.says == "") {
			t.Errorf("%s: then not all is new", what)
		}
		if t.Failed() {
			return
		}
	}
	t.Errorf("more than %d faults", most)
}

// said reports whether stderr is what s says when f happens to one of calls.
func (f fault) said(s scene, calls, stderr string) bool {
	lines := strings.Count(stderr, "\n")
	switch {
	case calls == "write" && stderr == "":
		return true // the message met the fault, too
	case s.local && calls == "renameat" && lines > 1:
		// The fault happens to a call of each thread; each file that keeps its old state is an error.
		return strings.Count(stderr, f.says+"\n") == lines
	}
	return lines == 1 && strings.Contains(stderr, f.says)
}

// execute runs a command of bin, below another one if there is one, and returns the exit
// status, -1 for a signal, and what it said on stderr.
func execute(bin string, below, args []string) (status int, stderr string) {
	line := append(append([]string{}, below...), filepath.Join(bin, args[0]))
	line = append(line, args[1:]...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var buf bytes.Buffer
	cmd.Stderr = &buf
	cmd.Run()
	return cmd.ProcessState.ExitCode(), buf.String()
}
