// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"fmt"
	"testing"
	"testing/fstest"
)

// TestFileSizes: from the first byte that a TFTP client of 65535 blocks cannot fetch on there is a
// warning, for what the model loads alone.
func TestFileSizes(t *testing.T) {
	const old, newer = 33_553_920, 96_205_380
	noble := ubuntu2404()
	for _, tt := range []struct {
		model string
		name  string
		size  int64
		limit int64 // 0: no warning
	}{
		{"pi2", "initrd.img", old - 1, 0}, {"pi2", "initrd.img", old, old},
		{"pi3", "initrd.img", old - 1, 0}, {"pi3", "initrd.img", old, old},
		{"pi3+", "initrd.img", old, old}, {"cm3", "initrd.img", old, old},
		{"pi4", "initrd.img", newer - 1, 0}, {"pi4", "initrd.img", newer, newer},
		{"cm4", "initrd.img", newer, newer}, {"pi400", "initrd.img", newer, newer},
		{"pi5", "initrd.img", newer - 1, 0}, {"pi5", "initrd.img", newer, newer},
		{"pi500", "initrd.img", newer, newer}, {"cm5", "initrd.img", newer, newer},
		{"pi3", "vmlinuz", old, old}, {"pi3", "start.elf", old, old}, {"pi3", "bcm2710-rpi-3-b.dtb", old, old},
		{"pi3", "overlays/vc4-kms-v3d.dtbo", old, old}, {"pi3", "fixup.dat", old, old},
		{"pi3", "start4.elf", old, 0}, {"pi3", "user-data", newer, 0}, // which it does not load
	} {
		fsys := large{with(noble, tt.name, content(noble, tt.name)), tt.name, tt.size}
		rep, err := New(fsys, Options{Disk: Disk{Root: 2}}).Check(t.Context(), FindModel(tt.model))
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if tt.limit == old {
			want = fmt.Sprintf("warn tftp: %s has %d bytes, and from %d on this board cannot load it\n",
				tt.name, tt.size, tt.limit)
		} else if tt.limit > 0 {
			want = fmt.Sprintf("warn tftp: %s has %d bytes, and from %d on an EEPROM older than 2025-09 "+
				"cannot load it\n", tt.name, tt.size, tt.limit)
		}
		if got := lines(rep, Warn); got != want || !rep.Boots() {
			t.Errorf("%s, %s of %d bytes:\n%swant\n%s", tt.model, tt.name, tt.size, got, want)
		}
	}
}

// content is what a file holds, "" if there is none.
func content(fsys fstest.MapFS, name string) string {
	if f := fsys[name]; f != nil {
		return string(f.Data)
	}
	return ""
}
