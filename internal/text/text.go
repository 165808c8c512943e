// SPDX-License-Identifier: GPL-3.0-or-later

// Package text makes what is printed for people: sizes, and names that cannot harm a terminal or a log.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// Size returns a size of n bytes in binary units: 16GiB.
func Size(n int64) string {
	return strings.Replace(humanize.IBytes(uint64(max(n, 0))), " ", "", 1)
}

// Printable returns s with everything that could break a line or fool a terminal
// (control and formatting characters, invalid UTF-8) escaped as in "\n" or "\x1b".
func Printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && printable(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case printable(r):
			b.WriteRune(r)
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			q := fmt.Sprintf("%+q", r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

func printable(r rune) bool {
	return r != utf8.RuneError && unicode.IsGraphic(r)
}
