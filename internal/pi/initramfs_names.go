// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what is kept of an initramfs. Those of distributions have hundreds of
// symbolic links, and thousands with all firmware.
const (
	maxKept     = 20_000     // names
	maxKeptSize = 8 << 20    // bytes of names, targets and contents
	maxText     = 128 << 10  // bytes of a file that is looked into
	maxName     = 512        // bytes of a name that can be asked for
	maxDepth    = 64         // directories of such a name
	maxHops     = 40         // symbolic links that one name leads through, as in Linux
	maxSteps    = 40_000_000 // directories of all names together
)

// names holds what matters of the file tree that an initramfs makes: symbolic links, and
// what is asked for by name or contents. Names in it have no symbolic links in their
// directories, as those lead where the kernel puts a file. A later entry of the same name
// replaces an earlier one.
type names struct {
	nodes   map[string]*node
	targets map[string]string // of the symbolic links among the nodes
	pending map[inode][]*node // names of this archive whose contents come with another name
	modules map[string]int    // directories below lib/modules, and how many modules each has
	size    int               // bytes kept
	waiting int               // names that were ever pending
	steps   int               // of all walks
	text    []byte            // buffer for one file
}

// node is a name in an initramfs.
type node struct {
	name   string // cleaned, without a slash in front
	mode   uint32
	size   int64  // bytes
	linked bool   // has several names: size may stand with another of them
	target string // of a symbolic link
	body   []byte // of a small file whose contents were asked for; of a program its beginning
	script script // what it does, if it is a script
	libc   string // version, if it is a C library
}

func (n *node) is(mode uint32) bool { return n.mode&modeType == mode }

// there reports whether n is a file that is not empty.
func (n *node) there() bool { return n.is(modeRegular) && (n.size > 0 || n.linked) }

// kept reports whether n is of use.
func (n *node) kept() bool { return n.script != 0 || wanted(n.name) != wantNothing }

func newNames() *names {
	return &names{
		nodes: map[string]*node{}, targets: map[string]string{}, modules: map[string]int{},
		text: make([]byte, 0, maxText),
	}
}

// newArchive forgets hard links, which do not reach from one archive into the next.
func (ns *names) newArchive() { ns.pending = map[inode][]*node{} }

var errTooMany = errors.New("more symbolic links than any initramfs has")

// add reads the data of an entry and keeps what matters of it.
func (ns *names) add(h cpioHeader, in *input) error {
	name, ok := ns.place(h.name)
	if ns.steps > maxSteps {
		return errTooMany
	}
	if !ok {
		return in.skip(h.size + pad4(h.size))
	}
	n := &node{name: name, mode: h.mode, size: h.size, linked: h.links > 1}
	ns.count(n)
	keep, err := ns.read(n, h, in)
	if err != nil {
		return err
	}
	if _, replaces := ns.nodes[name]; keep || replaces {
		if err := ns.keep(n); err != nil {
			return err
		}
	}
	return in.skip(pad4(h.size))
}

// place returns the name under which the kernel puts an entry of that name, and false if
// it puts it nowhere, or where nothing that is asked for can be. So no name that is kept
// spoils a terminal.
func (ns *names) place(name string) (string, bool) {
	if len(name) > maxName || !printable(name) {
		return "", false
	}
	dir, base := path.Split(cleanName(name))
	dir, ok := ns.follow(dir)
	return cleanName(dir + "/" + base), ok && base != ""
}

// printable reports whether text can be printed as it is.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

func (ns *names) keep(n *node) error {
	ns.size += len(n.name) + len(n.target) + len(n.body)
	if ns.size > maxKeptSize || len(ns.nodes) >= maxKept {
		return errTooMany
	}
	ns.nodes[n.name] = n
	delete(ns.targets, n.name)
	if n.is(modeLink) {
		ns.targets[n.name] = n.target
	}
	return nil
}

// cleanName returns a name as the kernel takes it, seen from the root directory.
func cleanName(name string) string { return path.Clean("/" + name)[1:] }

