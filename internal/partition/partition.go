// SPDX-License-Identifier: GPL-3.0-or-later

// Package partition reads and writes partition tables, MBR and GPT. It knows
// bytes alone: no files, no file systems.
package partition

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

var le = binary.LittleEndian

// Scheme is the kind of a partition table.
type Scheme int

// The schemes that are known.
const (
	MBR Scheme = iota + 1
	GPT
)

// String returns the name of the scheme.
func (s Scheme) String() string {
	switch s {
	case MBR:
		return "MBR"
	case GPT:
		return "GPT"
	}
	return "none"
}

// Partition is one entry of a table.
type Partition struct {
	Num   int    // as Linux numbers it: 1 to 4 primary, from 5 logical, GPT entry index + 1
	Start int64  // in bytes from the start of the disk
	Size  int64  // in bytes
	Type  string // MBR: two lower-case hex digits; GPT: type GUID, upper case with dashes
	Name  string // GPT partition name, "" for MBR
}

// End returns the first byte after the partition.
func (p Partition) End() int64 { return p.Start + p.Size }

// HoldsSystem reports whether a partition of this type can hold an operating system's
// root: its type is not empty, swap, BIOS boot, Microsoft reserved or one meant for FAT.
func (p Partition) HoldsSystem() bool { return !noSystem[p.Type] }

// noSystem are the types that no root file system has. Extended partitions are
// no entries of a Table.
var noSystem = map[string]bool{
	"00": true,
	"82": true, // Linux swap
	"01": true, "04": true, "06": true, "0b": true, "0c": true, "0e": true,
	"11": true, "14": true, "16": true, "1b": true, "1c": true, "1e": true, // hidden FAT
	"ef": true, // EFI system partition

	"C12A7328-F81F-11D2-BA4B-00A0C93EC93B": true, // EFI system partition
	"EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": true, // basic data: the type of a FAT partition
	"21686148-6449-6E6F-744E-656564454649": true, // BIOS boot
	"0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": true, // Linux swap
	"E3C9E316-0B5C-4DB8-817D-F92DF00215AE": true, // Microsoft reserved: never holds a file system
}

// Table is a partition table as read from a disk.
type Table struct {
	Scheme     Scheme
	SectorSize int64       // in bytes; of a GPT 512 or 4096
	Partitions []Partition // in the order of their numbers
	FromBackup bool        // GPT: the primary header or table was damaged
	Damage     error       // a *CorruptError if entries are missing because they are damaged

	primaries []mbrPlace // MBR: where the entries are, extended ones included
	logicals  []mbrPlace
	gpt       *gpt // GPT: the header and array that Partitions were read from
}

// ErrNoTable says that the disk has no partition table.
var ErrNoTable = errors.New("no partition table")

// ErrCorrupt is matched by every error that reports damage of a table.
var ErrCorrupt = errors.New("damaged partition table")

// CorruptError is damage of a table. It matches ErrCorrupt.
type CorruptError struct {
	Off int64 // in bytes from the start of the disk: where the damaged structure is
	Msg string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: %s (at byte %d)", ErrCorrupt, e.Msg, e.Off)
}

// Is makes the error match ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func corrupt(off int64, format string, args ...any) error {
	return &CorruptError{off, fmt.Sprintf(format, args...)}
}

// Read reads the table of d, which is size bytes long. An MBR does not say which
// sector size it counts in; Read takes 512, ReadUnit lets the caller choose.
//
// A GPT is what a protective or hybrid MBR (an entry of type ee) announces; its
// backup is used if the primary is damaged, and FromBackup is then set. Partitions may
// overlap and may end past the end of the disk. A disk with the signature of an MBR
// and no used entry has an empty table: it may be a bare file system.
//
// Errors: ErrNoTable; *CorruptError if nothing can be read of a table that is there
// (less damage is in Table.Damage); else the error of d. Read never writes.
// Spec: UEFI 2.10, 5.2.1 (MBR) and 5.3 (GPT).
func Read(d io.ReaderAt, size int64) (*Table, error) { return ReadUnit(d, size, 512) }

// ReadUnit is Read for a disk whose MBR, if it has a real one, counts in sectors of
// unit bytes. A GPT is found with sectors of 512 and 4096 bytes whatever unit is.
func ReadUnit(d io.ReaderAt, size, unit int64) (*Table, error) {
	if size < 512 {
		return nil, ErrNoTable
	}
	sector, err := readAt(d, 0, 512)
	if err != nil {
		return nil, err
	}
	mbr := bootRecord(sector)
	if !mbr.signed() {
		return nil, ErrNoTable
	}
	if mbr.announcesGPT() {
		t, err := findGPT(d, size)
		if err == nil || mbr.plausible() {
			return t, err
		}
	}
	if !mbr.plausible() {
		return nil, ErrNoTable
	}
	return readMBR(d, size, unit, mbr)
}

// Find returns the partition with number num.
func (t *Table) Find(num int) (Partition, bool) {
	for _, p := range t.Partitions {
		if p.Num == num {
			return p, true
		}
	}
	return Partition{}, false
}

// MaxNamed is how many partitions an error names.
const MaxNamed = 20

// Missing returns the error for partition num, which the table does not have.
func (t *Table) Missing(num int) error {
	var nums []string
	for i, p := range t.Partitions {
		if i == MaxNamed {
			nums = append(nums, "...")
			break
		}
		nums = append(nums, strconv.Itoa(p.Num))
	}
	return fmt.Errorf("no partition %d (the image has %s)", num, cmp.Or(strings.Join(nums, ", "), "none"))
}

// readAt reads n bytes at off. A short read is io.ErrUnexpectedEOF.
func readAt(d io.ReaderAt, off, n int64) ([]byte, error) {
	buf := make([]byte, n)
	got, err := d.ReadAt(buf, off)
	if int64(got) == n {
		return buf, nil
	}
	if err == io.EOF || err == nil {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}
