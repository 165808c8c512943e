// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const (
	lineLimit   = 98      // characters of a line that are read (rule lineLimit)
	configLimit = 4096    // bytes of config.txt that are read (rule sizeLimit)
	maxConfig   = 1 << 20 // bytes of a file that are looked at, for what is too much
	maxIncludes = 64      // files that are included, in all
	maxNested   = 8       // files that include each other
	maxNotes    = 100     // warnings, and settings passed over, that are kept
	maxOverlays = 1000
)

// place is where a setting stands.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s, line %d", quote(p.file), p.line) }

// note is something about config.txt that the reader should know.
type note struct {
	rule RuleID
	text string
}

// setting is the value that a setting has in the end.
type setting struct {
	value string
	at    place
}

// Settings are what config.txt says to one model.
type Settings struct {
	Present   bool // there is a config.txt that is not empty
	generated bool // Debian's raspi-firmware wrote it
	values    map[string]setting
	initramfs []string // file names as written
	overlays  []setting
	warnings  []note
	passed    []note // settings that are for other boards, or boots
}

// known are the settings that the checks use. Those that are true count in config.txt itself
// only, not in what it includes (rule earlySettings).
var known = map[string]bool{
	"kernel": false, "cmdline": false, "device_tree": false, "dtoverlay": false, "initramfs": false,
	"ramfsfile": false, "auto_initramfs": false, "os_check": false, "upstream_kernel": false, "arm_64bit": false,
	"arm_control": false, "os_prefix": false, "overlay_prefix": false, "include": false,
	"start_x": true, "start_debug": true, "start_file": true, "fixup_file": true, "gpu_mem": true,
}

// configReader is the state of reading config.txt and what it includes.
type configReader struct {
	fsys     fs.FS
	model    *Model
	s        *Settings
	filters  filters
	warned   map[place]bool // filters that were warned of
	open     []string       // files that are being read, outermost first
	included int
}

// ReadConfig reads the config.txt of a boot partition as the firmware of a model does. What
// cannot be read is as if it were not there, with a warning.
func ReadConfig(fsys fs.FS, m *Model) *Settings {
	r := &configReader{
		fsys: fsys, model: m, s: &Settings{values: map[string]setting{}}, filters: filters{}, warned: map[place]bool{},
	}
	data, err := readFile(fsys, "config.txt", maxConfig)
	if err != nil && !isMissing(err) {
		r.warn("", "config.txt: %v", err)
	}
	if len(data) > configLimit {
		r.checkRest(data)
		data = data[:configLimit]
	}
	r.s.Present = len(data) > 0
	r.s.generated = strings.Contains(string(data), "/etc/default/raspi-firmware") // in a comment (rule rewritten)
	r.read("config.txt", data)
	return r.s
}

func (r *configReader) warn(id RuleID, format string, args ...any) {
	if len(r.s.warnings) < maxNotes {
		r.s.warnings = append(r.s.warnings, note{id, fmt.Sprintf(format, args...)})
	}
}

func (r *configReader) pass(id RuleID, format string, args ...any) {
	if len(r.s.passed) < maxNotes {
		r.s.passed = append(r.s.passed, note{id, fmt.Sprintf(format, args...)})
	}
}

// checkRest warns of what stands past the limit of config.txt, if that is more than comments.
func (r *configReader) checkRest(data []byte) {
	begun := data[:configLimit]
	begun = begun[strings.LastIndexByte(string(begun), '\n')+1:]
	first := 1 + strings.Count(string(data[:configLimit-len(begun)]), "\n")
	for i, line := range strings.Split(string(begun)+string(data[configLimit:]), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' && !(i == 0 && isSetting(line[min(len(begun), len(line)):])) {
			continue
		}
		if i == 0 && len(line) <= len(begun) {
			continue // it ends at the limit
		}
		r.warn("sizeLimit",
			"config.txt, line %d: %s stands past byte %d, which is as far as a board reads when it netboots; "+
				"take comments out",
			first+i, quote(line), configLimit)
		return
	}
}

// isSetting reports whether text begins like one of the known settings.
func isSetting(text string) bool {
	key, _, sep := splitSetting(strings.TrimSpace(text))
	_, ok := known[key]
	return ok && sep != 0
}

// read reads the lines of a file.
func (r *configReader) read(name string, data []byte) {
	r.open = append(r.open, name)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		r.readLine(place{name, n}, strings.TrimRight(line, "\r\n"))
	}
}

func (r *configReader) readLine(at place, line string) {
	comment := strings.HasPrefix(strings.TrimSpace(line), "#")
	if len(line) > lineLimit {
		rest := line[lineLimit:]
		switch {
		case comment && isSetting(strings.TrimSpace(rest)):
			r.warn("lineBreak", "%v: %s, at the end of a long comment, may count as a line of its own", at,
				quote(strings.TrimSpace(rest)))
		case !comment && strings.TrimSpace(rest) != "":
			r.warn("lineLimit", "%v: %s stands past character %d and is not read", at, quote(strings.TrimSpace(rest)),
				lineLimit)
		}
		line = line[:lineLimit]
	}
	line = strings.TrimSpace(line)
	switch {
	case line == "" || comment:
	case line[0] == '[':
		inside, _, _ := strings.Cut(line[1:], "]")
		if f, ok := readFilter(inside, r.model); ok {
			f.line = at
			r.filters.set(f)
		}
	default:
		r.readSetting(at, line)
	}
}

