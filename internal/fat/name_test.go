// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"fmt"
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"Config.TXT", "cONFIG.txt", true},
		{"größe", "GRÖßE", true},
		{"σς", "ΣΣ", true},
		{"K", "\u212A", true}, // the sign for kelvin
		{"日本", "日本", true},
		{"a", "b", false},
		{"ss", "ß", false},
	} {
		if got := Fold(tt.a) == Fold(tt.b); got != tt.same || got != strings.EqualFold(tt.a, tt.b) {
			t.Errorf("Fold(%q) = %q, Fold(%q) = %q", tt.a, Fold(tt.a), tt.b, Fold(tt.b))
		}
	}
}

// Names that fit 8.3 in one case each take one entry; all others a long one.
func TestEncodeShort(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"CONFIG.TXT", "CONFIG  TXT 00"},
		{"config.txt", "CONFIG  TXT 18"},
		{"config.TXT", "CONFIG  TXT 08"},
		{"CONFIG.txt", "CONFIG  TXT 10"},
		{"README", "README      00"},
		{"readme", "README      08"},
		{"1234.567", "1234    567 00"},
		{"a~1.!#$", "A~1     !#$ 08"},
		{"Config.txt", ""},
		{"config.Txt", ""},
		{"ninechars.x", ""},
		{"x.four", ""},
		{".x", ""},
		{"a.b.c", ""},
		{"a b", ""},
		{"a+b", ""},
		{"größe", ""},
		{"\u0131", ""}, // its capital is I, whose small letter is i
		{"\u017F", ""}, // its capital is S
	} {
		raw, flags, ok := encodeShort(tt.name)
		got := ""
		if ok {
			got = fmt.Sprintf("%s %02x", raw, flags)
		}
		if got != tt.want {
			t.Errorf("encodeShort(%q) = %q, want %q", tt.name, got, tt.want)
		}
		if d := (dirent{12: flags}); ok {
			copy(d[:], raw[:])
			if back := decodeShort(&d, true); back != tt.name {
				t.Errorf("%q comes back as %q", tt.name, back)
			}
		}
	}
}

func TestShortNames(t *testing.T) {
	taken := map[string]bool{"TAKENN~1.TXT": true}
	s := newShortNames(func(name string) bool { return taken[name] })
	for _, tt := range []struct{ long, want string }{
		{"A long name.text", "ALONGN~1TEX"},
		{"A long name, too.text", "ALONGN~2TEX"},
		{"a long name.html", "ALONGN~1HTM"},
		{"taken name.txt", "TAKENN~2TXT"},
		{".bashrc", "BASHRC~1   "},
		{"..", "_~1        "},
		{"a.tar.gz", "ATAR~1  GZ "},
		{"日本語.txt", "___~1   TXT"},
		{"a+b=c", "A_B_C~1    "},
		{"Mixed.Txt", "MIXED~1 TXT"},
	} {
		if raw, err := s.make(tt.long); string(raw[:]) != tt.want || err != nil {
			t.Errorf("make(%q) = %q, %v; want %q", tt.long, raw, err, tt.want)
		}
	}
}

// Many alike names are not tried again and again, and get different short names.
func TestShortNamesMany(t *testing.T) {
	asked := 0
	s := newShortNames(func(name string) bool { asked++; return false })
	seen := map[[11]byte]bool{}
	const n = 20000
	for i := range n {
		raw, err := s.make(fmt.Sprintf("f%d with a longer name.txt", i))
		if err != nil || seen[raw] {
			t.Fatalf("%d: %q, %v", i, raw, err)
		}
		seen[raw] = true
	}
	if asked > 2*n {
		t.Errorf("%d names tried for %d", asked, n)
	}
	s = newShortNames(func(name string) bool { return true })
	if _, err := s.make("no name is left"); err != errShortNames {
		t.Errorf("make = %v", err)
	}
}

// What appendSet writes, longName reads.
func TestLongName(t *testing.T) {
	for _, name := range []string{"a", "thirteen char", "fourteen chars", "größe 日本語 \U0001F600", strings.Repeat("x", 255), strings.Repeat("\U0001F600", 127)} {
		d := dirent{}
		copy(d[:], "SHORT~1 TXT")
		set := appendSet(nil, longUnits(name), &d)
		var long longName
		for ; len(set) > direntSize; set = set[direntSize:] {
			long.add((*dirent)(set))
		}
		if got := long.name((*dirent)(set)); got != name {
			t.Errorf("%q comes back as %q", name, got)
		}
		set[0] = 'X'
		if got := long.name((*dirent)(set)); got != "" {
			t.Errorf("a long name of another entry: %q", got)
		}
	}
}

// Careless writers leave out the 0 after a name, or the padding after the 0, or add an entry for the 0 alone.
func TestLongNameEnds(t *testing.T) {
	const name = "no terminator.conf"
	d := dirent{}
	copy(d[:], "NOTERM~1CON")
	for _, tt := range []struct {
		name      string
		ends, pad uint16
		more      int // empty entries
	}{
		{"as it should be", 0, 0xFFFF, 0},
		{"no 0", 0xFFFF, 0xFFFF, 0},
		{"no padding", 0, 0, 0},
		{"garbage", 0, 'x', 0},
		{"an entry for the 0", 0, 0xFFFF, 1},
		{"an entry of padding", 0xFFFF, 0xFFFF, 1},
	} {
		slots := longSlots(longUnits(name)) + tt.more
		set := appendSet(nil, longUnits(name+strings.Repeat("#", slots*longChars-len(name))), &d)
		for i := len(name); i < slots*longChars; i++ {
			u := tt.pad
			if i == len(name) {
				u = tt.ends
			}
			le.PutUint16(set[(slots-1-i/longChars)*direntSize+longOffsets[i%longChars]:], u)
		}
		var long longName
		for ; len(set) > direntSize; set = set[direntSize:] {
			long.add((*dirent)(set))
		}
		if got := long.name(&d); got != name {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// The parts of a long name that are out of order, or too many or too few, are none.
func TestLongNameBroken(t *testing.T) {
	d := dirent{}
	copy(d[:], "SHORT~1 TXT")
	set := appendSet(nil, longUnits(strings.Repeat("x", 3*longChars)), &d)
	part := func(i int) *dirent { return (*dirent)(set[i*direntSize:]) }
	for _, order := range [][]int{{}, {0}, {0, 1}, {1, 2}, {0, 2}, {1, 0, 2}, {0, 2, 1}, {0, 1, 1}, {0, 1, 2, 2}, {0, 0, 1}} {
		var long longName
		for _, i := range order {
			long.add(part(i))
		}
		if got := long.name(&d); got != "" {
			t.Errorf("parts %v: %q", order, got)
		}
	}
	var long longName
	for _, i := range []int{1, 2, 0, 1, 2} { // what is left of another name before it
		long.add(part(i))
	}
	if got := long.name(&d); got != strings.Repeat("x", 3*longChars) {
		t.Errorf("after other parts: %q", got)
	}
}
