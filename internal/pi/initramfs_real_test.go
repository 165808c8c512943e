// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"nobodd/internal/testimg"
)

// TestRealGenerators makes an initramfs with each generator, as a board does, and looks
// into it beside cpio.
func TestRealGenerators(t *testing.T) {
	testimg.NeedPeer(t, "mkinitramfs", "dracut", "depmod", "nbd-client", "busybox", "unshare", "cpio", "gzip", "lz4", "zstd")
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespace, which wants root: %v\n%s", err, out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "testdata/make-initramfs.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("make-initramfs.sh: %v\n%s", err, out)
	}
	const old, new = "6.8.0-1005-raspi", "6.8.0-1013-raspi"
	for _, tt := range []struct {
		name, unpack, generator string
		client                  bool
		script                  string
		versions                []string // of the kernel, with nbd
	}{
		{"initramfs-tools.zst", "zstd -dcq", InitramfsTools, true, "scripts/local-top/nbd", []string{new}},
		{"initramfs-tools-bare.gz", "gzip -dc", InitramfsTools, false, "", []string{new}},
		{"initramfs-tools-two.lz4", "lz4 -dcq", InitramfsTools, true, "scripts/local-top/nbd", []string{old, new}},
		{"dracut.zst", "zstd -dcq", Dracut, true, "usr/sbin/nbdroot", []string{new}},
	} {
		path := filepath.Join(dir, tt.name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		in := mustRead(t, b)
		list, err := exec.Command("sh", "-c", tt.unpack+` <"$0" | cpio -t --quiet`, path).Output()
		if lines := bytes.Count(list, []byte("\n")); err != nil || in.Entries != lines {
			t.Errorf("%s: %d entries, cpio lists %d (%v)", tt.name, in.Entries, lines, err)
		}
		if in.Generator != tt.generator || (in.Client != nil) != tt.client || in.Junk >= 0 {
			t.Errorf("%s: by %q, client %+v, junk at %d", tt.name, in.Generator, in.Client, in.Junk)
		}
		if slices.Contains(in.Scripts, tt.script) != (tt.script != "") {
			t.Errorf("%s: scripts %q", tt.name, in.Scripts)
		}
		var versions []string
		for _, m := range in.Modules {
			if m.Has() {
				versions = append(versions, m.Version)
			}
		}
		if !slices.Equal(versions, tt.versions) || len(in.Network.Programs) == 0 || in.Libc == "" {
			t.Errorf("%s: nbd for %q, network by %q, libc %q", tt.name, versions, in.Network.Programs, in.Libc)
		}
	}
}
