// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"nobodd/internal/addr"
)

var (
	errUnknownKey = errors.New("unknown key")
	errEmpty      = errors.New("no value")
)

// Serial is what a bootloader sends of its board's serial number: the low 32 bits.
type Serial uint32

// String gives the 8 lower-case digits that a bootloader sends.
func (s Serial) String() string { return fmt.Sprintf("%08x", uint32(s)) }

// ParseSerial reads a serial number as /proc/cpuinfo or a bootloader prints it: 1 to 16
// hexadecimal digits in any case, of which the last 8 count.
func ParseSerial(s string) (Serial, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) > 16 {
		return 0, fmt.Errorf("%q is no serial number (1 to 16 hexadecimal digits)", s)
	}
	return Serial(n), nil
}

// ParseBoard reads SERIAL,IMAGE[,PART[,IP]], the value of --board. A relative IMAGE is
// relative to the working directory, and the parts in brackets may be empty.
func ParseBoard(s string) (Board, error) {
	fields := strings.Split(s, ",")
	if len(fields) < 2 || len(fields) > 4 {
		return Board{}, fmt.Errorf("%q is not SERIAL,IMAGE[,PART[,IP]]", s)
	}
	fields = append(fields, "", "")
	dir, err := os.Getwd()
	if err != nil {
		return Board{}, err
	}
	b := Board{Partition: addr.Boot}
	if b.Serial, err = ParseSerial(fields[0]); err != nil {
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

func parseMaxTransfers(s string) (int, error) {
	const most = 1 << 20
	if n, err := strconv.Atoi(s); isNumber(s) && err == nil && n >= 1 && n <= most {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a number from 1 to %d", s, most)
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
