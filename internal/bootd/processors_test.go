// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"runtime"
	"testing"
)

func TestProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := processors{all: 3}
	for _, step := range []struct{ transfers, want int }{
		{1, 1}, {crowd, 1}, {crowd + 1, 3}, {crowd, 3}, {crowd/2 + 1, 3}, {crowd / 2, 1}, {crowd, 1}, {0, 1},
	} {
		p.fit(step.transfers)
		if got := runtime.GOMAXPROCS(0); got != step.want {
			t.Errorf("with %d transfers: %d processors, want %d", step.transfers, got, step.want)
		}
	}
	var unset processors
	unset.fit(crowd + 1)
	if got := runtime.GOMAXPROCS(0); got != 1 {
		t.Errorf("not asked for: %d processors, want 1", got)
	}
}
