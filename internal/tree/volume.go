// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode"

	"nobodd/internal/fat"
)

// volume is a FAT volume as a Tree.
type volume struct {
	*fat.FS
	key string // of the root directory
}

// stored gives name as the volume spells it.
func (v *volume) stored(name string) (string, error) {
	if name == "." {
		return name, nil
	}
	dir, err := v.stored(path.Dir(name))
	if err != nil {
		return "", err
	}
	fi, err := v.Stat(name)
	if err != nil {
		return "", err
	}
	return path.Join(dir, fi.Name()), nil
}

func (v *volume) Open(name string) (io.ReadCloser, error) { return v.OpenFile(name) }
func (v *volume) Join(dir, base string) string            { return path.Join(dir, base) }

func (v *volume) Key(name string) (string, error) {
	stored, err := v.stored(name)
	if err != nil || stored == "." {
		return v.key, err
	}
	return v.key + "/" + fold(stored), nil
}

func (v *volume) ChildKey(dir, base string, fi fs.FileInfo) string {
	if fi != nil {
		base = fi.Name()
	}
	return dir + "/" + fold(base)
}

// fold gives the same for names that FAT does not tell apart.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

func (v *volume) Above(name string) (map[string]bool, error) {
	key, err := v.Key(name)
	if err != nil {
		return nil, err
	}
	above := map[string]bool{v.key: true}
	for key != v.key {
		above[key] = true
		key = key[:strings.LastIndexByte(key, '/')]
	}
	return above, nil
}

func (v *volume) Begin(opt fat.TxOptions) (Tx, error) {
	tx, err := v.begin(opt)
	if err != nil {
		return nil, err
	}
	return tx, nil
}

func (v *volume) begin(opt fat.TxOptions) (*fat.Tx, error) {
	tx, err := v.FS.Begin(opt)
	if errors.Is(err, fat.ErrInUse) {
		err = errInUse
	}
	return tx, err
}
