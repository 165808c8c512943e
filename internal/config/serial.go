// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Serial names a board: what a bootloader sends of its serial number, the low 32 bits, or Default.
type Serial uint64

// Default stands for the section [board:default]: what boards get that have no section of their own.
const Default Serial = 1 << 32

const defaultName = "default"

// String returns the 8 lower-case digits that a bootloader sends, or "default".
func (s Serial) String() string {
	if s == Default {
		return defaultName
	}
	return fmt.Sprintf("%08x", uint32(s))
}

// ParseSerial reads a serial number as /proc/cpuinfo or a bootloader prints it: 1 to 16
// hexadecimal digits in any case, of which the last 8 count.
func ParseSerial(s string) (Serial, error) {
	serial, _, err := parseSerial(s)
	return serial, err
}

// parseSerial is ParseSerial; whole is the number with all its bits if it has more than count, else 0.
func parseSerial(s string) (serial Serial, whole uint64, err error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) > 16 {
		return 0, 0, fmt.Errorf("%q is no serial number (1 to 16 hexadecimal digits)", s)
	}
	serial = Serial(uint32(n))
	if n == uint64(serial) {
		return serial, 0, nil
	}
	return serial, n, nil
}

// parseSection reads what follows the colon in [board:SERIAL].
func parseSection(s string) (serial Serial, whole uint64, err error) {
	if s == defaultName {
		return Default, 0, nil
	}
	return parseSerial(s)
}

// IsMAC reports whether s looks like a MAC address as a bootloader sends it: dc-a6-32-01-02-03, in any case.
func IsMAC(s string) bool {
	mac, err := net.ParseMAC(s)
	return err == nil && len(mac) == 6 && strings.Count(s, "-") == 5
}
