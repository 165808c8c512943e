// SPDX-License-Identifier: GPL-3.0-or-later

// Package addr holds the addresses that every nobodd tool takes: a path on this
// machine, or a place inside an image such as jammy.img:1:/cmdline.txt.
package addr

import (
	"errors"
	"path"
	"strconv"
	"strings"
)

const (
	// Boot is the partition number of an address that names none, such as
	// jammy.img:/cmdline.txt: the boot partition, the first that holds a FAT file system.
	Boot = -1
	// MaxPart is the highest partition number that an address can hold; the lowest is 0.
	MaxPart = 999
)

// Kind is the kind of what an address names.
type Kind int

// The kinds of addresses.
const (
	Local  Kind = iota // a path on this machine; Path is it
	Inside             // a file or directory in a partition of Image
	Whole              // the image itself (jammy.img:)
	Std                // "-": standard input or output
)

// Addr is a parsed address. The zero value is the empty local path.
type Addr struct {
	Text  string // as the user typed it; error messages show this
	Kind  Kind
	Image string // path of the image on this machine; for Inside and Whole
	Part  int    // partition number 0 to MaxPart, or Boot; for Inside
	Path  string // Inside: absolute, clean, "/" for the root; Local: the path as typed
	Slash bool   // the text ends in a slash (Inside: or in /. or /.., or names the root): a directory is meant
}

// Look reports what is at a path of this machine: whether there is anything, and whether
// that is a file or block device, which could be an image.
type Look func(path string) (exists, isFile bool)

// Parse reads an address. It is split at the first colon that is followed by a valid
// partition part. What is on this machine decides only whether jammy.img:1 is a partition
// and whether jammy.img:1:boot is a mistake, or both are ordinary paths; with a nil look
// they are paths. Errors are *Error.
func Parse(text string, look Look) (Addr, error) {
	switch {
	case text == "":
		return Addr{}, &Error{"''", errors.New("an empty path")}
	case strings.Contains(text, "\x00"):
		return Addr{}, &Error{strconv.Quote(text), errors.New("a path holds no NUL byte")}
	case text == "-":
		return Addr{Text: text, Kind: Std}, nil
	}
	var mistake error
	for i := 1; i < len(text); i++ {
		if text[i] != ':' {
			continue
		}
		image := text[:i]
		a, form := parseInside(image, text[i+1:])
		switch {
		case form == split, form == splitIfThere && isFile(image, look) && !exists(text, look):
			a.Text = text
			return a, nil
		case form == wrongNumber && isFile(image, look):
			return Addr{}, &Error{text, errors.New("a partition number is 0 to " + strconv.Itoa(MaxPart))}
		case form == wrongPath && mistake == nil && isFile(image, look):
			mistake = &Error{text, errors.New("a path inside an image begins with /: " + a.String())}
		}
	}
	if mistake != nil {
		return Addr{}, mistake
	}
	return Addr{Text: text, Path: text, Slash: strings.HasSuffix(text, "/")}, nil
}

func isFile(path string, look Look) bool {
	if look == nil {
		return false
	}
	_, is := look(path)
	return is
}

func exists(path string, look Look) bool {
	is, _ := look(path)
	return is
}

// form is what follows a colon.
type form int

const (
	noPart       form = iota // no partition part
	split                    // one at which the address is split
	splitIfThere             // one alone, as in jammy.img:1
	wrongNumber              // one with a number that no partition has
	wrongPath                // one before a path that does not begin with a slash
)

// parseInside reads rest, which follows image and a colon, as a place in that image.
func parseInside(image, rest string) (Addr, form) {
	if rest == "" {
		return Addr{Kind: Whole, Image: image}, split
	}
	if rest[0] == '/' {
		return inside(image, Boot, rest), split
	}
	num, name, after := cutPart(rest)
	part, _ := strconv.Atoi(num) // of too many digits it makes the largest number
	switch {
	case after == 0 || after == end && part > MaxPart:
		return Addr{}, noPart
	case part > MaxPart:
		return Addr{}, wrongNumber
	case after == end:
		return inside(image, part, ""), splitIfThere
	case name != "" && name[0] != '/':
		return inside(image, part, name), wrongPath
	}
	return inside(image, part, name), split
}

// end is what cutPart finds after a number with nothing after it.
const end = '$'

// cutPart splits N:NAME, pN:NAME, partN:NAME, N/NAME and N; the slash stays in name. It
// returns what follows the number, a colon, a slash or the end; 0 if s is none of these.
func cutPart(s string) (num, name string, after rune) {
	digits := s
	for _, prefix := range []string{"part", "p"} {
		if strings.HasPrefix(s, prefix) {
			digits = s[len(prefix):]
			break
		}
	}
	n := 0
	for n < len(digits) && '0' <= digits[n] && digits[n] <= '9' {
		n++
	}
	num, name = digits[:n], digits[n:]
	plain := len(digits) == len(s)
	switch {
	case n == 0:
		return "", "", 0
	case name == "" && plain:
		return num, "", end
	case name == "":
		return "", "", 0
	case name[0] == ':':
		return num, name[1:], ':'
	case name[0] == '/' && plain:
		return num, name, '/'
	}
	return "", "", 0
}

func inside(image string, part int, name string) Addr {
	_, last := path.Split(name)
	return Addr{
		Kind:  Inside,
		Image: image,
		Part:  part,
		Path:  path.Clean("/" + name),
		Slash: last == "" || last == "." || last == "..",
	}
}

// String returns the documented form of the address: IMAGE:N:/path, IMAGE:/path,
// IMAGE: or the local path.
func (a Addr) String() string {
	switch a.Kind {
	case Std:
		return "-"
	case Whole:
		return a.Image + ":"
	case Inside:
		if a.Part == Boot {
			return a.Image + ":" + a.Path
		}
		return a.Image + ":" + strconv.Itoa(a.Part) + ":" + a.Path
	}
	return a.Path
}

// Join returns the address of name below a; its Text extends what the user typed.
// Below a whole image is its boot partition. A local path is not cleaned: "a/.." is not
// "." where a is a symbolic link.
func (a Addr) Join(name string) Addr {
	j := Addr{Kind: a.Kind, Image: a.Image, Part: a.Part, Text: joinText(a.Text, name)}
	switch {
	case a.Kind == Inside:
		j.Path = path.Join(a.Path, name)
	case a.Kind == Whole:
		j.Kind, j.Part, j.Path = Inside, Boot, path.Join("/", name)
	case a.Path == a.Text:
		j.Kind, j.Path = Local, j.Text // one string: there may be many thousands of addresses
	default:
		j.Kind, j.Path = Local, joinText(a.Path, name)
	}
	return j
}

// joinText appends name to what the user typed, keeping the spelling of both.
func joinText(text, name string) string {
	if text == "" || strings.HasSuffix(text, "/") {
		return text + name
	}
	return text + "/" + name
}

// Name returns the path as the tree that it is in has it. Inside: as in io/fs, without the
// leading slash, "." for the root. Local: as typed.
func (a Addr) Name() string {
	switch {
	case a.Kind != Inside:
		return a.Path
	case a.Path == "/":
		return "."
	}
	return strings.TrimPrefix(a.Path, "/")
}
