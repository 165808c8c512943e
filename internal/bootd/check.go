// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"errors"
	"fmt"
	"io"

	"nobodd/internal/config"
	"nobodd/internal/image"
)

// Check opens each board's image and prints a line a board on w: its serial number, the
// address of its boot partition, the size and kind of that. The error joins one for each
// board that cannot be served.
func Check(w io.Writer, cfg *config.Config) error {
	var errs []error
	for _, b := range cfg.Sorted() {
		line, err := check(b)
		if err == nil {
			_, err = fmt.Fprintln(w, line)
		} else {
			err = fmt.Errorf("board %s: %s: %w", b.Serial, b.Image, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func check(b config.Board) (string, error) {
	im, err := image.Open(b.Image, image.Unlocked, nil)
	if err != nil {
		return "", err
	}
	defer im.Close()
	vol, num, err := im.Volume(b.Partition)
	if err != nil {
		return "", err
	}
	if _, err := vol.ReadDir("."); err != nil {
		return "", err
	}
	only := ""
	if b.IP.IsValid() {
		only = " for " + b.IP.String() + " only"
	}
	return fmt.Sprintf("%s: %s:%d: %s fat%d%s", b.Serial, b.Image, num, partitionSize(im, num), vol.Width(), only), nil
}

// partitionSize gives the size of partition num.
func partitionSize(im *image.Image, num int) string {
	parts, _ := im.Partitions() // what is wrong with others is not asked
	for _, p := range parts {
		if p.Num == num {
			return size(p.Size)
		}
	}
	return "-"
}
