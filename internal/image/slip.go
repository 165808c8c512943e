// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"os"

	"nobodd/internal/fat"
	"nobodd/internal/partition"
)

// IsDevice reports whether a block device is at path.
func IsDevice(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && isBlock(fi)
}

// IsDisk reports whether the regular file at path is a disk image: one in which a partition
// table or a FAT file system is found, be it damaged. It takes no lock.
func IsDisk(path string) bool {
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
		return false
	}
	im, err := Open(path, Unlocked, nil)
	if err != nil {
		return false
	}
	defer im.Close()
	_, err = im.readLayout()
	if k, ok := identify(im.st, im.size); ok && k == kernel {
		return false // of a PC, which begins with a boot sector
	}
	return err == nil || errors.Is(err, partition.ErrCorrupt) || errors.Is(err, fat.ErrCorrupt)
}

// ErrIsDevice is the error for a destination on this machine for which IsDevice is true.
var ErrIsDevice = errors.New("is a block device")

// ErrIsDisk returns the error for a destination on this machine for which IsDisk is true;
// text is what the user typed.
func ErrIsDisk(text string) error {
	return fmt.Errorf("is a disk image; %s:/ is the root of its boot partition "+
		"(to replace the image itself, remove it first)", text)
}
