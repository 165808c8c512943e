// SPDX-License-Identifier: GPL-3.0-or-later

package addr

import (
	"errors"
	"strings"
	"testing"
)

// onDisk are the files that exist in these tests.
func onDisk(p string) (exists, isFile bool) {
	switch p {
	case "d.img", "my images/d 1.img", "x:y.img", "d.img:5":
		return true, true
	case "d.img:6", "dir": // directories
		return true, false
	}
	return false, false
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in    string
		kind  Kind
		image string
		part  int
		path  string
		slash bool
		out   string // String(); in if empty
	}{
		{in: "d.img:1:/cmdline.txt", kind: Inside, image: "d.img", part: 1, path: "/cmdline.txt"},
		{in: "d.img:part1:/cmdline.txt", kind: Inside, image: "d.img", part: 1, path: "/cmdline.txt", out: "d.img:1:/cmdline.txt"},
		{in: "d.img:p1:/cmdline.txt", kind: Inside, image: "d.img", part: 1, path: "/cmdline.txt", out: "d.img:1:/cmdline.txt"},
		{in: "d.img:p12:", kind: Inside, image: "d.img", part: 12, path: "/", slash: true, out: "d.img:12:/"},
		{in: "d.img:1/cmdline.txt", kind: Inside, image: "d.img", part: 1, path: "/cmdline.txt", out: "d.img:1:/cmdline.txt"},
		{in: "d.img:1/", kind: Inside, image: "d.img", part: 1, path: "/", slash: true, out: "d.img:1:/"},
		{in: "d.img:/cmdline.txt", kind: Inside, image: "d.img", part: Boot, path: "/cmdline.txt"},
		{in: "d.img:/", kind: Inside, image: "d.img", part: Boot, path: "/", slash: true},
		{in: "d.img:1:", kind: Inside, image: "d.img", part: 1, path: "/", slash: true, out: "d.img:1:/"},
		{in: "d.img:1:/", kind: Inside, image: "d.img", part: 1, path: "/", slash: true},
		{in: "d.img:1", kind: Inside, image: "d.img", part: 1, path: "/", slash: true, out: "d.img:1:/"},
		{in: "d.img:012", kind: Inside, image: "d.img", part: 12, path: "/", slash: true, out: "d.img:12:/"},
		{in: "x:y.img:0", kind: Inside, image: "x:y.img", part: 0, path: "/", slash: true, out: "x:y.img:0:/"},
		{in: "d.img:5:/x", kind: Inside, image: "d.img", part: 5, path: "/x"},
		{in: "d.img:", kind: Whole, image: "d.img"},
		{in: "d.img:0:/x", kind: Inside, image: "d.img", part: 0, path: "/x"},
		{in: "d.img:999:/x", kind: Inside, image: "d.img", part: 999, path: "/x"},
		{in: "d.img:007:/x", kind: Inside, image: "d.img", part: 7, path: "/x", out: "d.img:7:/x"},
		{in: "-", kind: Std},

		// any path can be an image
		{in: "/srv/my images/d 1.img:2:/a b", kind: Inside, image: "/srv/my images/d 1.img", part: 2, path: "/a b"},
		{in: "../d.img:1:/a", kind: Inside, image: "../d.img", part: 1, path: "/a"},
		{in: "pi@home.img:1:/a", kind: Inside, image: "pi@home.img", part: 1, path: "/a"},
		{in: "/dev/mmcblk0:1:/a", kind: Inside, image: "/dev/mmcblk0", part: 1, path: "/a"},
		{in: "-:1:/a", kind: Inside, image: "-", part: 1, path: "/a"},

		// the first colon with a valid partition part after it
		{in: "x:y.img:1:/", kind: Inside, image: "x:y.img", part: 1, path: "/", slash: true},
		{in: "2026-10-23T12:30:00.img:1:/x", kind: Inside, image: "2026-10-23T12:30:00.img", part: 1, path: "/x"},
		{in: "/dev/disk/by-path/pci-0000:00:14.0:1:/x", kind: Inside, image: "/dev/disk/by-path/pci-0000:00:14.0", part: 1, path: "/x"},
		{in: "a:1:b:2:/c", kind: Inside, image: "a:1:b", part: 2, path: "/c"},
		{in: "d.img:1:b:2:/c", kind: Inside, image: "d.img:1:b", part: 2, path: "/c"},
		{in: "d.img:1:b:", kind: Whole, image: "d.img:1:b"},
		{in: "d.img:1::", kind: Whole, image: "d.img:1:"},
		{in: "a:1:/b:2:/c", kind: Inside, image: "a", part: 1, path: "/b:2:/c"},
		{in: "a::", kind: Whole, image: "a:"},
		{in: "a::/b", kind: Inside, image: "a:", part: Boot, path: "/b"},
		{in: "a:1::", kind: Whole, image: "a:1:"},
		{in: "gone.img:1000:/x", kind: Inside, image: "gone.img:1000", part: Boot, path: "/x"},
		{in: ":1:/x", kind: Inside, image: ":1", part: Boot, path: "/x"},

		// lexical resolution
		{in: "d.img:1://a///b/", kind: Inside, image: "d.img", part: 1, path: "/a/b", slash: true, out: "d.img:1:/a/b"},
		{in: "d.img:1:/a/./b/../c", kind: Inside, image: "d.img", part: 1, path: "/a/c", out: "d.img:1:/a/c"},
		{in: "d.img:1:/../../etc/passwd", kind: Inside, image: "d.img", part: 1, path: "/etc/passwd", out: "d.img:1:/etc/passwd"},
		{in: "d.img:1:/a/.", kind: Inside, image: "d.img", part: 1, path: "/a", slash: true, out: "d.img:1:/a"},
		{in: "d.img:1:/a/b/..", kind: Inside, image: "d.img", part: 1, path: "/a", slash: true, out: "d.img:1:/a"},
		{in: "d.img:1:/Config.TXT", kind: Inside, image: "d.img", part: 1, path: "/Config.TXT"},
		{in: `d.img:1:/a\b`, kind: Inside, image: "d.img", part: 1, path: `/a\b`},
		{in: "d.img:1:/a...", kind: Inside, image: "d.img", part: 1, path: "/a..."},

		// ordinary paths
		{in: "d.img", path: "d.img"},
		{in: "d.img:5", path: "d.img:5"},
		{in: "d.img:6", path: "d.img:6"},
		{in: "gone.img:1", path: "gone.img:1"},
		{in: "dir:1", path: "dir:1"},
		{in: "d.img:999", kind: Inside, image: "d.img", part: 999, path: "/", slash: true, out: "d.img:999:/"},
		{in: "d.img:1000", path: "d.img:1000"},
		{in: "d.img:99999999999999999999", path: "d.img:99999999999999999999"},
		{in: "d.img:1x", path: "d.img:1x"},
		{in: "d.img:p1", path: "d.img:p1"},
		{in: "d.img:p1/a", path: "d.img:p1/a"},
		{in: "d.img:part1/a", path: "d.img:part1/a"},
		{in: "d.img:P1:/a", kind: Inside, image: "d.img:P1", part: Boot, path: "/a"},
		{in: "d.img:+1:x", path: "d.img:+1:x"},
		{in: "d.img:a", path: "d.img:a"},
		{in: "d.img:part:x", path: "d.img:part:x"},
		{in: "gone.img:1:boot", path: "gone.img:1:boot"},
		{in: "gone.img:1000:x", path: "gone.img:1000:x"},
		{in: "gone.img:1000/x", path: "gone.img:1000/x"},
		{in: "12:30:15.log", path: "12:30:15.log"},
		{in: ":", path: ":"},
		{in: ":/a", path: ":/a"},
		{in: "./-", path: "./-"},
		{in: "dir/", path: "dir/", slash: true},
		{in: "/", path: "/", slash: true},
		{in: "a/../b", path: "a/../b"},
	} {
		a, err := Parse(tt.in, onDisk)
		want := Addr{Text: tt.in, Kind: tt.kind, Image: tt.image, Part: tt.part, Path: tt.path, Slash: tt.slash}
		if a != want || err != nil {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", tt.in, a, err, want)
		}
		if tt.out == "" {
			tt.out = tt.in
		}
		if got := a.String(); got != tt.out {
			t.Errorf("Parse(%q).String() = %q, want %q", tt.in, got, tt.out)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "'': an empty path"},
		{"a\x00b", `"a\x00b": a path holds no NUL byte`},
		{"d.img:1:/a\x00", `"d.img:1:/a\x00": a path holds no NUL byte`},
		{"d.img:1:boot", "d.img:1:boot: a path inside an image begins with /: d.img:1:/boot"},
		{"d.img:p1:boot/x", "d.img:p1:boot/x: a path inside an image begins with /: d.img:1:/boot/x"},
		{"d.img:part1:./x/", "d.img:part1:./x/: a path inside an image begins with /: d.img:1:/x"},
		{"d.img:1:b:c", "d.img:1:b:c: a path inside an image begins with /: d.img:1:/b:c"},
		{"d.img:1:2", "d.img:1:2: a path inside an image begins with /: d.img:1:/2"},
		{"d.img:1:2:x", "d.img:1:2:x: a path inside an image begins with /: d.img:1:/2:x"},
		{"my images/d 1.img:2:x", "my images/d 1.img:2:x: a path inside an image begins with /: my images/d 1.img:2:/x"},
		{"x:y.img:2:x", "x:y.img:2:x: a path inside an image begins with /: x:y.img:2:/x"},
		{"d.img:1000:/a", "d.img:1000:/a: a partition number is 0 to 999"},
		{"d.img:1000:", "d.img:1000:: a partition number is 0 to 999"},
		{"d.img:1000/a", "d.img:1000/a: a partition number is 0 to 999"},
		{"d.img:p1000:a", "d.img:p1000:a: a partition number is 0 to 999"},
		{"d.img:99999999999999999999:/a", "d.img:99999999999999999999:/a: a partition number is 0 to 999"},
	} {
		a, err := Parse(tt.in, onDisk)
		if errText(err) != tt.want || a != (Addr{}) || !errors.As(err, new(*Error)) {
			t.Errorf("Parse(%q) = %+v, %q; want error %q", tt.in, a, errText(err), tt.want)
		}
	}
}

