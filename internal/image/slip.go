// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"nobodd/internal/fat"
	"nobodd/internal/partition"
)

// IsDevice reports whether a block device is at path.
func IsDevice(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && isBlock(fi)
}

// IsDisk reports whether the regular file at path is a disk image, as HoldsDisk says. It takes
// no lock.
func IsDisk(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	fi, err := f.Stat()
	return err == nil && fi.Mode().IsRegular() && HoldsDisk(f, fi.Size())
}

// HoldsDisk reports whether the size bytes that r reads are a disk image: whether a partition
// table or a FAT file system is found there, be it damaged.
func HoldsDisk(r io.ReaderAt, size int64) bool {
	im := &Image{st: readOnly{r, size}, size: size, mode: Unlocked}
	_, err := im.readLayout()
	if k, ok := identify(im.st, im.size); ok && k == kernel {
		return false // of a PC, which begins with a boot sector
	}
	return err == nil || errors.Is(err, partition.ErrCorrupt) || errors.Is(err, fat.ErrCorrupt)
}

// readOnly is a Storage that is only read.
type readOnly struct {
	io.ReaderAt
	size int64
}

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }
func (readOnly) Sync() error                        { return nil }
func (r readOnly) Size() (int64, error)             { return r.size, nil }
func (readOnly) Close() error                       { return nil }

// ErrIsDevice returns the error for a destination on this machine for which IsDevice is true;
// text is what the user typed.
func ErrIsDevice(text string) error {
	return fmt.Errorf("is a block device, which is never written over; %s:/ is the root of its boot partition", text)
}

// ErrIsDisk returns the error for a destination on this machine for which IsDisk is true;
// text is what the user typed.
func ErrIsDisk(text string) error {
	return fmt.Errorf("is a disk image; %s:/ is the root of its boot partition "+
		"(to replace the image itself, remove it first)", text)
}
