// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"nobodd/internal/fat"
)

// glob is a pattern of a shell for the name of one file, compared without case. A backslash is
// itself: quoting changes nothing, since no name on FAT holds what would need it.
type glob []globItem

// globItem is one part of a glob.
type globItem struct {
	kind  globKind
	char  rune        // of itself; folded
	class []runeRange // of oneOf
	not   bool        // of oneOf: the class is of the runes that do not match
}

type globKind int

const (
	itself globKind = iota // a rune
	anyOne                 // "?"
	oneOf                  // "[...]"
	star                   // "*"
)

// runeRange holds two runes and those between.
type runeRange struct{ lo, hi rune }

// classes are the named classes of POSIX that make a difference without case.
var classes = map[string][]runeRange{
	"alpha":  {{'A', 'Z'}, {'a', 'z'}},
	"alnum":  {{'A', 'Z'}, {'a', 'z'}, {'0', '9'}},
	"digit":  {{'0', '9'}},
	"lower":  {{'a', 'z'}},
	"upper":  {{'A', 'Z'}},
	"xdigit": {{'A', 'F'}, {'a', 'f'}, {'0', '9'}},
	"punct":  {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}},
	"space":  {{'\t', '\r'}, {' ', ' '}},
	"blank":  {{'\t', '\t'}, {' ', ' '}},
}

// compileGlob reads a pattern. An unclosed "[" is itself.
func compileGlob(pattern string) glob {
	var g glob
	rest := []rune(pattern)
	for len(rest) > 0 {
		r := rest[0]
		rest = rest[1:]
		switch r {
		case '*':
			g = append(g, globItem{kind: star})
			continue
		case '?':
			g = append(g, globItem{kind: anyOne})
			continue
		case '[':
			if item, n := compileClass(rest); n > 0 {
				g = append(g, item)
				rest = rest[n:]
				continue
			}
		}
		g = append(g, globItem{char: foldOne(r)})
	}
	return g
}

// compileClass reads what follows a "[" and returns how many runes it takes; 0 if it is not closed.
func compileClass(p []rune) (item globItem, n int) {
	item.kind = oneOf
	if n < len(p) && (p[n] == '!' || p[n] == '^') {
		item.not = true
		n++
	}
	for first := n; n < len(p); {
		if p[n] == ']' && n > first {
			return item, n + 1
		}
		if class, size := namedClass(p[n:]); size > 0 {
			item.class = append(item.class, class...)
			n += size
			continue
		}
		r := runeRange{p[n], p[n]}
		n++
		if n+1 < len(p) && p[n] == '-' && p[n+1] != ']' {
			r.hi = p[n+1]
			n += 2
		}
		item.class = append(item.class, r)
	}
	return item, 0
}

// namedClass reads a "[:digit:]" at the beginning of p and returns how many runes it takes.
func namedClass(p []rune) (class []runeRange, n int) {
	if len(p) < 2 || p[0] != '[' || p[1] != ':' {
		return nil, 0
	}
	name, _, ok := strings.Cut(string(p[2:min(len(p), 12)]), ":]")
	if class = classes[name]; !ok || class == nil {
		return nil, 0
	}
	return class, len(name) + 4
}

func foldOne(r rune) rune {
	r, _ = utf8.DecodeRuneInString(fat.Fold(string(r)))
	return r
}

// isPattern reports whether a path holds anything but names.
func isPattern(path string) bool {
	if !strings.ContainsAny(path, "*?[") {
		return false
	}
	return slices.ContainsFunc(strings.Split(path, "/"), func(element string) bool {
		return slices.ContainsFunc(compileGlob(element), func(item globItem) bool { return item.kind != itself })
	})
}

// match reports whether the whole of name matches. A dot at its beginning must be written in
// the pattern. The time is at most that of len(g) comparisons for each rune of name.
func (g glob) match(name string) bool {
	if strings.HasPrefix(name, ".") && (len(g) == 0 || g[0].kind != itself) {
		return false
	}
	text := []rune(fat.Fold(name))
	at, from := 0, 0         // in g and in text
	lastStar, taken := -1, 0 // the star seen last, and where in text what follows it was tried
	for from < len(text) || at < len(g) {
		switch {
		case at < len(g) && g[at].kind == star:
			lastStar, taken = at, from
			at++
		case at < len(g) && from < len(text) && g[at].matches(text[from]):
			at++
			from++
		case lastStar >= 0 && taken < len(text):
			taken++
			at, from = lastStar+1, taken
		default:
			return false
		}
	}
	return true
}

// matches reports whether the item matches a folded rune.
func (i *globItem) matches(r rune) bool {
	switch i.kind {
	case itself:
		return i.char == r
	case oneOf:
		return i.holds(r) != i.not
	}
	return true
}

// holds reports whether the class holds r in any case.
func (i *globItem) holds(r rune) bool {
	for f := r; ; {
		if slices.ContainsFunc(i.class, func(c runeRange) bool { return c.lo <= f && f <= c.hi }) {
			return true
		}
		if f = unicode.SimpleFold(f); f == r {
			return false
		}
	}
}
