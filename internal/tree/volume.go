// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

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
	var err error
	if opt.Now, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	tx, err := v.FS.Begin(opt)
	if errors.Is(err, fat.ErrInUse) {
		err = errInUse
	}
	return tx, err
}

// sourceDate is the time to stamp on what is written, by the value of SOURCE_DATE_EPOCH, with which builds make the
// same image each time, as mtools and mkfs.fat do; zero, which is the time of writing, if that is empty.
func sourceDate(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseUint(epoch, 10, 40) // no year that a time.Time cannot hold
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is no number of seconds since 1970", epoch)
	}
	return time.Unix(int64(n), 0), nil
}
