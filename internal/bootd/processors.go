// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import "runtime"

// crowd is a number of transfers that use several processors well.
const crowd = 16

// processors fits the processors that the process uses to its transfers. In the library a
// block passes from goroutine to goroutine, and as long as another processor idles each
// pass wakes a thread there that finds nothing to do: one client is served twice as fast
// by one processor as by two.
type processors struct {
	all  int // that there are for many transfers; 0 if the number is not to be changed
	many bool
}

func (p *processors) fit(transfers int) {
	switch {
	case p.all < 2:
	case !p.many && transfers > crowd:
		p.many = true
		runtime.GOMAXPROCS(p.all)
	case p.many && transfers <= crowd/2:
		p.many = false
		runtime.GOMAXPROCS(1)
	}
}