func TestParseWithoutFiles(t *testing.T) {
	for _, text := range []string{"d.img:1:boot", "d.img:1", "d.img:1000:x"} {
		a, err := Parse(text, nil)
		if err != nil || a.Kind != Local {
			t.Errorf("Parse(%q) that looks at nothing = %+v, %v; want an ordinary path", text, a, err)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, tt := range []struct{ in, name, str, text string }{
		{"d.img:1:/a", "b", "d.img:1:/a/b", "d.img:1:/a/b"},
		{"d.img:p1:", "b", "d.img:1:/b", "d.img:p1:/b"},
		{"d.img:1/a/", "b", "d.img:1:/a/b", "d.img:1/a/b"},
		{"d.img:/", "b/c", "d.img:/b/c", "d.img:/b/c"},
		{"d.img:/a", "../../c", "d.img:/c", "d.img:/a/../../c"},
		{"d.img:", "b", "d.img:/b", "d.img:/b"},
		{"dir", "b", "dir/b", "dir/b"},
		{"dir/", "b", "dir/b", "dir/b"},
		{"./.", "b", "././b", "././b"},
		{"/", "b", "/b", "/b"},
		{"-", "b", "b", "-/b"},
	} {
		a, err := Parse(tt.in, onDisk)
		if err != nil {
			t.Fatal(err)
		}
		j := a.Join(tt.name)
		if j.String() != tt.str || j.Text != tt.text {
			t.Errorf("Parse(%q).Join(%q) = %q, text %q; want %q, %q", tt.in, tt.name, j, j.Text, tt.str, tt.text)
		}
	}
	if got := (Addr{}).Join("a").String(); got != "a" {
		t.Errorf("Addr{}.Join(a) = %q, want a", got)
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"d.img:1:/":    ".",
		"d.img:1:":     ".",
		"d.img:1:/a/b": "a/b",
		"d.img:/a/":    "a",
	} {
		a, err := Parse(in, nil)
		if err != nil || a.Name() != want {
			t.Errorf("Parse(%q).Name() = %q, %v; want %q", in, a.Name(), err, want)
		}
	}
}

// FuzzParse: what Parse makes is well formed, and its documented form means the same.
func FuzzParse(f *testing.F) {
	seeds := []string{
		"d.img:1:/a", "d.img:p1:/a", "d.img:1/a", "d.img:/a/../b/", "d.img:", "d.img:1:", "d.img:1000:/a",
		"d.img:1:boot", "a:1:b:2:/c", "a::", ":/", "-", "a/b", "a\x00b", "", "x:part12://.//..",
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text, onDisk)
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Fatalf("Parse(%q) = %T, want *Error", text, err)
			}
			return
		}
		if a.Text != text {
			t.Errorf("Text = %q, want %q", a.Text, text)
		}
		switch a.Kind {
		case Inside:
			if !strings.HasPrefix(a.Path, "/") || strings.Contains(a.Path+"/", "/../") || a.Part < Boot || a.Part > MaxPart {
				t.Errorf("Parse(%q) = %+v: not absolute and clean", text, a)
			}
			fallthrough
		case Whole:
			if a.Image == "" || !strings.HasPrefix(text, a.Image+":") {
				t.Errorf("Parse(%q) = %+v: the image is not what was typed", text, a)
			}
		case Local:
			if a.Path != text {
				t.Errorf("Parse(%q) = %+v: a local path was changed", text, a)
			}
		}
		b, err := Parse(a.String(), nil)
		b.Text, b.Slash = a.Text, a.Slash
		if a != b || err != nil {
			t.Errorf("Parse(%q) = %+v, but its form %q parses as %+v, %v", text, a, a.String(), b, err)
		}
	})
}
