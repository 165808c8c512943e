// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// position is a place in a configuration file.
type position struct {
	file string
	line int // from 1
}

func (p position) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, p.line, fmt.Sprintf(format, args...))
}

// read reads one file: sections in brackets, key = value or key: value, comment lines
// that begin with # or ;. That is what Python's configparser makes of a file of single-line
// values: what follows a value on its line belongs to it, quotes too.
func (l *loader) read(file string) {
	f, err := os.Open(file)
	if err != nil {
		l.fail(err)
		return
	}
	defer f.Close()
	s := section{loader: l, at: position{file: file}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := lines.Text()
		if s.at.line == 0 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		s.at.line++
		s.readLine(strings.TrimSpace(text))
	}
	if err := lines.Err(); err == bufio.ErrTooLong {
		s.at.line++
		l.fail(s.at.errorf("line too long"))
	} else if err != nil {
		l.fail(err)
	}
}

// section is where the reader of a file is.
type section struct {
	*loader
	at    position
	name  string // "" before the first section
	wrong bool   // nobody knows the section: its keys are passed over
	board *draft // nil in [tftp]
}

func (s *section) readLine(line string) {
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
	case line[0] == '[':
		s.begin(line)
	case s.wrong:
	default:
		s.readKey(line)
	}
}

// begin reads a section header.
func (s *section) begin(line string) {
	s.board, s.wrong = nil, true
	name, ok := strings.CutSuffix(line[1:], "]")
	if !ok {
		s.fail(s.at.errorf("no ] at the end of %q", line))
		return
	}
	s.name = name
	digits, isBoard := strings.CutPrefix(name, "board:")
	if !isBoard {
		if s.wrong = name != "tftp"; s.wrong {
			s.fail(s.at.errorf("unknown section [%s]", name))
		}
		return
	}
	serial, err := ParseSerial(strings.TrimSpace(digits))
	if err != nil {
		s.fail(s.at.errorf("[%s]: %v", name, err))
		return
	}
	s.wrong = false
	s.board = s.loader.board(serial)
	s.board.at = s.at
}

// readKey reads a line that holds a key and its value.
func (s *section) readKey(line string) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		s.fail(s.at.errorf("%q is no key = value", line))
		return
	}
	if s.name == "" {
		s.fail(s.at.errorf("%q stands before the first section", line))
		return
	}
	key, value := strings.ToLower(strings.TrimSpace(line[:i])), strings.TrimSpace(line[i+1:])
	set := s.setTFTP
	if s.board != nil {
		set = s.setBoard
	}
	if err := set(key, value); err == errUnknownKey {
		s.fail(s.at.errorf("unknown key %q in [%s]", key, s.name))
	} else if err != nil {
		s.fail(s.at.errorf("%s: %v", key, err))
	}
}

func (s *section) setTFTP(key, value string) (err error) {
	switch key {
	case "listen":
		s.cfg.Listen, err = ParseListen(value)
	case "port":
		s.cfg.Port, err = ParsePort(value)
	case "max-transfers":
		s.cfg.MaxTransfers, err = parseMaxTransfers(value)
	case "includedir":
		s.includeDir, err = s.parseIncludeDir(value)
	default:
		err = errUnknownKey
	}
	return err
}

func (s *section) setBoard(key, value string) (err error) {
	switch key {
	case "image":
		s.board.Image, err = s.parsePath(value)
	case "partition":
		s.board.Partition, err = parsePartition(value)
	case "ip":
		s.board.IP, err = parseIP(value)
	default:
		err = errUnknownKey
	}
	return err
}

func (s *section) parseIncludeDir(value string) (string, error) {
	if s.included {
		return "", fmt.Errorf("a file that is included cannot include others")
	}
	s.includeAt = s.at
	return s.parsePath(value)
}

// parsePath reads a path that is relative to the file it stands in.
func (s *section) parsePath(value string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(s.at.file))
	if err != nil {
		return "", err
	}
	return parsePath(value, dir)
}
