// SPDX-License-Identifier: GPL-3.0-or-later

package addr_test

import (
	"fmt"

	"nobodd/internal/addr"
)

func ExampleParse() {
	look := func(path string) (exists, isFile bool) { return path == "jammy.img", path == "jammy.img" }
	for _, text := range []string{"jammy.img:p1:overlays", "jammy.img:/overlays/../cmdline.txt", "cmdline.txt"} {
		a, err := addr.Parse(text, look)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(a, a.Kind == addr.Inside)
	}
	// Output:
	// jammy.img:p1:overlays: a path inside an image begins with /: jammy.img:1:/overlays
	// jammy.img:/cmdline.txt true
	// cmdline.txt false
}
