// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrCorrupt is matched by every error that reports damage of the volume.
	ErrCorrupt = errors.New("damaged file system")
	// ErrNotFAT says that the bytes are no FAT file system at all.
	ErrNotFAT = errors.New("no FAT file system")
	// ErrInUse says that the dirty flag is set: the volume may be mounted by a running board.
	ErrInUse = errors.New("file system is in use (or was not unmounted)")
	// errName is matched by every error about a name that FAT cannot hold.
	errName = errors.New("invalid name")
	// ErrIsDir says that a file was wanted and a directory is there.
	ErrIsDir = errors.New("is a directory")
	// ErrNotDir says that a directory was wanted and a file is there.
	ErrNotDir = errors.New("not a directory")
	// errNotEmpty says that a directory to be removed holds something.
	errNotEmpty = errors.New("directory not empty")
)

// errNotExist prints what the C library prints, and is fs.ErrNotExist.
var errNotExist error = &causeError{"no such file or directory", fs.ErrNotExist}

// causeError is an error of its own text that matches another.
type causeError struct {
	text string
	is   error
}

func (e *causeError) Error() string { return e.text }
func (e *causeError) Unwrap() error { return e.is }

// CorruptError says where a volume is damaged and how. It matches ErrCorrupt.
type CorruptError struct {
	Off int64 // byte of the volume that holds the bad value
	Msg string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: %s (byte %d of the volume)", ErrCorrupt, e.Msg, e.Off)
}

// Is makes every CorruptError match ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func corruptf(off int64, format string, args ...any) error {
	return &CorruptError{off, fmt.Sprintf(format, args...)}
}

func pathErr(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
