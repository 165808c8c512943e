// SPDX-License-Identifier: GPL-3.0-or-later

// Package text makes what is printed for people: sizes, and names that cannot harm a terminal or a log.
package text

import (
	"fmt"
	"io"
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
	var b strings.Builder
	clean := 0 // up to here s is copied to b
	for i, r := range s {
		if printable(s[i:], r) {
			continue
		}
		q, size := fmt.Sprintf("%+q", r), utf8.RuneLen(r)
		if q = q[1 : len(q)-1]; r == utf8.RuneError {
			q, size = fmt.Sprintf(`\x%02x`, s[i]), 1
		}
		b.WriteString(s[clean:i] + q)
		clean = i + size
	}
	return b.String() + s[clean:]
}

// printable reports whether r, with which s begins, can be printed. U+FFFD can, which is also what
// the loops of Go show for a byte that is not UTF-8.
func printable(s string, r rune) bool {
	return unicode.IsGraphic(r) && (r != utf8.RuneError || strings.HasPrefix(s, string(utf8.RuneError)))
}

// Plain returns s with a question mark for each character that is not printable, as ls shows names.
func Plain(s string) string {
	var b strings.Builder
	for i, r := range s {
		if !printable(s[i:], r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// WriteTable writes rows in columns that are as wide as they need to be, one space apart. A letter
// of align for each column makes it flush left (l) or right (r); what follows stands as it is.
func WriteTable(w io.Writer, rows [][]string, align string) {
	widths := make([]int, len(align))
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			switch {
			case i >= len(align):
				io.WriteString(w, cell)
			case align[i] == 'r':
				fmt.Fprintf(w, "%*s", widths[i], cell)
			default:
				fmt.Fprintf(w, "%-*s", widths[i], cell)
			}
			if i < len(row)-1 {
				io.WriteString(w, " ")
			}
		}
		fmt.Fprintln(w)
	}
}
