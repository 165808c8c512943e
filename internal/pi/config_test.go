// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// readConfig reads a config.txt and the files it may include.
func readConfig(model, config string, more ...string) *Settings {
	fsys := fstest.MapFS{"config.txt": {Data: []byte(config)}}
	for i := 0; i < len(more); i += 2 {
		fsys[more[i]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	return ReadConfig(fsys, FindModel(model))
}

// notes are the texts of the warnings.
func notes(list []note) string {
	var texts []string
	for _, n := range list {
		texts = append(texts, n.text)
	}
	return strings.Join(texts, "\n")
}

func TestFilters(t *testing.T) {
	for _, tt := range []struct {
		config  string
		matches string // the models for which kernel=yes comes out
	}{
		{"kernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[all]\nkernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[ALL]\nkernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[pi2]\nkernel=yes", "pi2"},
		{"[pi3]\nkernel=yes", "pi3 pi3+ cm3"},
		{"[pi3+]\nkernel=yes", "pi3+"},
		{"[cm3]\nkernel=yes", "cm3"},
		{"[pi4]\nkernel=yes", "pi4 pi400 cm4"},
		{"[PI4]\nkernel=yes", "pi4 pi400 cm4"},
		{"  [pi4]  \n kernel=yes", "pi4 pi400 cm4"},
		{"[pi4] # the large ones\nkernel=yes", "pi4 pi400 cm4"},
		{"[pi400]\nkernel=yes", "pi400"},
		{"[cm4]\nkernel=yes", "cm4"},
		{"[cm4s]\nkernel=yes", ""},
		{"[pi5]\nkernel=yes", "pi5 pi500 cm5"},
		{"[pi500]\nkernel=yes", "pi500"},
		{"[cm5]\nkernel=yes", "cm5"},
		{"[pi02]\nkernel=yes", ""},
		{"[none]\nkernel=yes", ""},
		{"[none]\n[all]\nkernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[pi4]\n[pi5]\nkernel=yes", "pi5 pi500 cm5"},               // of one kind: the later one
		{"[pi4]\nkernel=no\n[pi400]\nkernel=yes", "pi400"},          // set in one, changed in the other
		{"[0x89025d75]\n[pi4]\nkernel=yes", ""},                     // of two kinds: both
		{"[0x89025d75]\n[all]\n[pi4]\nkernel=yes", "pi4 pi400 cm4"}, // [all] takes back both
		{"[tryboot]\nkernel=yes", ""},
		{"[tryboot]\n[pi4]\nkernel=yes", ""},
		{"[tryboot]\nkernel=no\n[all]\nkernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[board-type=0x14]\nkernel=yes", "cm4"},
		{"[board-type=0x1a]\nkernel=yes", "cm5"},
		{"[board-type=20]\nkernel=yes", "cm4"},
		{"[board-type=x]\nkernel=yes", ""},
		{"[pi4]\n[board-type=0x17]\nkernel=yes", "pi5"},
		{"[HDMI:1]\nkernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[pi4]\n[HDMI:1]\nkernel=yes", "pi4 pi400 cm4"},
		{"[EDID=DEL-U2422H]\nkernel=yes", ""},
		{"[gpio4=1]\nkernel=yes", ""},
		{"[boot_partition=2]\nkernel=yes", ""},
		{"[bootvar0&0x10]\nkernel=yes", ""},
		{"[nosuch]\nkernel=yes", ""},
		{"[gpio4=1]\n[all]\nkernel=yes", "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5"},
		{"[pi4\nkernel=yes", "pi4 pi400 cm4"},
	} {
		var got []string
		for _, m := range Models {
			if readConfig(m.Name, tt.config).str("kernel") == "yes" {
				got = append(got, m.Name)
			}
		}
		if strings.Join(got, " ") != tt.matches {
			t.Errorf("%q matches %s, want %s", tt.config, strings.Join(got, " "), tt.matches)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		config, key, want string
	}{
		{"kernel=vmlinuz", "kernel", "vmlinuz"},
		{"kernel=vmlinuz\r\nkernel=other\r\n", "kernel", "other"}, // the last one counts
		{"kernel vmlinuz", "kernel", "vmlinuz"},                   // as piCore has it
		{"kernel\tvmlinuz  ", "kernel", "vmlinuz"},
		{"#kernel=vmlinuz", "kernel", ""},
		{"  # kernel=vmlinuz", "kernel", ""},
		{"Kernel=vmlinuz", "kernel", ""},
		{"kernel =vmlinuz", "kernel", ""},
		{"kernel = vmlinuz", "kernel", ""},
		{"kernel", "kernel", ""},
		{"kernel=", "kernel", ""},
		{"kernel=a=b", "kernel", "a=b"},
		{"kernel=a\n[pi5]\nkernel=b", "kernel", "a"},
		{"kernel=a\nkernel=", "kernel", ""}, // set to nothing
	} {
		if got := readConfig("pi4", tt.config).str(tt.key); got != tt.want {
			t.Errorf("%q: %s is %q, want %q", tt.config, tt.key, got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "1": 1, "0": 0, "01": 1, "0x10": 16, "0X1f": 31, "16MB": 16, "y": 1, "yes": 1, "no": 0, "x": 0, "-1": 0,
		"99999999999999999999": 1<<31 - 1,
	} {
		if got := readConfig("pi4", "gpu_mem="+text).number("gpu_mem", 7); got != want {
			t.Errorf("gpu_mem=%s is %d, want %d", text, got, want)
		}
	}
	if got := readConfig("pi4", "").number("gpu_mem", 7); got != 7 {
		t.Errorf("no gpu_mem is %d, want 7", got)
	}
	for config, want := range map[string]int{"": -1, "arm_64bit=1": 1, "arm_64bit=0": 0, "arm_control=0x200": 1,
		"arm_control=0x200\narm_64bit=0": 0, "arm_control=0": -1} {
		if got := readConfig("pi4", config).arm64(); got != want {
			t.Errorf("%q: arm64 is %d, want %d", config, got, want)
		}
	}
}

func TestLists(t *testing.T) {
	for config, want := range map[string]string{
		"initramfs initrd.img followkernel":      "[initrd.img] []",
		"initramfs initrd.img":                   "[initrd.img] []",
		"initramfs a.gz,b.gz 0x00800000":         "[a.gz b.gz] []",
		"initramfs\ta.gz,,b.gz, 0":               "[a.gz b.gz] []",
		"ramfsfile=a.gz,b.gz\nramfsaddr=-1":      "[a.gz b.gz] []",
		"initramfs a\ninitramfs b followkernel":  "[b] []",
		"[pi5]\ninitramfs a followkernel\n[all]": "[] []",
		"initramfs":                              "[] []",
		"initramfs ":                             "[] []",
		"dtoverlay=vc4-kms-v3d,cma-128":          "[] [vc4-kms-v3d]",
		"dtoverlay=a\ndtparam=x=y\ndtoverlay=\ndtoverlay=b:gpio=4\n[pi5]\ndtoverlay=c": "[] [a b]",
	} {
		s := readConfig("pi4", config)
		var names []string
		for _, o := range s.overlays {
			names = append(names, o.value)
		}
		if got := fmt.Sprint(s.initramfs, names); got != want {
			t.Errorf("%q: initramfs and overlays are %s, want %s", config, got, want)
		}
	}
}

func TestIncludes(t *testing.T) {
	config := "include a.txt\nkernel=mine\ninclude sub/b.txt\n"
	s := readConfig("pi4", config, "a.txt", "kernel=a\ncmdline=a\n[pi5]\n", "sub/b.txt", "dtoverlay=b\n")
	// A filter of an included file stays in force after it.
	if s.str("kernel") != "a" || s.str("cmdline") != "a" || len(s.overlays) != 0 {
		t.Errorf("kernel %q, cmdline %q, overlays %v", s.str("kernel"), s.str("cmdline"), s.overlays)
	}
	s = readConfig("pi4", "[pi5]\ninclude a.txt\n[all]\ninclude /a.txt", "a.txt", "initramfs x followkernel\n")
	if fmt.Sprint(s.initramfs) != "[x]" {
		t.Errorf("initramfs %v", s.initramfs)
	}
}

// TestConfigWarnings: what is warned of, exactly, for a Pi 4.
func TestConfigWarnings(t *testing.T) {
	long := "kernel=" + strings.Repeat("a", 91)
	for _, tt := range []struct {
		name, config string
		more         []string
		want         string
	}{
		{name: "98 characters", config: long},
		{name: "99 characters", config: long + "b",
			want: "config.txt, line 1: b stands past character 98 and is not read"},
		{name: "blanks past them", config: long + "   \r\n"},
		{name: "a long comment", config: "# " + strings.Repeat("a", 120)},
		{name: "a long comment with a setting", config: "#" + strings.Repeat("a", 97) + "kernel=x",
			want: "config.txt, line 1: kernel=x, at the end of a long comment, may count as a line of its own"},
		{name: "a long comment with no setting", config: "#" + strings.Repeat("a", 97) + "force_turbo"},
		{name: "comments past byte 4096", config: strings.Repeat("# a comment of 20 by\n", 200) + "# kernel=x\n"},
		{name: "a setting past byte 4096", config: strings.Repeat("# a comment of 20 by\n",
			200) + "kernel=x\ncmdline=y\n",
			want: "config.txt, line 201: kernel=x stands past byte 4096, which is as far as a board reads when " +
				"it netboots; take comments out"},
		{name: "a setting over byte 4096", config: strings.Repeat("#\n", 2044) + "kernel=vmlinuz\n",
			want: "config.txt, line 2045: kernel=vmlinuz stands past byte 4096, which is as far as a board " +
				"reads when it netboots; take comments out"},
		{name: "a setting up to byte 4096", config: strings.Repeat("#\n", 2043) + "kernel=abc\n# end\n"},
		{name: "a comment over byte 4096", config: strings.Repeat("#\n", 2045) + "# 345kernel=x\n"},
		{name: "a comment cut where a setting begins", config: strings.Repeat("#\n", 2045) + "# 345 kernel=x\n",
			want: "config.txt, line 2046: \"# 345 kernel=x\" stands past byte 4096, which is as far as a board " +
				"reads when it netboots; take comments out"},
		{name: "a serial number", config: "[0x1234]\nkernel=x\n"},
		{name: "tryboot", config: "[tryboot]\nkernel=x\n"},
		{name: "another model", config: "[pi0w]\nkernel=x\n"},
		{name: "a monitor", config: "# head\n[EDID=X]\nhdmi_mode=4\nkernel=x\n",
			want: "config.txt, line 2: whether [EDID=X] matches is known to the board alone; what stands below " +
				"it is passed over"},
		{name: "a monitor of another model", config: "[EDID=X]\n[pi5]\nhdmi_mode=4\nkernel=x\n"},
		{name: "a monitor with nothing below", config: "[EDID=X]\n[all]\nkernel=x\n"},
		{name: "a variable", config: "[boot_partition=2]\ncmdline=a\n[boot_partition=3]\ncmdline=b\n",
			want: "config.txt, line 1: whether [boot_partition=2] matches is known to the board alone; what " +
				"stands below it is passed over\n" +
				"config.txt, line 3: whether [boot_partition=3] matches is known to the board alone; what " +
				"stands below it is passed over"},
		{name: "an unknown filter", config: "[pi6]\nkernel=x\n",
			want: "config.txt, line 1: whether [pi6] matches is known to the board alone; what stands below it " +
				"is passed over"},
		{name: "an equals sign", config: "initramfs=initrd.img followkernel",
			want: "config.txt, line 1: initramfs takes no equals sign: firmware may not read this line; write " +
				"initramfs initrd.img followkernel"},
		{name: "no address", config: "initramfs initrd.img follow-kernel",
			want: "config.txt, line 1: follow-kernel is neither followkernel nor an address"},
		{name: "two", config: "initramfs a\ninitramfs b",
			want: "config.txt, line 2: only the last initramfs counts, not that of config.txt, line 1; several " +
				"files stand in one, with commas"},
		{name: "initrd", config: "initrd=initrd.img",
			want: "config.txt, line 1: the firmware knows no initrd: write initramfs FILE followkernel"},
		{name: "spaces", config: "kernel = x",
			want: "config.txt, line 1: the spaces before the equals sign keep kernel from being read"},
		{name: "early settings", config: "start_x=1\ninclude more.txt\n", more: []string{"more.txt",
			"start_x=1\nstart_debug=1\nstart_file=a\nfixup_file=b\ngpu_mem=16\nkernel=x\n"},
			want: "more.txt, line 1: start_x counts in config.txt itself only, not in a file that it includes\n" +
				"more.txt, line 2: start_debug counts in config.txt itself only, not in a file that it includes\n" +
				"more.txt, line 3: start_file counts in config.txt itself only, not in a file that it includes\n" +
				"more.txt, line 4: fixup_file counts in config.txt itself only, not in a file that it includes\n" +
				"more.txt, line 5: gpu_mem counts in config.txt itself only, not in a file that it includes"},
		{name: "no file", config: "include nosuch.txt"},
		{name: "a folder", config: "include sub", more: []string{"sub/x", ""},
			want: "config.txt, line 1: the file to include, sub: is a directory"},
		{name: "itself", config: "include ./config.txt", want: "config.txt, line 1: config.txt includes itself"},
		{name: "each other", config: "include a", more: []string{"a", "include b\n", "b", "kernel=x\ninclude a\n"},
			want: "b, line 2: a includes itself"},
	} {
		s := readConfig("pi4", tt.config, tt.more...)
		if got := notes(s.warnings); got != tt.want {
			t.Errorf("%s: warned of\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestPassedOver(t *testing.T) {
	s := readConfig("pi4",
		"[pi5]\nkernel=x\nhdmi_mode=4\n[tryboot]\n[pi4]\nos_prefix=new/\n[all]\ninclude user.txt\n")
	want := "config.txt, line 2: kernel=x is below [pi5]\nconfig.txt, line 6: os_prefix=new/ is below [tryboot]\n" +
		"config.txt, line 8: the file to include, user.txt, is not there"
	if got := notes(s.passed); got != want {
		t.Errorf("passed over\n%s\nwant\n%s", got, want)
	}
}

// TestManyIncludes: files that include each other many times end somewhere.
func TestManyIncludes(t *testing.T) {
	var more []string
	for i := range 12 {
		more = append(more, fmt.Sprint("f", i), strings.Repeat(fmt.Sprintf("include f%d\n", i+1),
			50)+fmt.Sprintf("dtoverlay=o%d\n", i))
	}
	s := readConfig("pi4", "include f0\n", more...)
	if len(s.warnings) != maxNotes || len(s.overlays) > maxIncludes {
		t.Errorf("%d warnings, %d overlays", len(s.warnings), len(s.overlays))
	}
}

// TestLimits: only what was read counts.
func TestConfigLimits(t *testing.T) {
	s := readConfig("pi4", "kernel="+strings.Repeat("a", 200))
	if got := len(s.str("kernel")); got != lineLimit-len("kernel=") {
		t.Errorf("%d characters of a long value were read", got)
	}
	s = readConfig("pi4", strings.Repeat("#\n", 2043)+"kernel=abcdef\n[pi4]\ncmdline=x\n")
	if s.str("kernel") != "abc" || s.has("cmdline") {
		t.Errorf("kernel is %q, cmdline %v", s.str("kernel"), s.has("cmdline"))
	}
}