// count notes a directory of modules and what is in it.
func (ns *names) count(n *node) {
	_, rest, found := strings.Cut("/"+n.name, "/lib/modules/")
	version, file, below := strings.Cut(rest, "/")
	if !found || version == "" || !below && !n.is(modeDir) {
		return
	}
	if _, known := ns.modules[version]; !known && len(ns.modules) >= maxVersions {
		return
	}
	module := n.is(modeRegular) && isModule(path.Base(file), "")
	ns.modules[version] += map[bool]int{true: 1}[module]
}

// read reads the data of an entry into n, as far as it is needed, and reports whether n
// is to be kept.
func (ns *names) read(n *node, h cpioHeader, in *input) (keep bool, err error) {
	switch {
	case n.is(modeLink):
		if h.size > cpioMaxName {
			return false, in.skip(h.size)
		}
		body, err := ns.take(h.size, in)
		n.target = string(body)
		return true, err
	case !n.is(modeRegular):
		return wanted(n.name) != wantNothing, in.skip(h.size)
	}
	return ns.readFile(n, h, in)
}

// readFile reads the data of a regular file. Of a hard link it reads them for all names
// that came before: of several, cpio writes the data with the last.
func (ns *names) readFile(n *node, h cpioHeader, in *input) (keep bool, err error) {
	files := []*node{n}
	if n.linked {
		files = append(ns.pending[h.inode], n)
		ns.pending[h.inode] = nil
		if h.size == 0 {
			ns.pending[h.inode] = files
			if ns.waiting++; ns.waiting > maxKept {
				return false, errTooMany
			}
			return wanted(n.name) != wantNothing, nil
		}
	}
	want := wantNothing
	for _, f := range files {
		want = max(want, wanted(f.name))
	}
	if err := ns.readData(files, want, h.size, in); err != nil {
		return false, err
	}
	for _, f := range files[:len(files)-1] {
		if f.kept() {
			if err := ns.keep(f); err != nil {
				return false, err
			}
		}
	}
	return n.kept(), nil
}

// readData reads the data of a file that has the given names.
func (ns *names) readData(files []*node, want want, size int64, in *input) error {
	if want == wantLibc {
		version, err := scanLibc(in, size)
		for _, f := range files {
			f.libc = version
		}
		return err
	}
	n := size
	switch {
	case want == wantHead:
		n = min(size, elfHeaderSize)
	case size > maxText, want <= wantName && isBulk(files[0].name):
		return in.skip(size)
	}
	body, err := ns.take(n, in)
	if err != nil {
		return err
	}
	for _, f := range files {
		f.script = readScript(f.name, body)
		if want > wantName {
			f.body = bytes.Clone(body)
		}
	}
	return in.skip(size - n)
}

// take returns the next size bytes, until the next call.
func (ns *names) take(size int64, in *input) ([]byte, error) {
	ns.text = ns.text[:size]
	_, err := io.ReadFull(in, ns.text)
	return ns.text, short(err)
}

// follow returns the name that a name leads to through the symbolic links so far, and
// false if they lead in a circle or through too many directories.
func (ns *names) follow(name string) (string, bool) {
	var done []byte
	rest := split(name)
	for hops := 0; len(rest) > 0; {
		if ns.steps++; len(rest) > maxDepth || len(done) > maxName || ns.steps > maxSteps {
			return "", false
		}
		part := rest[0]
		rest = rest[1:]
		parent := len(done)
		if part == ".." {
			done = done[:max(0, bytes.LastIndexByte(done, '/'))]
			continue
		}
		if parent > 0 {
			done = append(done, '/')
		}
		done = append(done, part...)
		target, isLink := ns.targets[string(done)]
		if !isLink {
			continue
		}
		if hops++; hops > maxHops {
			return "", false
		}
		if done = done[:parent]; strings.HasPrefix(target, "/") {
			done = done[:0]
		}
		rest = append(split(target), rest...)
	}
	return string(done), true
}

// split returns the parts of a name, without those that lead nowhere.
func split(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." })
}
