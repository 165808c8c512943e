// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"io/fs"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
)

// Lookup describes the file or directory that a names in v, the volume that it is in. A
// slash at the end of an address asks for a directory: beside fat.ErrNotDir it describes
// the file that is there instead. Other errors are those of v.Stat.
func Lookup(v *fat.FS, a addr.Addr) (fs.FileInfo, error) {
	fi, err := v.Stat(a.Name())
	if err == nil && a.Slash && !fi.IsDir() {
		err = fat.ErrNotDir
	}
	return fi, err
}

// OpenFile opens the file that a names in v. Errors are those of Lookup and of v.OpenFile,
// fat.ErrIsDir for a directory.
func OpenFile(v *fat.FS, a addr.Addr) (*fat.File, error) {
	if _, err := Lookup(v, a); err != nil {
		return nil, err
	}
	return v.OpenFile(a.Name())
}
