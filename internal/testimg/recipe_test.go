// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"nobodd/internal/fatcheck"
)

// The recipe must still make every image that is here, with the same files in it. Other
// versions of the formatters may make other bytes.
func TestRecipe(t *testing.T) {
	NeedPeer(t, "mkfs.vfat", "mcopy", "sfdisk", "fdisk", "sgdisk", "mkfs.ext4", "mkswap", "awk", "gzip", "od", "dd")
	dir := t.TempDir()
	if out, err := exec.Command("sh", "testdata/make-fixtures.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("make-fixtures.sh: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*.img.gz"))
	if err != nil || len(made) != len(Names()) {
		t.Errorf("made %d images, not %d (%v)", len(made), len(Names()), err)
	}
	for _, name := range Names() {
		packed, err := os.ReadFile(filepath.Join(dir, name+".img.gz"))
		if err != nil {
			t.Error(err)
			continue
		}
		img, err := unpack(packed)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		here := Fixture(t, name)
		if bytes.Equal(img, here) {
			continue
		}
		if !maps.EqualFunc(treeOf(img), treeOf(here), bytes.Equal) || len(img) != len(here) {
			t.Errorf("%s: the recipe makes another image", name)
		}
	}
}

// treeOf returns the files of a FAT volume; nothing for other images and damaged ones.
func treeOf(img []byte) map[string][]byte {
	tree, err := fatcheck.ReadTree(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		return nil
	}
	return tree
}
