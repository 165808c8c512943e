// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"encoding/binary"
	"fmt"
	"io"
)

// counter counts the bytes that are read from r.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// cutShort returns what is wrong with a kernel of have bytes that begins with head but does not
// reach as far as that says, "" if it does. A firmware starts such a kernel, which then hangs.
func cutShort(head []byte, have int64) string {
	want := max(zImageLength(head), peLength(head))
	if have >= want || have >= maxKernel {
		return ""
	}
	return fmt.Sprintf("cut short: it has %d bytes, and needs %d", have, want)
}

// zImageLength returns the length in the header of a zImage, 0 if it is none. Source: Linux,
// arch/arm/boot/compressed/head.S: 0x24 magic, 0x28 start, 0x2c end.
func zImageLength(head []byte) int64 {
	if len(head) < 0x30 || binary.LittleEndian.Uint32(head[0x24:]) != 0x016f2818 {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(head[0x2c:])) - int64(binary.LittleEndian.Uint32(head[0x28:]))
}

// peLength returns where the last section of an arm64 Image ends that is an EFI program, too; 0 of one
// that is not: the size in its own header counts memory that no file holds. Source: Linux,
// arch/arm64/kernel/efi-header.S; Microsoft PE format, "COFF File Header" and "Section Table".
func peLength(head []byte) int64 {
	if len(head) < 64 || string(head[:2]) != "MZ" {
		return 0
	}
	pe := int(binary.LittleEndian.Uint32(head[60:])) // past head where it is beyond 32 bits
	if pe < 0 || pe > len(head)-24 || string(head[pe:pe+4]) != "PE\x00\x00" {
		return 0
	}
	sections := int(binary.LittleEndian.Uint16(head[pe+6:]))
	section := pe + 24 + int(binary.LittleEndian.Uint16(head[pe+20:]))
	length := int64(0)
	for ; sections > 0 && section+40 <= len(head); sections-- {
		size, start := binary.LittleEndian.Uint32(head[section+16:]), binary.LittleEndian.Uint32(head[section+20:])
		length = max(length, int64(start)+int64(size))
		section += 40
	}
	return length
}
