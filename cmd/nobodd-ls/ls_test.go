// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"nobodd/internal/image"
	"nobodd/internal/tree"
)

func TestDateText(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		t    time.Time
		want string
	}{
		{now, "Jul  1 12:00"},
		{now.Add(time.Second), "Jul  1  2026"},
		{time.Date(2026, 6, 23, 13, 41, 59, 0, time.UTC), "Jun 23 13:41"},
		{now.Add(-31556952 / 2 * time.Second), "Dec 30 21:05"},
		{now.Add(-31556952/2*time.Second - 1), "Dec 30  2025"},
		{time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), "Jan  1  1980"},
		{time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC), "Dec 31  2107"},
	} {
		if got := dateText(tt.t, now); got != tt.want {
			t.Errorf("dateText(%v) = %q, want %q", tt.t, got, tt.want)
		}
	}
}

func TestModeText(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o644:                                     "-rw-r--r--",
		0o444:                                     "-r--r--r--",
		fs.ModeDir | 0o755:                        "drwxr-xr-x",
		fs.ModeDir | fs.ModeSticky | 0o777:        "drwxrwxrwt",
		fs.ModeDir | fs.ModeSticky | 0o770:        "drwxrwx--T",
		fs.ModeSetuid | 0o755:                     "-rwsr-xr-x",
		fs.ModeSetuid | fs.ModeSetgid | 0o644:     "-rwSr-Sr--",
		fs.ModeSymlink | 0o777:                    "lrwxrwxrwx",
		fs.ModeNamedPipe | 0o600:                  "prw-------",
		fs.ModeSocket | 0o600:                     "srw-------",
		fs.ModeDevice | 0o660:                     "brw-rw----",
		fs.ModeDevice | fs.ModeCharDevice | 0o666: "crw-rw-rw-",
	} {
		if got := modeText(mode); got != want {
			t.Errorf("modeText(%v) = %s, want %s", mode, got, want)
		}
	}
}

// What can be made without a second program stands in the scripts.
func TestMarkOfSocket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	if err := syscall.Mknod(file, syscall.S_IFSOCK|0o666, 0); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := (&printer{classify: true}).mark(tree.Entry{Info: fi}); got != "=" {
		t.Errorf("a socket is marked %q", got)
	}
}

// What a GPT name holds does not break its line.
func TestPartitionLabel(t *testing.T) {
	for label, want := range map[string]string{"": "-", "boot part": "boot part", "a\tb\n\x1b[31m": "a?b??[31m"} {
		rows := partitionRows([]tree.Entry{{Part: &image.Partition{Num: 1, Label: label}}}, func(int64) string { return "" })
		if got := rows[1][7]; got != want {
			t.Errorf("label %q shows as %q, want %q", label, got, want)
		}
	}
}

// A file system that is full has 0 bytes free; "-" and null say that nobody knows.
func TestFree(t *testing.T) {
	for free, want := range map[int64]string{0: "0", 7: "7", -1: "-"} {
		e := tree.Entry{Part: &image.Partition{Free: free}}
		if got := partitionRows([]tree.Entry{e}, func(n int64) string { return strconv.FormatInt(n, 10) })[1][5]; got != want {
			t.Errorf("%d bytes free show as %q, want %q", free, got, want)
		}
		if got := partitionOf(e).Free; (got == nil) != (free < 0) || got != nil && *got != free {
			t.Errorf("%d bytes free are %v in JSON", free, got)
		}
	}
}

func TestOwnerNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, []byte("root:x:0:0::/root:/bin/sh\ntoor:x:0:0:::\n\nbroken\npi:x:1000:1000:::\nlast:x:7:7"), 0o666); err != nil {
		t.Fatal(err)
	}
	var users names
	for id, want := range map[uint32]string{0: "root", 1000: "pi", 7: "last", 8: "8"} {
		if got := users.name(file, id); got != want {
			t.Errorf("name of %d = %q, want %q", id, got, want)
		}
	}
	var none names
	if got := none.name(file+".absent", 5); got != "5" {
		t.Errorf("without a file: %q, want 5", got)
	}
}

func TestExtension(t *testing.T) {
	for in, want := range map[string]string{"a": "", "a.b": ".b", "a.b.c": ".c", ".hidden": ".hidden", "a.": "."} {
		if got := extension(in); got != want {
			t.Errorf("extension(%q) = %q, want %q", in, got, want)
		}
	}
}
