// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nobodd/internal/testimg"
	"nobodd/internal/tool"
)

// asCommand makes the test binary the command.
const asCommand = "NOBODD_CP_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		tool.Main(app())
	}
	os.Exit(m.Run())
}

// command is nobodd-cp with args, run by the program and arguments before it, if any.
func command(t *testing.T, before []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(append(before, self), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "GOMAXPROCS=1")
	return cmd
}

// execute runs cmd and gives the exit status, -1 for a signal, and what it said on stderr.
func execute(cmd *exec.Cmd) (status int, stderr string) {
	var buf bytes.Buffer
	cmd.Stderr = &buf
	cmd.Run()
	return cmd.ProcessState.ExitCode(), buf.String()
}

// scene is a copy whose faults are swept.
type scene struct {
	name string
	args []string
	old  map[string]string // files of the image that must be the old or the new ones
	new  map[string]string // "": not there
}

// sources are made in the present directory: small, of several clusters, and a tree.
func sources(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{
		"large": strings.Repeat("a large one\n", 3000),
		"small": "small\n",
		"empty": "",
	}
	for i := range 30 {
		files[fmt.Sprintf("tree/sub/a long and common beginning %d", i)] = fmt.Sprintln(i)
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func scenes(t *testing.T, img []byte) []scene {
	t.Helper()
	src := sources(t)
	before, err := testimg.ReadTree(testimg.Mem(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]string{}
	for name, data := range before {
		old[name] = string(data)
	}
	with := func(changes ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(changes); i += 2 {
			m[changes[i]] = src[changes[i+1]]
		}
		return m
	}
	tree := map[string]string{"tree/": "", "tree/sub/": ""}
	for name, text := range src {
		if strings.HasPrefix(name, "tree/") {
			tree[name] = text
		}
	}
	return []scene{
		{"create", []string{"large", "vol.img:0:/"}, old, with("large", "large")},
		{"larger", []string{"large", "vol.img:0:/config.txt"}, old, with("config.txt", "large")},
		{"smaller", []string{"small", "vol.img:0:/fragmented.bin"}, old, with("fragmented.bin", "small")},
		{"empty", []string{"empty", "vol.img:0:/config.txt"}, old, with("config.txt", "empty")},
		{"several", []string{"large", "small", "empty", "vol.img:0:/overlays"}, old,
			with("overlays/large", "large", "overlays/small", "small", "overlays/empty", "empty")},
		{"tree", []string{"-r", "tree", "vol.img:0:/"}, old, tree},
	}
}

// check requires of the volume what an interrupted copy may leave: each file the old
// or the new one, nothing but left-overs to clean up. It tells whether all is new.
func check(t *testing.T, s scene, what string) (done bool) {
	t.Helper()
	img, err := os.ReadFile("vol.img")
	if err != nil {
		t.Fatal(err)
	}
	report, err := testimg.CheckFAT(testimg.Mem(img), int64(len(img)))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !report.Harmless() || report.Dirty {
		t.Errorf("%s: %v", what, report)
		return false
	}
	got, err := testimg.ReadTree(testimg.Mem(img), int64(len(img)))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	done = true
	for name, data := range got {
		oldText, isOld := s.old[name]
		newText, isNew := s.new[name]
		switch text := string(data); {
		case isNew && text == newText:
		case isOld && text == oldText:
		default:
			t.Errorf("%s: %s is neither the old nor the new one", what, name)
		}
	}
	for name := range s.old {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: %s is lost", what, name)
		}
	}
	for name, text := range s.new {
		data, ok := got[name]
		done = done && ok && string(data) == text
	}
	return done
}

// TestFaults has the command killed, and its writes and syncs fail, at each of them in
// turn. The volume must stay sound, and the same command must then work.
func TestFaults(t *testing.T) {
	testimg.NeedPeer(t, "strace", "fsck.vfat")
	if err := exec.Command("strace", "-o", "/dev/null", "true").Run(); err != nil {
		t.Skip("strace may not trace here")
	}
	for _, fault := range []struct{ name, calls, effect, says string }{
		{"kill", "pwrite64,fsync,fdatasync", "signal=KILL", ""},
		{"EIO", "pwrite64,fsync,fdatasync", "error=EIO", "input/output error"},
		{"ENOSPC", "pwrite64", "error=ENOSPC", "no space left on device"},
	} {
		for _, fixture := range []string{"fat12", "fat32"} {
			t.Run(fault.name+"/"+fixture, func(t *testing.T) {
				t.Chdir(t.TempDir())
				img := testimg.Fixture(t, fixture)
				for _, s := range scenes(t, img) {
					sweep(t, s, img, fault.calls, fault.effect, fault.says)
				}
			})
		}
	}
}

func sweep(t *testing.T, s scene, img []byte, calls, effect, says string) {
	t.Helper()
	const most = 500
	for n := 1; ; n++ {
		what := fmt.Sprintf("%s, call %d", s.name, n)
		if err := testimg.WriteSparse("vol.img", img); err != nil {
			t.Fatal(err)
		}
		inject := fmt.Sprintf("inject=%s:%s:when=%d", calls, effect, n)
		trace := []string{"strace", "-f", "-qq", "-o", "trace", "-e", "trace=" + calls, "-e", inject}
		status, stderr := execute(command(t, trace, s.args...))
		hit := status != 0
		done := check(t, s, what)
		switch {
		case !hit && !done:
			t.Errorf("%s: exit status 0, but not all is new", what)
		case hit && says != "" && (status != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, says)):
			t.Errorf("%s: exit status %d, %q", what, status, stderr)
		}
		if !hit {
			if n < 3 {
				t.Errorf("%s: only %d faults", s.name, n-1)
			}
			return
		}
		if status, stderr := execute(command(t, nil, s.args...)); status != 0 {
			t.Errorf("%s: then exit status %d, %q", what, status, stderr)
		}
		if !check(t, s, what+", again") {
			t.Errorf("%s: then not all is new", what)
		}
		if t.Failed() {
			return
		}
		if n == most {
			t.Fatalf("%s: more than %d faults", s.name, most)
		}
	}
}