// splitSetting splits KEY=VALUE or KEY VALUE; sep is 0 where there is only a key.
func splitSetting(line string) (key, value string, sep byte) {
	i := strings.IndexAny(line, "= \t")
	if i < 0 {
		return line, "", 0
	}
	return line[:i], strings.TrimSpace(line[i+1:]), line[i]
}

func (r *configReader) readSetting(at place, line string) {
	key, value, sep := splitSetting(line)
	early, used := known[key]
	if f := r.filters.against(); f != nil {
		r.passOver(at, line, f, used)
		return
	}
	switch {
	case key == "initrd":
		r.warn("initramfs", "%v: the firmware knows no initrd: write initramfs FILE followkernel", at)
	case !used || sep == 0:
	case sep != '=' && strings.HasPrefix(value, "="):
		r.warn("spaces", "%v: the spaces before the equals sign keep %s from being read", at, key)
	case early && len(r.open) > 1:
		r.warn("earlySettings", "%v: %s counts in config.txt itself only, not in a file that it includes", at, key)
	default:
		r.use(setting{value, at}, key, sep)
	}
}

// passOver notes a setting that f keeps back, and a filter that cannot be known.
func (r *configReader) passOver(at place, line string, f *filter, used bool) {
	if used {
		r.pass("filterKinds", "%v: %s is below %s", at, quote(line), f.text)
	}
	if !f.unknown || r.warned[f.line] {
		return
	}
	r.warned[f.line] = true
	r.warn("filterUnknown", "%v: whether %s matches is known to the board alone; what stands below it is passed over",
		f.line, f.text)
}

// use takes a setting over.
func (r *configReader) use(s setting, key string, sep byte) {
	switch key {
	case "include":
		r.include(s)
		return
	case "initramfs":
		r.useInitramfs(s, sep)
		return
	case "dtoverlay":
		name := strings.TrimSpace(s.value)
		if i := strings.IndexAny(name, ",:"); i >= 0 {
			name = name[:i]
		}
		if name != "" && len(r.s.overlays) < maxOverlays {
			r.s.overlays = append(r.s.overlays, setting{name, s.at})
		}
		return
	case "ramfsfile":
		r.s.initramfs = fileList(s.value)
	}
	r.s.values[key] = s
}

// useInitramfs reads the directive initramfs FILE[,FILE]... [followkernel|ADDRESS].
func (r *configReader) useInitramfs(s setting, sep byte) {
	if sep == '=' {
		r.warn("initramfs", "%v: initramfs takes no equals sign: firmware may not read this line; write initramfs %s",
			s.at, s.value)
	}
	words := strings.Fields(s.value)
	if len(words) == 0 {
		return
	}
	if len(words) > 1 && words[1] != "followkernel" {
		if _, err := strconv.ParseUint(words[1], 0, 64); err != nil {
			r.warn("initramfs", "%v: %s is neither followkernel nor an address", s.at, quote(words[1]))
		}
	}
	if old, ok := r.s.values["initramfs"]; ok {
		r.warn("initramfs",
			"%v: only the last initramfs counts, not that of %v; several files stand in one, with "+
				"commas", s.at, old.at)
	}
	r.s.values["initramfs"] = s
	r.s.initramfs = fileList(words[0])
}

func fileList(value string) []string {
	return slices.DeleteFunc(strings.Split(value, ","),
		func(name string) bool { return strings.TrimSpace(name) == "" })
}

// include reads the file that an include names; prefixes do not count for it.
func (r *configReader) include(s setting) {
	name := bootPath(s.value)
	switch {
	case slices.Contains(r.open, name):
		r.warn("include", "%v: %s includes itself", s.at, name)
		return
	case len(r.open) > maxNested || r.included >= maxIncludes:
		r.warn("include", "%v: too many files are included; %s is passed over", s.at, name)
		return
	}
	r.included++
	data, err := readFile(r.fsys, name, maxConfig)
	if err != nil && isMissing(err) { // as usercfg.txt often is: nothing is amiss
		r.pass("include", "%v: the file to include, %s, is not there", s.at, quote(s.value))
		return
	}
	if err != nil {
		r.warn("include", "%v: the file to include, %s: %s", s.at, quote(s.value), reason(err))
		return
	}
	r.read(name, data)
}

// str returns the value of a setting, "" if it is not set.
func (s *Settings) str(key string) string { return s.values[key].value }

// has reports whether a setting is set.
func (s *Settings) has(key string) bool {
	_, ok := s.values[key]
	return ok
}

// number returns the value of a setting as the firmware reads a number: as many digits as there
// are, 0x for hexadecimal. y and yes count as 1. Not set is unset.
func (s *Settings) number(key string, unset int) int {
	v, ok := s.values[key]
	if !ok {
		return unset
	}
	text := strings.ToLower(v.value)
	if strings.HasPrefix(text, "y") {
		return 1
	}
	base := 10
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		text, base, digits = rest, 16, "0123456789abcdef"
	}
	end := strings.IndexFunc(text, func(c rune) bool { return !strings.ContainsRune(digits, c) })
	if end >= 0 {
		text = text[:end]
	}
	n, _ := strconv.ParseInt(text, base, 32)
	return int(n)
}

// arm64 is what config.txt says of the width: 1, 0, or -1 where it says nothing. arm_control is
// what arm_64bit was called before; its bit 0x200 is meant.
func (s *Settings) arm64() int {
	switch n := s.number("arm_64bit", -1); {
	case n > 0:
		return 1
	case n == 0:
		return 0
	case s.number("arm_control", 0)&0x200 != 0:
		return 1
	}
	return -1
}
