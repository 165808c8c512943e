// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzConfig: whatever stands in config.txt and in what it includes, reading it ends, keeps little,
// says the same again, and no name leads out of the boot partition.
func FuzzConfig(f *testing.F) {
	for _, fsys := range []fstest.MapFS{ubuntu2204(), ubuntu2404(), ubuntu2604(), raspios("6.6.31"), libreelec()} {
		f.Add(string(fsys["config.txt"].Data), "include a.txt\n")
	}
	f.Add("include a.txt\n[none]\ninclude a.txt", "include config.txt\ninclude ../../a.txt\ninclude a.txt\n")
	f.Add("[EDID=a]\nx=1\n[gpio4=1]\nkernel=../../x\n[board-type=0x14]\ninitramfs ../a,/b,.,.. "+
		"0x1\nos_prefix=../..//", "dtoverlay="+strings.Repeat("a", 200))
	f.Add("include b\r.txt\n[C\xbe\r\x1b]\nkernel=x\n", "")
	f.Fuzz(func(t *testing.T, config, more string) {
		fsys := fstest.MapFS{"config.txt": {Data: []byte(config)}, "a.txt": {Data: []byte(more)}}
		for _, m := range Models {
			s := ReadConfig(fsys, m)
			if len(s.warnings) > maxNotes || len(s.passed) > maxNotes || len(s.overlays) > maxOverlays {
				t.Fatalf("%d warnings, %d passed over, %d overlays", len(s.warnings), len(s.passed), len(s.overlays))
			}
			if again := ReadConfig(fsys, m); !reflect.DeepEqual(s, again) {
				t.Fatalf("%+v, then %+v", s, again)
			}
			p := makePlan(fsys, m, s)
			for _, name := range append([]string{p.kernel, p.dtb, p.cmdline}, p.initramfs...) {
				if strings.HasPrefix(name, "/") || strings.HasPrefix(name+"/", "../") || strings.Contains(name,
					"/../") {
					t.Errorf("%q leads out", name)
				}
			}
			for _, n := range append(s.warnings, s.passed...) {
				if strings.ContainsAny(n.text, "\n\r\x1b") {
					t.Errorf("%q", n.text)
				}
			}
		}
	})
}

// FuzzCmdline: a command line is words without blanks outside of quotes, and no target has both a
// problem and none.
func FuzzCmdline(f *testing.F) {
	for _, seed := range []string{preparedLine, preparedDracut, `a="b c" "d e"` + "\n\n",
		"nbdroot=[::1]:1/x netroot=nbd:[::1]:x", "\ufeffx"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := ReadCmdline(text)
		for _, w := range c.Words {
			if w == "" || strings.Contains(w, "\n") || !strings.Contains(w, `"`) && strings.ContainsAny(w, " \t\r") {
				t.Errorf("word %q", w)
			}
			for _, target := range []Target{parseNbdroot(w), parseNetroot(w)} {
				if target.Problem == "" && target.Odd == "" && (target.Host == "" || target.Export == "") {
					t.Errorf("%q: %+v", w, target)
				}
			}
		}
	})
}
