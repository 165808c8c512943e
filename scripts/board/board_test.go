// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The story takes an hour; what it takes to be played is looked at first.
func TestScriptSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	for _, program := range []string{"sh", "dirname", "cat"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, program)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "sh"), "../board.sh")
	cmd.Env = []string{"PATH=" + dir, "HOME=" + dir}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("without any package: %v, want status 1", err)
	}
	want := "board: missing here: apt install mmdebstrap arch-test qemu-system-arm "
	if !strings.HasPrefix(string(out), want) {
		t.Errorf("without any package it says %q, want %q and more", out, want)
	}
	if n := strings.Count(string(out), "\n"); n != 1 {
		t.Errorf("it says %d lines, want 1: %s", n, out)
	}
}

func TestConsole(t *testing.T) {
	typed, in := io.Pipe()
	out, board := io.Pipe()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := newConsole(in, out, log)
	go func() { // a shell that echoes what is typed
		line := make([]byte, 256)
		n, _ := typed.Read(line)
		io.WriteString(board, strings.TrimSuffix(string(line[:n]), "\r")+"\r\none\r\ntw")
		io.WriteString(board, "o\r\nstatus=3\r\nboard# ")
		board.Close()
	}()
	got, err := c.run("list", time.Minute)
	if want := "one\ntwo\n"; got != want || err == nil || !strings.Contains(err.Error(), "list: status 3") {
		t.Errorf("run = %q, %v; want %q and status 3", got, err, want)
	}
	_, _, _, err = c.expect(time.Minute, regexp.MustCompile("never"))
	if err == nil || !strings.Contains(err.Error(), "is off") {
		t.Errorf("of a board that is off: %v", err)
	}
}

func TestConsoleTakesWhatIsSaidFirst(t *testing.T) {
	c := &console{said: []byte("Kernel panic - not syncing: VFS\r\nlogin: more")}
	i, m, _, err := c.expect(time.Minute, regexp.MustCompile(`login: `), regexp.MustCompile(`syncing: (\w+)`))
	if err != nil || i != 1 || m[1] != "VFS" || string(c.said) != "\r\nlogin: more" {
		t.Errorf("expect = %d, %q, %v, and %q is left", i, m, err, c.said)
	}
}

func TestNamed(t *testing.T) {
	kernel, initramfs := named("# kernel=no\nkernel=vmlinuz-6.1\r\n\ninitramfs initrd.img-6.1 followkernel\n")
	if kernel != "vmlinuz-6.1" || initramfs != "initrd.img-6.1" {
		t.Errorf("named = %q, %q", kernel, initramfs)
	}
}
