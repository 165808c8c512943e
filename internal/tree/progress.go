// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// progress notes what was done, to be printed once no lock is held: whoever reads it
// may want the lock. A directory is known to be made with the first file that was
// planned after it.
type progress struct {
	dirs  []string
	noted int // of dirs
	lines []string
}

// dir notes the line of a directory that is to be made.
func (p *progress) dir(line string) { p.dirs = append(p.dirs, line) }

// file returns what notes the line of a file once it is written.
func (p *progress) file(line string) func() {
	before := len(p.dirs)
	return func() {
		p.made(before)
		p.lines = append(p.lines, line)
	}
}

// made notes that the first n directories were made.
func (p *progress) made(n int) {
	if n > p.noted {
		p.lines = append(p.lines, p.dirs[p.noted:n]...)
		p.noted = n
	}
}

// finish notes that all directories were made.
func (p *progress) finish() { p.made(len(p.dirs)) }

func (p *progress) print(w io.Writer) {
	for _, line := range p.lines {
		fmt.Fprintln(w, line)
	}
}

// quote puts s in quotes as coreutils does: so that a shell reads it back.
func quote(s string) string {
	isOdd := func(r rune) bool { return !unicode.IsGraphic(r) }
	switch odd := !utf8.ValidString(s) || strings.ContainsFunc(s, isOdd); {
	case !odd && !strings.Contains(s, "'"):
		return "'" + s + "'"
	case !odd && !strings.ContainsAny(s, "\"$`\\!"):
		return `"` + s + `"`
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '\'':
			b.WriteString(`'\''`)
		case unicode.IsGraphic(r) && (r != utf8.RuneError || size > 1):
			b.WriteString(s[:size])
		default:
			for _, c := range []byte(s[:size]) {
				b.WriteString(`'$'` + escape(c) + `''`)
			}
		}
		s = s[size:]
	}
	return "'" + b.String() + "'"
}

// escape returns a byte in the words of the shell's $'...'.
func escape(c byte) string {
	if '\a' <= c && c <= '\r' {
		return `\` + "abtnvfr"[c-'\a':c-'\a'+1]
	}
	return fmt.Sprintf(`\%03o`, c)
}
