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
	_, ok := diskAt(path)
	return ok
}

// diskAt is diskKind of the regular file at path.
func diskAt(path string) (k kind, ok bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return k, false
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return k, false
	}
	return diskKind(f, fi.Size())
}

// HoldsDisk reports whether the size bytes that r reads are a disk image: whether a partition
// table or a FAT file system is found there, be it damaged, or they are a disk in another format,
// qcow2 say.
func HoldsDisk(r io.ReaderAt, size int64) bool {
	_, ok := diskKind(r, size)
	return ok
}

// diskKind reports whether what r reads is a disk image. k is the other format that it is in, if it is.
func diskKind(r io.ReaderAt, size int64) (k kind, ok bool) {
	im := &Image{st: readOnly{r, size}, size: size, mode: Unlocked}
	_, err := im.readLayout()
	switch k, known := identify(im.st, im.size); {
	case known && k == kernel:
		return kind{}, false // of a PC, which begins with a boot sector
	case known && k.isDisk():
		return k, true
	}
	return kind{}, err == nil || errors.Is(err, partition.ErrCorrupt) || errors.Is(err, fat.ErrCorrupt)
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

// ErrIsDisk returns the error for a destination on this machine, the file at path, for which
// IsDisk is true; text is what the user typed.
func ErrIsDisk(path, text string) error {
	if k, _ := diskAt(path); k.name != "" {
		return fmt.Errorf("is %s (to replace it, remove it first)", k.name)
	}
	return fmt.Errorf("is a disk image; %s:/ is the root of its boot partition "+
		"(to replace the image itself, remove it first)", text)
}
