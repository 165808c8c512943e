// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"nobodd/internal/pi"
	"nobodd/internal/tool"
)

// slow are the formats that take long to unpack here.
var slow = []string{"xz", "lzma", "bzip2"}

// sayIfSlow returns what says, once, on a terminal and after a second, why it takes so long to read
// the initramfs of an image.
func sayIfSlow(c *cli.Context, address string) func(pi.Progress) {
	if c.Bool("quiet") || !tool.IsTerminal(os.Stderr) {
		return nil
	}
	start, said := time.Now(), false
	return func(p pi.Progress) {
		if said || time.Since(start) < time.Second || !slices.Contains(slow, p.Format) {
			return
		}
		said = true
		tool.Note(c,
			"%s: its initramfs is packed with %s, which takes a while to unpack; --no-initramfs leaves it out",
			address, p.Format)
	}
}
