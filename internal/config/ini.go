// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxFile = 16 << 20 // bytes in a configuration file
	maxLine = 64 << 10 // bytes in a line
)

// read reads one file: sections in brackets, key = value or key: value, comment lines
// that begin with # or ;. That is what Python's configparser makes of a file of single-line
// values: what follows a value on its line belongs to it, quotes too.
//
// The error is of a file that cannot be read: then nothing of it counts, since the half of a
// board might serve what the other half was to protect.
func (l *loader) read(file string) error {
	text, err := readFile(file)
	if err != nil {
		return err
	}
	s := section{loader: l, at: position{file: file}}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		s.at.line++
		l.lines++
		s.readLine(strings.TrimSpace(line))
	}
	return nil
}

func readFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", cause(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return string(text), cause(err)
}

// cause returns err without the operation and the path.
func cause(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// section is where the reader of a file is.
type section struct {
	*loader
	at    position
	name  string // "" before the first section
	skip  bool   // its keys are passed over
	scope Scope  // of the mistakes in it
	board *draft // with OneBoard
}

// fail notes a mistake in the line being read.
func (s *section) fail(format string, args ...any) {
	var serial Serial
	if s.scope == OneBoard {
		serial = s.board.Serial
	}
	s.loader.fail(s.at, s.scope, serial, format, args...)
}

func (s *section) readLine(line string) {
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
	case len(line) > maxLine:
		s.outside()
		s.fail("line too long")
	case line[0] == '[':
		s.begin(line)
	case !s.skip:
		s.readKey(line)
	}
}

// outside sets the scope of mistakes before the first section.
func (s *section) outside() {
	if s.name == "" && s.included {
		s.scope = OneSection
	}
}

// begin reads a section header. One that names a board and is wrong is that board's mistake; a
// serial number that is none costs that section alone.
func (s *section) begin(line string) {
	name, rest, _ := strings.Cut(line[1:], "]")
	digits, isBoard := strings.CutPrefix(name, "board:")
	serial, whole, err := parseSection(strings.TrimSpace(digits))
	s.name, s.board, s.scope, s.skip = name, nil, Everything, true
	switch {
	case isBoard && err == nil:
		s.scope, s.board = OneBoard, s.draft(serial)
		s.board.at = s.at
	case isBoard || s.included:
		s.scope = OneSection
	}
	switch {
	case rest != "" || !strings.HasSuffix(line, "]"):
		s.fail("no ] at the end of %q", line)
	case isBoard && err != nil:
		s.fail("[%s]: %v", name, err)
	case isBoard && !s.board.identify(whole):
		s.fail("[%s]: %s", name, sameBoard(whole, s.board.whole, serial))
	case name == "tftp" && s.included:
		s.fail("[tftp] in a file that is included; its place is the main file")
	case !isBoard && name != "tftp":
		s.fail("unknown section [%s] (there are [tftp], [board:SERIAL] and [board:default])", name)
	default:
		s.skip = false
	}
}

// readKey reads a line that holds a key and its value.
func (s *section) readKey(line string) {
	s.outside()
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		s.fail("%q is no key = value", line)
		return
	}
	if s.name == "" {
		s.fail("%q stands before the first section", line)
		return
	}
	key, value := strings.ToLower(strings.TrimSpace(line[:i])), strings.TrimSpace(line[i+1:])
	set, keys := s.setTFTP, tftpKeys
	switch {
	case s.board != nil && s.board.Serial == Default:
		set, keys = s.setBoard, defaultKeys
	case s.board != nil:
		set, keys = s.setBoard, boardKeys
	}
	if err := set(key, value); err == errUnknownKey {
		s.fail("unknown key %q in [%s] (there are %s)", key, s.name, keys)
	} else if err != nil {
		s.fail("%s: %v", key, err)
	}
}

// The keys of each section, for who has mistyped one.
const (
	tftpKeys    = "listen, port, ports, includedir, max-transfers and max-blksize"
	boardKeys   = "image, partition, ip, prefix and uncached"
	defaultKeys = "image, partition and uncached"
)

func (s *section) setTFTP(key, value string) (err error) {
	switch key {
	case "listen":
		s.cfg.Listen, err = ParseListen(value)
	case "port":
		s.cfg.Port, err = ParsePort(value)
	case "ports":
		s.cfg.Ports, err = parsePorts(value)
	case "max-transfers":
		s.cfg.MaxTransfers, err = parseNumber(value, 1, 1<<20)
	case "max-blksize":
		s.cfg.MaxBlockSize, err = parseNumber(value, minBlockSize, 1<<20)
	case "includedir":
		s.includeAt = s.at
		s.includeDir, err = s.parsePath(value)
	default:
		err = errUnknownKey
	}
	return err
}

// setBoard sets a key of a board. Default has neither an address nor words.
func (s *section) setBoard(key, value string) (err error) {
	b := s.board
	switch {
	case key == "image":
		b.Image, err = s.parsePath(value)
	case key == "partition":
		b.Partition, err = parsePartition(value)
	case key == "uncached":
		b.Uncached, err = parseUncached(value)
	case key == "ip" && b.Serial != Default:
		b.IP, err = parseIP(value)
	case key == "prefix" && b.Serial != Default:
		b.prefix, b.order = s.at, s.lines
		b.Prefix, err = parsePrefix(value)
	default:
		err = errUnknownKey
	}
	return err
}

// parsePath reads a path that is relative to the file it stands in.
func (s *section) parsePath(value string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(s.at.file))
	if err != nil {
		return "", err
	}
	return parsePath(value, dir)
}
