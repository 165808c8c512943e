// SPDX-License-Identifier: GPL-3.0-or-later

// Package testimg holds what the tests of several packages share: disk images made
// by real formatters, devices that count, record and fail, and the rule for absent peers.
// Only tests and the development programs below scripts import it.
package testimg

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Formatters live in directories that an ordinary user's PATH may lack.
func init() {
	path := os.Getenv("PATH")
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if !strings.Contains(":"+path+":", ":"+dir+":") {
			path += ":" + dir
		}
	}
	os.Setenv("PATH", path)
}

// NeedPeer skips the test if one of the named programs is not on PATH (extended by
// the sbin directories); a name with a slash is a file. Where the environment has a non-empty CI the test fails
// instead: a peer may be absent from a laptop, never from CI. The short tier (go test
// -short) does without peers, so that it takes the same time everywhere.
func NeedPeer(t testing.TB, names ...string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("compares with %s, which the short tier does not", strings.Join(names, ", "))
	}
	needPeer(t, os.Getenv("CI") != "", names...)
}

// reporter is what needPeer takes of testing.TB.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

func needPeer(t reporter, ci bool, names ...string) {
	t.Helper()
	absent := Absent(names...)
	switch {
	case len(absent) == 0:
	case ci:
		t.Fatalf("needs %s, which CI must have", strings.Join(absent, ", "))
	default:
		t.Skipf("needs %s", strings.Join(absent, ", "))
	}
}

// Absent returns those of the named programs, or files, that are not installed.
func Absent(names ...string) []string {
	var absent []string
	for _, name := range names {
		_, err := exec.LookPath(name)
		if strings.Contains(name, "/") {
			_, err = os.Stat(name)
		}
		if err != nil {
			absent = append(absent, name)
		}
	}
	return absent
}

// LoopDevice makes a block device of the image at path, with sectors of the given size in
// bytes, and returns its path. It skips where it may not: that needs root and a kernel that
// lets it.
func LoopDevice(t testing.TB, path string, sector int) string {
	t.Helper()
	out, err := exec.Command("losetup", "--sector-size", fmt.Sprint(sector), "--find", "--show", path).Output()
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	loop := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "--detach", loop).Run(); err != nil {
			t.Error(err)
		}
	})
	return loop
}
