// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"nobodd/internal/testimg"
)

// What a slip would cost an image, and what is none.
func TestIsDisk(t *testing.T) {
	damaged := testimg.Fixture(t, "fat16")
	damaged[16] = 9 // FATs
	kernel := testimg.Fixture(t, "mbr")
	copy(kernel[514:], "HdrS")
	text := make([]byte, 4096)
	copy(text[510:], "\x55\xaa")
	copy(text[446:], "a boot sector full of text")
	for name, tt := range map[string]struct {
		img  []byte
		want bool
	}{
		"mbr":             {testimg.Fixture(t, "mbr"), true},
		"gpt":             {testimg.Fixture(t, "gpt"), true},
		"gpt4k":           {testimg.Fixture(t, "gpt4k"), true},
		"empty table":     {emptyTable(), true},
		"damaged table":   {announced(), true},
		"fat12":           {testimg.Fixture(t, "fat12"), true},
		"fat32":           {testimg.Fixture(t, "fat32"), true},
		"damaged fat16":   {damaged, true},
		"cut":             {testimg.Fixture(t, "mbr")[:700], true},
		"isohybrid":       {foreign(t, "isohybrid"), true},
		"empty":           {nil, false},
		"text":            {[]byte("console=tty1\n"), false},
		"zeros":           {make([]byte, 1<<20), false},
		"noise":           {bytes.Repeat([]byte{0x55, 0xaa, 0xf0}, 1000), false},
		"text and a mark": {text, false},
		"kernel of a PC":  {kernel, false},
		"qcow2":           {foreign(t, "qcow2"), true},
		"VMDK":            {foreign(t, "vmdk"), true},
		"text of a VMDK":  {foreign(t, "vmdk-text"), true},
		"VHD":             {foreign(t, "vhd"), true},
		"fixed VHD":       {foreign(t, "vhd-fixed"), true},
		"VHDX":            {foreign(t, "vhdx"), true},
		"VDI":             {foreign(t, "vdi"), true},
		"Android sparse":  {foreign(t, "android-sparse"), true},
		"xz":              {foreign(t, "xz"), false},
		"ext4":            {foreign(t, "ext4"), false},
	} {
		path := write(t, tt.img)
		if IsDisk(path) != tt.want {
			t.Errorf("IsDisk of %s = %v", name, !tt.want)
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		if IsDisk(link) != tt.want || IsDevice(path) || IsDevice(link) {
			t.Errorf("%s by a link: IsDisk %v; IsDevice %v, %v", name, IsDisk(link), IsDevice(path), IsDevice(link))
		}
	}
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, filepath.Join(dir, "none"), "/dev/null", ""} {
		if IsDisk(path) || IsDevice(path) {
			t.Errorf("%q: IsDisk %v, IsDevice %v", path, IsDisk(path), IsDevice(path))
		}
	}
}

func TestIsDevice(t *testing.T) {
	loop := testimg.LoopDevice(t, testimg.FixtureFile(t, "gpt4k"), 4096)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(loop, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{loop, link} {
		if !IsDevice(path) || IsDisk(path) {
			t.Errorf("%s: IsDevice %v, IsDisk %v", path, IsDevice(path), IsDisk(path))
		}
	}
}

// The error says what was probably meant, and what the file is where no address leads into it.
func TestErrIsDisk(t *testing.T) {
	for name, tt := range map[string]struct {
		img  []byte
		want string
	}{
		"jammy.img": {testimg.Fixture(t, "mbr"), "is a disk image; jammy.img:/ is the root of its boot partition " +
			"(to replace the image itself, remove it first)"},
		"disk.qcow2": {foreign(t, "qcow2"), "is a qcow2 image (to replace it, remove it first)"},
		"disk.vdi":   {foreign(t, "vdi"), "is a VDI image (to replace it, remove it first)"},
	} {
		if got := errText(ErrIsDisk(write(t, tt.img), name)); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
