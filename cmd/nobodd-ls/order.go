// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

// order is the order of a listing; its zero value is by name.
type order struct {
	compare  func(a, b tree.Entry) int // nil: as the directory has them
	reversed bool
}

// orderOf returns the order that the options ask for. The last one wins.
func orderOf(c *cli.Context) (order, error) {
	word := "name"
	switch last := tool.Last(c, "S", "t", "X", "U", "sort"); last {
	case "S":
		word = "size"
	case "t":
		word = "time"
	case "X":
		word = "extension"
	case "U":
		word = "none"
	case "sort":
		word = c.String("sort")
	}
	o := order{reversed: c.Bool("reverse")}
	switch word {
	case "name":
		o.compare = byName
	case "size":
		o.compare = bySize
	case "time":
		o.compare = byTime
	case "extension":
		o.compare = byExtension
	case "none":
	default:
		return order{}, tool.Usagef("invalid value '%s' for --sort (name, size, time, extension or none)", word)
	}
	return o, nil
}

func (o order) sort(entries []tree.Entry) {
	if o.compare == nil {
		return
	}
	slices.SortStableFunc(entries, o.compare)
	if o.reversed {
		slices.Reverse(entries)
	}
}

func byName(a, b tree.Entry) int { return cmp.Compare(a.Name, b.Name) }

func bySize(a, b tree.Entry) int {
	return cmp.Or(cmp.Compare(b.Size(), a.Size()), byName(a, b))
}

func byTime(a, b tree.Entry) int {
	return cmp.Or(b.ModTime().Compare(a.ModTime()), byName(a, b))
}

func byExtension(a, b tree.Entry) int {
	return cmp.Or(cmp.Compare(extension(a.Name), extension(b.Name)), byName(a, b))
}

// extension is the name from its last dot on, as ls -X takes it.
func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i:]
	}
	return ""
}
