// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"nobodd/internal/addr"
)

// Load reads file, or if it is "" the usual files in their order, those that are there,
// then what they include, and then boards, as ParseBoards returns them. Later values win. If
// one of the mistakes concerns everything, all of them are joined in the error, and the Config
// beside it is good only to look for more of them in its boards.
func Load(file string, boards ...Board) (*Config, error) {
	l := &loader{
		cfg:    Config{Listen: defaultListen, Port: defaultPort, MaxTransfers: defaultMaxTransfers},
		drafts: map[Serial]*draft{},
	}
	if file == "" {
		l.readUsual(usualFiles(os.Getenv))
	} else if err := l.readMain(file); err != nil {
		l.fail(position{file: file}, Everything, 0, "%v", err)
	}
	l.readIncludes()
	for _, b := range boards {
		l.override(b)
	}
	l.finish()
	return &l.cfg, l.err()
}

// usualFile is a file that is read if it is there.
type usualFile struct {
	path string
	own  bool // the user's own
}

// usualFiles returns the usual files, those that win last.
func usualFiles(getenv func(string) string) []usualFile {
	list := []usualFile{{path: "/etc/nobodd/nobodd.conf"}, {path: "/usr/local/etc/nobodd/nobodd.conf"}}
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // as the XDG specification wants it
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return list
		}
		dir = filepath.Join(home, ".config")
	}
	return append(list, usualFile{filepath.Join(dir, "nobodd/nobodd.conf"), true})
}

// loader merges files into a configuration.
type loader struct {
	cfg        Config
	drafts     map[Serial]*draft
	lines      int    // read so far, in all files
	includeDir string // "" if no file names one
	includeAt  position
	included   bool // the files being read are included ones
}

// draft is a board whose sections may not all be read yet.
type draft struct {
	Board
	at     position // the section read last
	prefix position // the prefix that counts
	order  int      // of that line among those of all files
	wrong  bool     // it has a mistake
}

// position is a place in a configuration file.
type position struct {
	file string
	line int // from 1; 0 for the file as a whole
}

// fail notes a mistake; board counts with OneBoard only.
func (l *loader) fail(at position, scope Scope, board Serial, format string, args ...any) {
	if scope == OneBoard {
		l.draft(board).wrong = true
	}
	l.cfg.Mistakes = append(l.cfg.Mistakes, Mistake{at.file, at.line, fmt.Sprintf(format, args...), scope, board})
}

// err joins all mistakes if one of them concerns everything.
func (l *loader) err() error {
	if !slices.ContainsFunc(l.cfg.Mistakes, func(m Mistake) bool { return m.Scope == Everything }) {
		return nil
	}
	errs := make([]error, len(l.cfg.Mistakes))
	for i, m := range l.cfg.Mistakes {
		errs[i] = m
	}
	return errors.Join(errs...)
}

// readUsual reads the files that are there. The daemon may run as a user whose own file it may not
// read: that one is passed over.
func (l *loader) readUsual(files []usualFile) {
	for _, f := range files {
		err := l.readMain(f.path)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		case errors.Is(err, fs.ErrPermission) && f.own:
			l.cfg.Warnings = append(l.cfg.Warnings, f.path+": "+err.Error()+"; passed over")
		default:
			l.fail(position{file: f.path}, Everything, 0, "%v", err)
		}
	}
}

func (l *loader) readMain(file string) error {
	err := l.read(file)
	if err == nil {
		l.cfg.Files = append(l.cfg.Files, file)
	}
	return err
}

func (l *loader) readIncludes() {
	if l.includeDir == "" {
		return
	}
	entries, err := os.ReadDir(l.includeDir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fail(l.includeAt, Everything, 0, "includedir: %v", err)
	}
	l.included = true
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") || e.IsDir() {
			continue
		}
		file := filepath.Join(l.includeDir, name)
		if err := l.read(file); err != nil {
			l.fail(position{file: file}, OneSection, 0, "%v", err)
		}
	}
}

// draft returns the draft of a board, a new one if nothing was read of it yet.
func (l *loader) draft(serial Serial) *draft {
	d := l.drafts[serial]
	if d == nil {
		d = &draft{Board: Board{Serial: serial, Partition: addr.Boot}}
		l.drafts[serial] = d
	}
	return d
}

// identify notes that the draft's serial number was written as whole (0 if not longer than what counts of
// it), and reports whether the board is still one.
func (d *draft) identify(whole uint64) bool {
	if whole != 0 && d.whole != 0 && whole != d.whole {
		return false
	}
	d.whole = cmp.Or(whole, d.whole)
	return true
}

// override puts the values that b holds in place of those of the files. An ip that b does
// not hold stays: to leave it out must not open the board to everyone.
func (l *loader) override(b Board) {
	d := l.draft(b.Serial)
	if !d.identify(b.whole) {
		l.fail(position{file: "--board"}, OneBoard, b.Serial, "%s", sameBoard(b.whole, d.whole, b.Serial))
	}
	d.Image = b.Image
	if b.Partition != addr.Boot {
		d.Partition = b.Partition
	}
	if b.IP.IsValid() {
		d.IP = b.IP
	}
}

// sameBoard is the text of a mistake: two serial numbers of one board.
func sameBoard(a, b uint64, serial Serial) string {
	return fmt.Sprintf("%x and %x are both board %s to a bootloader", a, b, serial)
}

// finish checks what only the whole shows, and sorts the boards out.
func (l *loader) finish() {
	for _, serial := range l.serials() {
		if d := l.drafts[serial]; d.Image == "" && !d.wrong {
			l.fail(d.at, OneBoard, serial, "board %s has no image: add image = PATH to its section", serial)
		}
	}
	l.checkPrefixes()
	l.cfg.Boards, l.cfg.LeftOut = map[Serial]Board{}, map[Serial]bool{}
	for serial, d := range l.drafts {
		if d.wrong {
			l.cfg.LeftOut[serial] = true
		} else {
			l.cfg.Boards[serial] = d.Board
		}
	}
}

func (l *loader) serials() []Serial {
	list := make([]Serial, 0, len(l.drafts))
	for serial := range l.drafts {
		list = append(list, serial)
	}
	slices.Sort(list)
	return list
}

// checkPrefixes looks for words that two boards claim: the line that is read first has them. A board that
// is left out claims nothing, so the boards are taken in the order of their lines.
func (l *loader) checkPrefixes() {
	var list []*draft
	for _, d := range l.drafts {
		if len(d.Prefix) > 0 {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b *draft) int { return cmp.Compare(a.order, b.order) })
	owners := map[string]Serial{}
	for _, d := range list {
		for _, word := range d.Prefix {
			if owner, taken := owners[word]; taken {
				l.fail(d.prefix, OneBoard, d.Serial, "prefix: %q is already that of board %s", word, owner)
			}
		}
		if d.wrong {
			continue
		}
		for _, word := range d.Prefix {
			owners[word] = d.Serial
		}
	}
}
