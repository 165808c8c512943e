// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io/fs"
	"strconv"

	"nobodd/internal/fat"
)

// volume is a FAT volume as a Tree.
type volume struct {
	*fat.FS
	num int // of its partition
	key string
}

// Key is made of where the entry stands in the volume: no two have one in the same place.
func (v *volume) Key(dir, base string, fi fs.FileInfo) string {
	if fi == nil {
		return dir + "/" + fat.Fold(base)
	}
	return v.key + "@" + strconv.FormatInt(fi.Sys().(*fat.Entry).Off, 10)
}

func (v *volume) Begin(opt fat.TxOptions) (Tx, error) {
	tx, err := v.begin(opt)
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// begin starts a transaction that can remove too.
func (v *volume) begin(opt fat.TxOptions) (*fat.Tx, error) {
	tx, err := v.FS.Begin(opt)
	if errors.Is(err, fat.ErrInUse) {
		err = errInUse
	}
	return tx, err
}
