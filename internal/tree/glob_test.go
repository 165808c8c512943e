// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"path"
	"strings"
	"testing"

	"nobodd/internal/fat"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct{ pattern, matches, others string }{
		{"*.dtb", "a.dtb B.DTB x.y.dtb", "a.dtbo dtb .dtb"},
		{"*", "a a.b", ".a"},
		{".*", ".a .a.b", "a"},
		{"[.]a", "", ".a"},
		{"?a", "ba äa", ".a a bba"},
		{"KERNEL?.img", "kernel8.img Kernel7.IMG", "kernel.img kernel10.img"},
		{"kernel[78].img", "kernel7.img KERNEL8.IMG", "kernel6.img kernel78.img"},
		{"[a-c]x", "ax Bx cX", "dx -x"},
		{"[A-C]x", "ax bx", "dx"},
		{"[!a-c]x", "dx -x", "ax Bx"},
		{"[^a-c]x", "dx", "cx"},
		{"[]x]a", "]a xa", "a"},
		{"[!]]a", "xa", "]a"},
		{"[a-]x", "ax -x", "bx"},
		{"[-a]x", "ax -x", "bx"},
		{"[[:digit:]]*", "1a 9", "a1"},
		{"[[:digit:]]", "0 9", "/ : a"},
		{"[[:alnum:]]", "0 9 a Z", "/ : @ [ ` {"},
		{"[[:upper:]]", "a Z", "@ [ ` { 1"},
		{"[[:lower:]]", "a Z", "@ [ ` { 1"},
		{"[[:xdigit:]]", "0 9 a F", "/ : @ g G `"},
		{"[[:punct:]]", "! / : @ [ ` { ~", "0 9 a Z"},
		{"[[:alpha:]_]?", "a1 _1 Z1", "11"},
		{"[[xdigit:]", "[ x : t", "1 5"},
		{"a[b", "a[b A[B", "ab"},
		{"[[", "[[", "["},
		{"[", "[", "a"},
		{"*[*", "a[b [", "ab"},
		{"*a*b*c", "abc xaxbxc aabbcc", "acb ab"},
		{`\*`, "", "* a"},
		{"ÄB*", "äbc", "abc"},
		{"ſ*", "soft Soft", "x"},
	} {
		g := compileGlob(tt.pattern)
		for _, name := range strings.Fields(tt.matches) {
			if !g.match(name) {
				t.Errorf("%s does not match %q", tt.pattern, name)
			}
		}
		for _, name := range strings.Fields(tt.others) {
			if g.match(name) {
				t.Errorf("%s matches %q", tt.pattern, name)
			}
		}
	}
}

func TestIsPattern(t *testing.T) {
	for text, want := range map[string]bool{
		"/a": false, "/a*": true, "/?": true, "/[ab]": true, "/a[b": false, "/a[b/c]d": false, `/\x`: false, "/*/a": true, "/": false,
	} {
		if isPattern(text) != want {
			t.Errorf("isPattern(%q) is %v", text, !want)
		}
	}
}

// FuzzGlob: a glob means what path.Match makes of it where both know the same: without case, no
// leading dot, no class and no backslash; and none takes long.
func FuzzGlob(f *testing.F) {
	f.Add("*a*b*c*", "xxaxxbxxc")
	f.Add("kernel[78].img", "KERNEL8.img")
	f.Add("[!a-z]??", "1ab")
	f.Add("****************x", "aaaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 200 || len(name) > 255 {
			return
		}
		got := compileGlob(pattern).match(name)
		if strings.ContainsAny(pattern, `[\/`) || strings.ContainsAny(name, "/") || strings.HasPrefix(name, ".") {
			return
		}
		want, err := path.Match(fat.Fold(pattern), fat.Fold(name))
		if err == nil && got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}
