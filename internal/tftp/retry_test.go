// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"fmt"
	"testing"
	"time"
)

// TestRetry: when copies are sent, and when the transfer is given up, in seconds after the first.
func TestRetry(t *testing.T) {
	for _, tt := range []struct {
		name     string
		timeout  time.Duration
		answered bool
		want     string
	}{
		{"no sign of life", 0, false, "0 0.7 1.4 2.1 2.8 3.5, given up 4.2"},
		{"a client that answered before", 0, true, "0 0.7 2.1 4.9 10.5 21.7, given up 44.1"},
		{"negotiated", time.Second, true, "0 1 2 3 4 5, given up 6"},
		{"negotiated, no sign of life", time.Second, false, "0 1 2 3 4 5, given up 6"},
		{"long", 10 * time.Second, true, "0 10 20 30 40 50, given up 60"},
		{"long, no sign of life", 10 * time.Second, false, "0 10 20, given up 30"},
		{"30 s at the latest", 12 * time.Second, false, "0 12 24, given up 30"},
		{"the longest", 255 * time.Second, false, "0, given up 30"},
		{"the longest, answered", 255 * time.Second, true, "0 255 510 765 1020 1275, given up 1530"},
		{"the shortest", 10 * time.Millisecond, true, "0 0.01 0.02 0.03 0.04 0.05, given up 0.06"},
	} {
		start := time.Unix(1e9, 0)
		r := retry{timeout: tt.timeout, answered: tt.answered}
		r.begin(start)
		got := "0"
		for now := r.deadline; r.repeat(now); now = r.deadline {
			got += fmt.Sprintf(" %v", now.Sub(start).Seconds())
		}
		got += fmt.Sprintf(", given up %v", r.deadline.Sub(start).Seconds())
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestRetryRestart: a window that is sent again at the client's wish counts as no copy, and has all
// of its time.
func TestRetryRestart(t *testing.T) {
	start := time.Unix(1e9, 0)
	r := retry{answered: true}
	r.begin(start)
	r.repeat(r.deadline)
	now := r.deadline.Add(-time.Millisecond)
	r.restart(now)
	if r.sends != 2 || r.deadline != now.Add(1400*time.Millisecond) {
		t.Errorf("%d copies, the deadline is %v after", r.sends, r.deadline.Sub(now))
	}
}
