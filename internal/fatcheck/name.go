// SPDX-License-Identifier: GPL-3.0-or-later

package fatcheck

import (
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
)

// shortName decodes the 8.3 name of e and reports whether it is a legal one.
func shortName(e []byte) (string, bool) {
	raw := slices.Clone(e[:11])
	if raw[0] == 0x05 {
		raw[0] = 0xe5
	}
	ok := raw[0] != ' '
	for _, c := range raw {
		if c < 0x20 || c >= 'a' && c <= 'z' || strings.IndexByte("\"*+,./:;<=>?[\\]|\x7f", c) >= 0 {
			ok = false
		}
	}
	name := shortPart(raw[:8], e[12]&0x08 != 0)
	if ext := shortPart(raw[8:], e[12]&0x10 != 0); ext != "" {
		name += "." + ext
	}
	return name, ok || e[0] == '.'
}

// shortPart decodes one part of a short name, with its capitals made small if lower is set.
func shortPart(p []byte, lower bool) string {
	s := make([]rune, 0, 8)
	for _, c := range p {
		r := charmap.CodePage437.DecodeByte(c)
		if lower && r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		s = append(s, r)
	}
	return strings.TrimRight(string(s), " ")
}

// longName gathers the long entries in front of a short one.
type longName struct {
	parts [][]byte // in the order of the name
	left  int      // entries still to come
	sum   byte
}

// add takes the next long entry and reports whether it fits those before.
func (l *longName) add(e []byte) bool {
	n := int(e[0] & 0x1f)
	if e[0]&0x40 != 0 {
		if l.parts != nil {
			return false
		}
		*l = longName{left: n, sum: e[13]}
	} else if l.parts == nil || n != l.left || e[13] != l.sum {
		return false
	}
	if n < 1 || n > 20 || e[12] != 0 || le.Uint16(e[26:]) != 0 {
		return false
	}
	l.left = n - 1
	l.parts = slices.Insert(l.parts, 0, slices.Concat(e[1:11], e[14:26], e[28:32]))
	return true
}

// name returns the name if the entries are complete and belong to the short entry e.
func (l *longName) name(e []byte) (string, bool) {
	var sum byte
	for _, c := range e[:11] {
		sum = sum<<7 | sum>>1
		sum += c
	}
	if l.left != 0 || sum != l.sum {
		return "", false
	}
	raw := slices.Concat(l.parts...)
	var units []uint16
	for i := 0; i < len(raw); i += 2 {
		u := le.Uint16(raw[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	pad := raw[2*len(units):]
	for i := 0; i < len(pad); i++ {
		if i < 2 && pad[i] != 0 || i >= 2 && pad[i] != 0xff {
			return "", false
		}
	}
	if len(pad) >= 28 || len(units) == 0 || len(units) > 255 {
		return "", false
	}
	return string(utf16.Decode(units)), true
}
