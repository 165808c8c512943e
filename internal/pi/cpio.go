// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The types of a file in cpioHeader.mode.
const (
	modeType    = 0o170000
	modeDir     = 0o040000
	modeRegular = 0o100000
	modeLink    = 0o120000
)

const (
	cpioHeaderSize = 110  // 6 of magic, 13 fields of 8 hexadecimal digits
	cpioMaxName    = 4096 // PATH_MAX: the kernel passes over entries with longer names
	cpioTrailer    = "TRAILER!!!"
)

// errShort: the archive goes on where the data ends.
var errShort = errors.New("ends early; it was cut, or did not fit where it was copied to")

// cpioHeader is one entry of a cpio archive of the format newc or crc.
type cpioHeader struct {
	crc      bool // check is the sum of the bytes of the file
	inode    inode
	mode     uint32
	links    uint32
	size     int64 // bytes
	nameSize int64 // with the NUL at its end
	check    uint32
	name     string // "" if it is longer than the kernel reads
}

// inode identifies a file within one archive: entries that share it are hard links.
type inode struct{ ino, major, minor uint32 }

// parseCPIO returns the fields of a header. Source: Linux, buffer-format.rst, "cpio_header".
func parseCPIO(b *[cpioHeaderSize]byte) (cpioHeader, error) {
	var h cpioHeader
	switch string(b[:6]) {
	case "070701":
	case "070702":
		h.crc = true
	case "070707":
		return h, errors.New("cpio's old format, which kernels do not read; cpio -H newc makes the right one")
	default:
		return h, fmt.Errorf("no cpio header, but %q", b[:6])
	}
	var field [13]uint32
	for i := range field {
		text := b[6+8*i : 14+8*i]
		n, err := strconv.ParseUint(string(text), 16, 32)
		if err != nil {
			return h, fmt.Errorf("a cpio header with %q for a number", text)
		}
		field[i] = uint32(n)
	}
	h.inode = inode{field[0], field[7], field[8]}
	h.mode, h.links = field[1], field[4]
	h.size, h.nameSize, h.check = int64(field[6]), int64(field[11]), field[12]
	return h, nil
}

// readCPIO reads the header and the name of the next entry, up to its data.
func readCPIO(in *input) (cpioHeader, error) {
	var b [cpioHeaderSize]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return cpioHeader{}, short(err)
	}
	h, err := parseCPIO(&b)
	if err != nil {
		return h, err
	}
	if h.nameSize < 1 || h.nameSize > cpioMaxName {
		return h, in.skip(h.nameSize + pad4(cpioHeaderSize+h.nameSize))
	}
	name := make([]byte, h.nameSize)
	if _, err := io.ReadFull(in, name); err != nil {
		return h, short(err)
	}
	if name[len(name)-1] != 0 {
		return h, fmt.Errorf("a name without its end: %q", name[:min(len(name), 40)])
	}
	h.name = string(name[:bytes.IndexByte(name, 0)])
	return h, in.skip(pad4(cpioHeaderSize + h.nameSize))
}

// pad4 returns how many bytes follow n to make it a multiple of four.
func pad4(n int64) int64 { return -n & 3 }

// short returns err, or errShort if it says that the data ended.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errShort
	}
	return err
}
