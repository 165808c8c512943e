// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Fold returns the same string for all names that FAT does not tell apart: those that differ in case
// alone (Unicode simple folding).
func Fold(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= utf8.RuneSelf || 'a' <= c && c <= 'z' {
			return strings.Map(foldRune, name)
		}
	}
	return name
}

// foldRune returns the smallest of the runes that differ from r in case alone.
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

// decodeShort returns the name of the short entry d, in code page 437, with the case of its flags if
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

// shortName is raw as decodeShort returns it, without the case of its flags.
func shortName(raw [11]byte) string {
	var d dirent
	copy(d[:], raw[:])
	return decodeShort(&d, false)
}

// decodePart decodes one part of a short name, or a label, without the spaces that pad it, or the zeros that some
// formatters pad with.
func decodePart(raw []byte, lower bool) string {
	raw, _, _ = bytes.Cut(raw, []byte{0})
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

// usable reports whether a long name found on a volume can be one element of a path.
func usable(name string) bool {
	return name != "" && name != "." && name != ".." &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '/' })
}

// nameError says why FAT cannot hold a name. It matches errName.
type nameError string

func (e nameError) Error() string        { return errName.Error() + ": " + string(e) }
func (e nameError) Is(target error) bool { return target == errName }

// CheckName returns why a new file or directory cannot have the name; nil if it can.
func CheckName(name string) error {
	if !utf8.ValidString(name) {
		return nameError("it is not UTF-8")
	}
	return checkName(name)
}

// checkName is CheckName of a name in UTF-8.
func checkName(name string) error {
	for _, r := range name {
		switch {
		case unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF:
			return nameError(fmt.Sprintf("it holds the character %U", r))
		case strings.ContainsRune(`"*/:<>?\|`, r):
			return nameError(fmt.Sprintf("it holds %q", r))
		}
	}
	switch {
	case name == "":
		return nameError("it is empty")
	case strings.HasSuffix(name, "."):
		return nameError("it ends in a dot")
	case strings.HasSuffix(name, " "):
		return nameError("it ends in a space")
	case len(utf16.Encode([]rune(name))) > maxLong:
		return nameError(fmt.Sprintf("it is longer than %d UTF-16 units", maxLong))
	}
	return nil
}

// shortChar reports whether a short name may hold the ASCII character c, which is no small letter.
func shortChar(c rune) bool {
	return 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("!#$%&'()-@^_`{}~", c)
}

// notShort reports whether no short name may hold c, in upper or lower case.
func notShort(c rune) bool { return c >= utf8.RuneSelf || !shortChar(unicode.ToUpper(c)) }

// encodeShort returns the short name that is the same as name, and the flags for its parts in lower
// case. ok is false if there is none and name needs a long one.
func encodeShort(name string) (raw [11]byte, flags byte, ok bool) {
	base, ext, dot := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dot && ext == "" {
		return raw, 0, false
	}
	for _, part := range []struct {
		name string
		flag byte
	}{{base, lowerBase}, {ext, lowerExt}} {
		if strings.ContainsFunc(part.name, notShort) {
			return raw, 0, false
		}
		upper := strings.ToUpper(part.name)
		switch part.name {
		case upper:
		case strings.ToLower(part.name):
			flags |= part.flag
		default:
			return raw, 0, false
		}
	}
	return packShort(strings.ToUpper(base), strings.ToUpper(ext)), flags, true
}

// packShort pads the parts of a short name with spaces.
func packShort(base, ext string) (raw [11]byte) {
	copy(raw[:], "           ")
	copy(raw[:8], base)
	copy(raw[8:], ext)
	return raw
}

// shortNames makes the short names of one directory.
type shortNames struct {
	taken func(name string) bool // reports whether the directory holds the folded name
	made  map[string]bool        // short names made
	next  map[string]int         // parts of a short name around its number: number to try next
}

func newShortNames(taken func(string) bool) *shortNames {
	return &shortNames{taken, map[string]bool{}, map[string]int{}}
}

var errShortNames = errors.New("no short name is left for it in the directory")

// make returns a short name for the long name, NAME~1.EXT, that no other entry has. Each number is
// tried once for all alike names, so that many of them cost no more than few each.
func (s *shortNames) make(long string) ([11]byte, error) {
	base, ext := shortBasis(long)
	for digits := 1; digits <= 6; digits++ {
		stem := base[:min(len(base), 7-digits)] + "~"
		end := int(math.Pow10(digits))
		key := stem + strconv.Itoa(end) + "." + ext
		for n := max(s.next[key], end/10); n < end; n++ {
			numbered := stem + strconv.Itoa(n)
			name := numbered
			if ext != "" {
				name += "." + ext
			}
			if !s.made[name] && !s.taken(name) {
				s.made[name] = true
				s.next[key] = n + 1
				return packShort(numbered, ext), nil
			}
		}
		s.next[key] = end
	}
	return [11]byte{}, errShortNames
}

// shortBasis returns the parts of a short name that is like the long one.
func shortBasis(long string) (base, ext string) {
	long = strings.TrimLeft(long, ". ")
	base = long
	if i := strings.LastIndexByte(long, '.'); i >= 0 {
		base, ext = long[:i], shortPart(long[i+1:], 3)
	}
	if base = shortPart(base, 8); base == "" {
		base = "_"
	}
	return base, ext
}

// shortPart makes s a part of a short name, of at most n characters.
func shortPart(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		switch {
		case r == ' ' || r == '.':
			return -1
		case shortChar(r):
			return r
		}
		return '_'
	}, s)
	return s[:min(len(s), n)]
}
