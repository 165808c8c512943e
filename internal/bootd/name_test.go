// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"io/fs"
	"strings"
	"testing"
)

func TestSplitName(t *testing.T) {
	for _, tt := range []struct {
		in, serial, inside string // serial "" if there is none
	}{
		{"89025d75/config.txt", "89025d75", "config.txt"},
		{"89025D75/overlays/a.dtbo", "89025d75", "overlays/a.dtbo"},
		{"1000000089025d75/a", "89025d75", "a"},
		{"0c8f7e5cbd989ae1/a", "bd989ae1", "a"},
		{"1f/a", "0000001f", "a"},
		{"//89025d75//overlays///a", "89025d75", "overlays/a"},
		{"89025d75/./overlays/../a", "89025d75", "a"},
		{"89025d75/../../../etc/passwd", "89025d75", "etc/passwd"},
		{"89025d75/../12345678/a", "89025d75", "12345678/a"},
		{"89025d75/..\\..\\a", "89025d75", "..\\..\\a"},
		{"89025d75/", "89025d75", "."},
		{"89025d75/..", "89025d75", "."},
		{"89025d75", "", ""},
		{"../89025d75/a", "", ""},
		{"./89025d75/a", "", ""},
		{"/etc/passwd", "", ""},
		{"89025d75\\a", "", ""},
		{"config.txt", "", ""},
		{"00000000089025d75/a", "", ""},
		{"", "", ""},
		{"/", "", ""},
	} {
		serial, inside, ok := splitName(tt.in)
		if ok != (tt.serial != "") || ok && serial.String() != tt.serial || inside != tt.inside {
			t.Errorf("splitName(%q) = %s, %q, %v, want %q, %q", tt.in, serial, inside, ok, tt.serial, tt.inside)
		}
	}
}

func FuzzSplitName(f *testing.F) {
	for _, seed := range []string{"89025d75/config.txt", "//1000000089025D75/../../etc/passwd", "0/..", "1/\xff\\..", "12345678"} {
		f.Add(seed)
	}
	f.Fuzz(checkName)
}

// checkName makes sure that a name stays below its board's root.
func checkName(t *testing.T, name string) {
	_, inside, ok := splitName(name)
	if !ok {
		return
	}
	for _, element := range strings.Split(inside, "/") {
		if element == ".." || element == "" || element == "." && inside != "." {
			t.Errorf("%q is %q inside", name, inside)
		}
	}
	if !fs.ValidPath(strings.ToValidUTF8(inside, "?")) {
		t.Errorf("%q is %q inside, which io/fs does not know", name, inside)
	}
}
