// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"nobodd/internal/addr"
)

const minBlockSize = 8 // RFC 2348

var (
	errUnknownKey = errors.New("unknown key")
	errEmpty      = errors.New("no value")
)

// ParseBoards reads the values of --board, each SERIAL,IMAGE[,PART[,IP]]. A relative IMAGE is
// relative to the working directory, and the parts in brackets may be empty.
func ParseBoards(values []string) ([]Board, error) {
	var boards []Board
	whole := map[Serial]uint64{}
	for _, s := range values {
		b, err := parseBoard(s)
		if err != nil {
			return nil, err
		}
		if w := whole[b.Serial]; w != 0 && b.whole != 0 && w != b.whole {
			return nil, errors.New(sameBoard(w, b.whole, b.Serial))
		}
		whole[b.Serial] = max(whole[b.Serial], b.whole)
		boards = append(boards, b)
	}
	return boards, nil
}

func parseBoard(s string) (b Board, err error) {
	fields := strings.Split(s, ",")
	if len(fields) < 2 || len(fields) > 4 {
		return Board{}, fmt.Errorf("%q is not SERIAL,IMAGE[,PART[,IP]]", s)
	}
	fields = append(fields, "", "")
	dir, err := os.Getwd()
	if err != nil {
		return Board{}, err
	}
	b.Partition = addr.Boot
	if b.Serial, b.whole, err = parseSerial(fields[0]); err != nil {
		return Board{}, err
	}
	if b.Image, err = parsePath(fields[1], dir); err != nil {
		return Board{}, fmt.Errorf("%q: image: %w", s, err)
	}
	if fields[2] != "" {
		if b.Partition, err = parsePartition(fields[2]); err != nil {
			return Board{}, fmt.Errorf("%q: partition: %w", s, err)
		}
	}
	if fields[3] != "" {
		if b.IP, err = parseIP(fields[3]); err != nil {
			return Board{}, fmt.Errorf("%q: ip: %w", s, err)
		}
	}
	return b, nil
}

// ParseListen reads where to listen: an IP address, Stdin or Systemd.
func ParseListen(s string) (string, error) {
	if s == Stdin || s == Systemd {
		return s, nil
	}
	if _, err := netip.ParseAddr(s); err != nil {
		return "", fmt.Errorf("%q is neither an IP address nor stdin nor systemd", s)
	}
	return s, nil
}

// ParsePort reads a port: a number from 0 to 65535 or the name of a UDP service.
func ParsePort(s string) (int, error) {
	if isNumber(s) {
		if n, err := strconv.Atoi(s); err == nil && n <= 65535 {
			return n, nil
		}
		return 0, fmt.Errorf("%q is not a port from 0 to 65535", s)
	}
	if s == "tftp" { // known even where /etc/services is missing
		return defaultPort, nil
	}
	if n, err := net.LookupPort("udp", s); err == nil && s != "" {
		return n, nil
	}
	return 0, fmt.Errorf("%q is neither a port number nor a service", s)
}

// parsePorts reads LOW-HIGH.
func parsePorts(s string) (PortRange, error) {
	low, high, _ := strings.Cut(s, "-")
	l, err := parseNumber(strings.TrimSpace(low), 1, 65535)
	h, err2 := parseNumber(strings.TrimSpace(high), 1, 65535)
	if err != nil || err2 != nil || l > h {
		return PortRange{}, fmt.Errorf("%q is not LOW-HIGH, two ports from 1 to 65535", s)
	}
	return PortRange{l, h}, nil
}

func parseNumber(s string, low, high int) (int, error) {
	if n, err := strconv.Atoi(s); isNumber(s) && err == nil && n >= low && n <= high {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a number from %d to %d", s, low, high)
}

func parsePartition(s string) (int, error) {
	if n, err := strconv.Atoi(s); isNumber(s) && err == nil && n <= addr.MaxPart {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a partition number from 0 to %d", s, addr.MaxPart)
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func parseIP(s string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	}
	return ip.Unmap(), nil
}

func parseUncached(s string) (Uncached, error) {
	switch strings.ToLower(s) {
	case "auto":
		return UncachedAuto, nil
	case "yes":
		return UncachedYes, nil
	case "no":
		return UncachedNo, nil
	}
	return 0, fmt.Errorf("%q is not auto, yes or no", s)
}

// parsePrefix reads words that white space or commas separate.
func parsePrefix(s string) ([]string, error) {
	var words []string
	for _, field := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		word, err := parseWord(field)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return nil, errEmpty
	}
	return words, nil
}

// parseWord reads a word of a prefix as Board.Prefix holds it. A MAC address with colons is what a bootloader
// sends with dashes.
func parseWord(s string) (string, error) {
	word := strings.ToLower(strings.Trim(path.Clean(s), "/"))
	if dashed := strings.ReplaceAll(word, ":", "-"); IsMAC(dashed) {
		return dashed, nil
	}
	dots := func(element string) bool { return element == "." || element == ".." }
	if word == "" || slices.ContainsFunc(strings.Split(s, "/"), dots) {
		return "", fmt.Errorf("%q is no beginning of a path", s)
	}
	return word, nil
}

// parsePath makes an absolute path of s, which may be relative to dir or begin with ~
// or ~USER.
func parsePath(s, dir string) (string, error) {
	if s == "" {
		return "", errEmpty
	}
	if s[0] == '~' {
		return parseHome(s)
	}
	if !filepath.IsAbs(s) {
		s = dir + "/" + s // not cleaned: what is left of .. may be a symbolic link
	}
	return s, nil
}

func parseHome(s string) (string, error) {
	name, rest, _ := strings.Cut(s[1:], "/")
	if name == "" {
		home, err := os.UserHomeDir()
		return filepath.Join(home, rest), err
	}
	u, err := user.Lookup(name)
	if err != nil {
		return "", fmt.Errorf("%q: no user %s", s, name)
	}
	return filepath.Join(u.HomeDir, rest), nil
}
