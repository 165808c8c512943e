// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
)

// built is the directory of the commands that this process has built, if it has.
var built string

// Main runs the tests of a package that uses Commands, or that copies many images, and ends the process:
//
//	func TestMain(m *testing.M) { testimg.Main(m) }
//
// The garbage collector waits longer than it does by default: the images that the tests hold are small beside
// those they throw away.
func Main(m *testing.M) {
	debug.SetGCPercent(400)
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// Commands returns the directory of the built commands: the one that NOBODD_BIN names, so that several packages
// share what make has built, else one that is built once a process. Each source file is looked at, so that go
// test knows what its cached result depends on: the commands are built by another process.
func Commands(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"cmd", "internal", "scripts"} {
		if err := filepath.WalkDir(filepath.Join(Root(), dir), note); err != nil {
			t.Fatal(err)
		}
	}
	if dir := os.Getenv("NOBODD_BIN"); dir != "" {
		return dir
	}
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Root returns the directory of the module.
func Root() string {
	if root == "" {
		panic("no go.mod in the directories above")
	}
	return root
}

// The directory is looked for at once: a test may leave it. The programs that use this package run
// outside of it, too.
var root = findRoot()

// findRoot returns the directory of the module that the working directory is in, "" if there is none.
func findRoot() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// build builds the commands as make does; with coverage counters if the environment says
// where they are to be written.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "nobodd-commands-"); err != nil {
		return "", err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w",
		"-o", built + "/"}
	if os.Getenv("GOCOVERDIR") != "" {
		args = append(args, "-cover", "-coverpkg=nobodd/...")
	}
	cmd := exec.Command("go", append(args, "./cmd/...")...)
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return built, nil
})

func note(path string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case d.IsDir():
		_, err = os.ReadDir(path)
	default:
		_, err = os.Stat(path)
	}
	return err
}
