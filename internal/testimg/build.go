// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds the commands in a temporary directory and returns its path. root is the
// path of the module. Each source file is looked at, so that go test knows what its
// cached result depends on: the commands are built by another process.
func Build(t testing.TB, root string) string {
	t.Helper()
	for _, dir := range []string{"cmd", "internal", "scripts"} {
		if err := filepath.WalkDir(filepath.Join(root, dir), note); err != nil {
			t.Fatal(err)
		}
	}
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin+"/", "./cmd/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

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
