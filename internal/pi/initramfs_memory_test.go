// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// maxMemory is what reading an initramfs may take, in bytes, the test itself included.
const maxMemory = 64 << 20

// hostile makes files that ask for memory, each by other means.
var hostile = map[string]func(t testing.TB) []byte{
	"bomb of zstd": func(t testing.TB) []byte {
		one := newc(file("f", strings.Repeat("\x00", 1<<20)))
		return zstdOf(t, bytes.Repeat(one, 100))
	},
	"bomb of gzip": func(t testing.TB) []byte {
		return gzipped(bytes.Repeat(newc(file("f", strings.Repeat("\x00", 1<<20))), 100))
	},
	"zstd that looks back 32 MiB": func(t testing.TB) []byte {
		return zstdOf(t, newc(file("f", noise(40<<20))), zstd.WithWindowSize(32<<20))
	},
	"xz that looks back 32 MiB": func(t testing.TB) []byte { return xzRaw(newc(file("f", noise(40<<20))), 32<<20) },
	"two archives of xz, and two of zstd": func(t testing.TB) []byte {
		whole := newc(file("f", noise(33<<20)))
		a, b := xzRaw(whole, 32<<20), zstdRaw(whole, 32<<20)
		return join(a, a, b, b)
	},
	"lz4": func(t testing.TB) []byte { return lz4Of(newc(file("f", noise(20<<20)))) },
	"links": func(t testing.TB) []byte {
		var links []entry
		for i := range maxKept {
			links = append(links, symlink(fmt.Sprintf("%d/%s", i, strings.Repeat("n", 150)), strings.Repeat("t", 80)))
		}
		return gzipped(newc(links...))
	},
	"hard links": func(t testing.TB) []byte {
		var links []entry
		for i := range maxKept {
			links = append(links, entry{name: fmt.Sprintf("%d/%s", i, strings.Repeat("n", 400)), ino: 5, links: 2})
		}
		return gzipped(newc(append(links, entry{name: "scripts/x", ino: 5, links: 2, body: "nbd-client\n"})...))
	},
	"files that are kept": func(t testing.TB) []byte {
		var files []entry
		for i := range 200 {
			files = append(files, file(fmt.Sprintf("conf/conf.d/%d", i), strings.Repeat("x", maxText)))
		}
		return gzipped(newc(files...))
	},
	"versions": func(t testing.TB) []byte {
		var dirs []entry
		for i := range 50_000 {
			dirs = append(dirs, dir(fmt.Sprintf("lib/modules/%d%s", i, strings.Repeat("v", 300))))
		}
		return gzipped(newc(dirs...))
	},
}

// noise returns n bytes that do not pack.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// TestMemory reads each in a process of its own, which says how much it took. Another makes it. Their
// program is built without the race detector, which multiplies the memory, and the time to compress.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	program := filepath.Join(t.TempDir(), "pi.test")
	if out, err := exec.Command("go", "test", "-c", "-race=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "initramfs")
	for name := range hostile {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program, "-test.run=^TestMakeHostile$")
			cmd.Env = append(os.Environ(), "NOBODD_HOSTILE="+name, "NOBODD_HOSTILE_FILE="+file)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			in, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			cmd = exec.Command(program, "-test.run=^TestReadStdin$", "-test.v")
			cmd.Env = append(os.Environ(), "NOBODD_READ_STDIN=y")
			cmd.Stdin = in
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			kib := 0
			if _, after, found := bytes.Cut(out, []byte("VmHWM:")); found {
				fmt.Sscan(string(after), &kib)
			}
			if t.Logf("%d MiB", kib>>10); kib == 0 || kib > maxMemory>>10 {
				t.Errorf("%d MiB of memory", kib>>10)
			}
		})
	}
}

// TestMakeHostile writes what TestMemory reads.
func TestMakeHostile(t *testing.T) {
	name := os.Getenv("NOBODD_HOSTILE")
	if name == "" {
		t.Skip("nothing to make")
	}
	if err := os.WriteFile(os.Getenv("NOBODD_HOSTILE_FILE"), hostile[name](t), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReadStdin is what TestMemory runs then.
func TestReadStdin(t *testing.T) {
	if os.Getenv("NOBODD_READ_STDIN") == "" {
		t.Skip("nothing to read")
	}
	in, err := ReadInitramfs(context.Background(), os.Stdin, InitramfsOptions{})
	if !documented(err) {
		t.Error(err)
	}
	t.Logf("%d entries, %d bytes, error %v", in.Entries, in.Unpacked, err)
	status, err := os.ReadFile("/proc/self/status") // its VmHWM is the most that was used
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", status)
}
