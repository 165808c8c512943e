// SPDX-License-Identifier: GPL-3.0-or-later

// Package config reads the configuration of nobodd-tftpd: nobodd.conf, the files it
// includes, and --board. It opens no images and no sockets.
package config

import (
	"cmp"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nobodd/internal/addr"
)

const (
	Stdin   = "stdin"   // Config.Listen: the socket on descriptor 0, from inetd
	Systemd = "systemd" // Config.Listen: the socket that systemd passes

	defaultListen       = "::"
	defaultPort         = 69
	defaultMaxTransfers = 1000
)

// Config is a configuration, all of it checked.
type Config struct {
	Listen       string // an IP address, Stdin or Systemd
	Port         int    // UDP port; 0 for one that is free
	MaxTransfers int    // at a time
	Boards       map[Serial]Board
}

// Board tells what to serve to one Raspberry Pi.
type Board struct {
	Serial    Serial
	Image     string     // absolute path
	Partition int        // 0 to addr.MaxPart, or addr.Boot
	IP        netip.Addr // the only client served; the zero Addr for any. Never IPv4 mapped into IPv6
}

// Sorted gives the boards in the order of their serial numbers.
func (c *Config) Sorted() []Board {
	boards := make([]Board, 0, len(c.Boards))
	for _, b := range c.Boards {
		boards = append(boards, b)
	}
	slices.SortFunc(boards, func(a, b Board) int { return cmp.Compare(a.Serial, b.Serial) })
	return boards
}

// Load reads file, or if it is "" the usual files in their order, those that are there,
// then what they include, and then boards, as ParseBoard gives them. Later values win. The
// error joins one "FILE:LINE: cause" for each mistake.
func Load(file string, boards ...Board) (*Config, error) {
	l := &loader{
		cfg:    Config{Listen: defaultListen, Port: defaultPort, MaxTransfers: defaultMaxTransfers},
		boards: map[Serial]*draft{},
	}
	if file != "" {
		l.read(file)
	} else {
		for _, f := range files(os.Getenv) {
			l.readIfThere(f)
		}
	}
	l.readIncludes()
	for _, b := range boards {
		l.override(b)
	}
	l.finish()
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return &l.cfg, nil
}

// files gives the usual files, those that win last.
func files(getenv func(string) string) []string {
	list := []string{"/etc/nobodd/nobodd.conf", "/usr/local/etc/nobodd/nobodd.conf"}
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // as the XDG specification wants it
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return list
		}
		dir = filepath.Join(home, ".config")
	}
	return append(list, filepath.Join(dir, "nobodd/nobodd.conf"))
}

// loader merges files into a configuration.
type loader struct {
	cfg        Config
	boards     map[Serial]*draft
	includeDir string // "" if no file names one
	includeAt  position
	included   bool // the files being read are included ones
	errs       []error
}

// draft is a board whose sections may not all be read yet.
type draft struct {
	Board
	at position // the section read last
}

func (l *loader) fail(err error) { l.errs = append(l.errs, err) }

func (l *loader) readIfThere(file string) {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		l.read(file)
	}
}

func (l *loader) readIncludes() {
	if l.includeDir == "" {
		return
	}
	entries, err := os.ReadDir(l.includeDir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fail(l.includeAt.errorf("includedir: %v", err))
	}
	l.included = true
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".") && !e.IsDir() {
			l.read(filepath.Join(l.includeDir, name))
		}
	}
}

// board gives the draft of a board, a new one if nothing was read of it yet.
func (l *loader) board(serial Serial) *draft {
	d := l.boards[serial]
	if d == nil {
		d = &draft{Board: Board{Serial: serial, Partition: addr.Boot}}
		l.boards[serial] = d
	}
	return d
}

// override puts the values that b gives in place of those of the files. An ip that b does
// not give stays: to leave it out must not open the board to everyone.
func (l *loader) override(b Board) {
	d := l.board(b.Serial)
	d.Image = b.Image
	if b.Partition != addr.Boot {
		d.Partition = b.Partition
	}
	if b.IP.IsValid() {
		d.IP = b.IP
	}
}

// finish checks what only the whole tells.
func (l *loader) finish() {
	l.cfg.Boards = make(map[Serial]Board, len(l.boards))
	for serial, d := range l.boards {
		l.cfg.Boards[serial] = d.Board
	}
	for _, b := range l.cfg.Sorted() {
		if b.Image == "" {
			l.fail(l.boards[b.Serial].at.errorf("board %s has no image", b.Serial))
		}
	}
}
