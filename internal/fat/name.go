// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// fold gives the same string for all names that differ in case alone (Unicode simple folding).
func fold(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= utf8.RuneSelf || 'a' <= c && c <= 'z' {
			return strings.Map(foldRune, name)
		}
	}
	return name
}

// foldRune gives the smallest of the runes that differ from r in case alone.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

// decodeShort gives the name of the short entry d, in code page 437, with the case of its flags if
// flags is set. Bytes that no name may hold come out as '_', so that the name is one path element.
func decodeShort(d *dirent, flags bool) string {
	raw := d.rawName()
	if raw[0] == slotKanji {
		raw[0] = slotDeleted
	}
	base := decodePart(raw[:8], flags && d[12]&lowerBase != 0)
	ext := decodePart(raw[8:], flags && d[12]&lowerExt != 0)
	if ext != "" {
		base += "." + ext
	}
	if strings.Trim(base, ".") == "" {
		return "_" + base
	}
	return base
}

func decodePart(raw []byte, lower bool) string {
	var s strings.Builder
	for _, b := range []byte(strings.TrimRight(string(raw), " ")) {
		r := charmap.CodePage437.DecodeByte(b)
		if b < ' ' || b == '/' || b == 0x7F {
			r = '_'
		}
		if lower {
			r = unicode.ToLower(r)
		}
		s.WriteRune(r)
	}
	return s.String()
}

// usable tells whether a long name found on a volume can be one element of a path.
func usable(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '/' })
}
