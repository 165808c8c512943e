// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nobodd/internal/addr"
	"nobodd/internal/config"
	"nobodd/internal/testimg"
)

// TestSharedDevice: what another host writes to a block device is served at the next request, though
// the page cache of this one, kept alive by another process, has the old bytes. The file below the
// device stands for what hosts share.
func TestSharedDevice(t *testing.T) {
	path, tree := ubuntu(t)
	loop := testimg.LoopDevice(t, path, 512)
	other, err := os.Open(loop)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := io.Copy(io.Discard, other); err != nil {
		t.Fatal(err)
	}
	d := start(t, board(loop))
	cached := board(loop)
	b := cached.Boards[serial]
	b.Uncached = config.UncachedNo
	cached.Boards[serial] = b
	stale := start(t, cached)

	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cmdline.txt", "initrd.img"} {
		data := tree[name]
		if got, err := d.client(t).get(name); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
		at := bytes.Index(image, data[:64])
		poke(at, []byte("SHARED")...)(t, path)
		want := append([]byte("SHARED"), data[6:]...)
		if got, err := d.client(t).get(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %.10q, %v; want %.10q", name, got, err, want)
		}
		if got, err := stale.client(t).get(name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %.10q, %v through the page cache: this test proves nothing", name, got, err)
		}
	}
}

// TestUncachedFile: a file is read past the page cache if it is to be, and it is served as ever.
func TestUncachedFile(t *testing.T) {
	path, tree := ubuntu(t)
	cfg := board(path)
	b := cfg.Boards[serial]
	b.Uncached = config.UncachedYes
	cfg.Boards[serial] = b
	d := start(t, cfg)
	for name, want := range tree {
		if strings.HasSuffix(name, "/") {
			continue
		}
		if got, err := d.client(t).get(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
	}
}

// TestUncachedKey: what a board's section says is how its file is opened.
func TestUncachedKey(t *testing.T) {
	path, _ := ubuntu(t)
	for uncached, want := range map[config.Uncached]bool{config.UncachedAuto: false, config.UncachedYes: true, config.UncachedNo: false} {
		f, err := openFile(config.Board{Image: path, Partition: addr.Boot, Uncached: uncached}, "cmdline.txt")
		if err != nil {
			t.Fatal(err)
		}
		if got := isDirect(t, path) || f.im.DirectRefused(); got != want {
			t.Errorf("uncached %v: opened to be read past the page cache: %v", uncached, got)
		}
		f.Close()
	}
}

// isDirect reports whether this process has the file at path open with O_DIRECT.
func isDirect(t *testing.T, path string) bool {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if target, _ := os.Readlink("/proc/self/fd/" + e.Name()); target != path {
			continue
		}
		fd, _ := strconv.Atoi(e.Name())
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		return err == nil && flags&unix.O_DIRECT != 0
	}
	t.Fatalf("%s is not open", path)
	return false
}

// TestRefusedWarning: one warning an image.
func TestRefusedWarning(t *testing.T) {
	d := start(t, board("none"))
	for _, image := range []string{"/a.img", "/a.img", "/b.img", "/a.img"} {
		d.warnRefused(image)
	}
	text := "its file system refuses O_DIRECT: the page cache is emptied before each read"
	if got := d.log.text(); strings.Count(got, text) != 2 || strings.Count(got, "warning: /a.img: "+text) != 1 {
		t.Errorf("log:\n%s", got)
	}
}
