// SPDX-License-Identifier: GPL-3.0-or-later

// Package config reads the configuration of nobodd-tftpd: nobodd.conf, the files it
// includes, and --board. It opens no images and no sockets.
package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Values of Config.Listen that are no address, and what counts where no file says otherwise.
const (
	Stdin   = "stdin"   // Config.Listen: the socket on descriptor 0, from inetd
	Systemd = "systemd" // Config.Listen: the socket that systemd passes

	defaultListen       = "::"
	defaultPort         = 69
	defaultMaxTransfers = 1000
)

// Config is a configuration: what is right in it, and what is wrong.
type Config struct {
	Listen       string    // an IP address, Stdin or Systemd
	Port         int       // UDP port; 0 for one that is free
	Ports        PortRange // that replies leave from; the zero PortRange for any that is free
	MaxTransfers int       // at a time
	MaxBlockSize int       // largest block in bytes, at least 8; 0 for no such bound

	Boards map[Serial]Board // those without a mistake; Default is one of them
	// LeftOut holds the boards that a mistake keeps out of Boards.
	LeftOut map[Serial]bool

	Mistakes []Mistake // in the order they were found
	Warnings []string  // of what was passed over
	Files    []string  // main files that were read
}

// PortRange is a range of UDP ports, both ends included.
type PortRange struct{ Low, High int }

// Board says what to serve to one Raspberry Pi.
type Board struct {
	Serial    Serial
	Image     string     // absolute path
	Partition int        // 0 to addr.MaxPart, or addr.Boot
	IP        netip.Addr // the only client served; the zero Addr for any. Never IPv4 mapped into IPv6
	// Prefix holds the words that may stand for the serial number at the beginning of a request: in
	// lower case, without slashes at their ends, with single ones inside.
	Prefix   []string
	Uncached Uncached

	whole uint64 // the serial number as it was written, if longer than Serial; else 0
}

// Uncached says whether an image is read past the page cache.
type Uncached int

const (
	UncachedAuto Uncached = iota // if it is a block device
	UncachedYes
	UncachedNo
)

// Scope says what a Mistake costs.
type Scope int

const (
	Everything Scope = iota // the configuration is not to be used
	OneBoard                // Mistake.Board is left out
	OneSection              // a section of no known board, or an included file, is left out
)

// Mistake is one thing that is wrong in the configuration. It is the error "FILE:LINE: cause".
type Mistake struct {
	File  string // or "--board"
	Line  int    // from 1; 0 for the file as a whole
	Text  string
	Scope Scope
	Board Serial // with OneBoard
}

func (m Mistake) Error() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// Sorted returns the boards in the order of their serial numbers, Default last.
func (c *Config) Sorted() []Board {
	boards := make([]Board, 0, len(c.Boards))
	for _, b := range c.Boards {
		boards = append(boards, b)
	}
	slices.SortFunc(boards, func(a, b Board) int { return cmp.Compare(a.Serial, b.Serial) })
	return boards
}

// Keep puts back those boards of old, the configuration before c, that a mistake keeps out of c. A
// word of their prefix that is another board's in c stays with that.
func (c *Config) Keep(old *Config) {
	taken := map[string]bool{}
	for _, b := range c.Boards {
		for _, word := range b.Prefix {
			taken[word] = true
		}
	}
	for serial := range c.LeftOut {
		b, ok := old.Boards[serial]
		if !ok {
			continue
		}
		b.Prefix = slices.DeleteFunc(slices.Clone(b.Prefix), func(word string) bool { return taken[word] })
		c.Boards[serial] = b
	}
}
