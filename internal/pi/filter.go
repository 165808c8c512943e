// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"slices"
	"strconv"
	"strings"
)

// kind is what a filter of config.txt asks about. Filters of one kind replace each other,
// those of different kinds add up (rule filterKinds).
type kind string

const (
	kindModel   kind = "model"
	kindTryboot kind = "tryboot"
	kindSerial  kind = "serial"
	kindMonitor kind = "monitor"
	kindGPIO    kind = "gpio"
	kindVar     kind = "variable"
	kindOther   kind = "other"
)

// filter is one filter line, as it stands for a model.
type filter struct {
	text    string // [pi4]
	kind    kind
	matches bool
	unknown bool // whether it matches cannot be known; it then counts as not matching
	line    place
}

// filters are those in force, one of each kind.
type filters map[kind]filter

// set puts f in force. [all] empties the set.
func (fs filters) set(f filter) {
	if f.kind == "" {
		clear(fs)
		return
	}
	fs[f.kind] = f
}

// kinds are all kinds, first those of which it is known whether a filter matches.
var kinds = []kind{kindModel, kindSerial, kindTryboot, kindGPIO, kindMonitor, kindVar, kindOther}

// against returns a filter that keeps what follows from the board, one that cannot be known
// only if no other does; nil if all match.
func (fs filters) against() *filter {
	for _, k := range kinds {
		if f, ok := fs[k]; ok && !f.matches {
			return &f
		}
	}
	return nil
}

// readFilter reads what stands between the brackets of a filter line. HDMI filters say which
// output the HDMI settings below them are for and keep nothing else back; ok is false for them.
func readFilter(inside string, m *Model) (f filter, ok bool) {
	f.text = quote("[" + inside + "]")
	word := strings.ToLower(strings.TrimSpace(inside))
	name, value, _ := strings.Cut(word, "=")
	switch {
	case word == "all":
	case slices.Contains(m.filters, word):
		f.kind, f.matches = kindModel, true
	case FindModel(word) != nil || slices.Contains(otherModels, word):
		f.kind = kindModel
	case name == "board-type":
		n, err := strconv.ParseInt(value, 0, 64)
		f.kind, f.matches = kindModel, err == nil && slices.Contains(m.types, n)
	case word == "tryboot":
		f.kind = kindTryboot
	case strings.HasPrefix(word, "0x"):
		f.kind = kindSerial
	case strings.HasPrefix(word, "hdmi:"):
		return f, false
	case name == "edid":
		f.kind, f.unknown = kindMonitor, true
	case strings.HasPrefix(word, "gpio"):
		f.kind, f.unknown = kindGPIO, true
	case strings.ContainsAny(word, "=&<>"):
		f.kind, f.unknown = kindVar, true
	default:
		f.kind, f.unknown = kindOther, true
	}
	return f, true
}
