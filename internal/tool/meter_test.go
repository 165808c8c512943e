// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"strings"
	"testing"
	"time"
)

// TestMeter: nothing in the first second, then a line that takes the place of the one before at most
// five times a second, and nothing is left of it at the end.
func TestMeter(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	m := newMeter(&out, 100<<20, func() time.Time { return clock })
	for range 9 { // a tenth of a second each
		clock = clock.Add(100 * time.Millisecond)
		m.add(1 << 20)
	}
	if out.Len() > 0 {
		t.Errorf("within a second: %q", out.String())
	}
	clock = clock.Add(100 * time.Millisecond)
	m.add(1 << 20)
	clock = clock.Add(100 * time.Millisecond)
	m.add(1 << 20)
	clock = clock.Add(900 * time.Millisecond)
	m.add(39 << 20)
	clock = clock.Add(2 * time.Second)
	m.add(50 << 20)
	m.end()
	const want = "\r10MiB of 100MiB (10%), 10MiB/s, 9s left\x1b[K" +
		"\r50MiB of 100MiB (50%), 25MiB/s, 2s left\x1b[K" +
		"\r100MiB of 100MiB (100%), 25MiB/s\x1b[K" +
		"\r\x1b[K"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestMeterOfUnknownSize(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	m := newMeter(&out, 0, func() time.Time { return clock })
	clock = clock.Add(4 * time.Second)
	m.add(8 << 20)
	if want := "\r8.0MiB, 2.0MiB/s\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestMeterOfShortWork: it never shows, and has nothing to take off the terminal.
func TestMeterOfShortWork(t *testing.T) {
	var out strings.Builder
	m := newMeter(&out, 10, time.Now)
	m.add(10)
	m.end()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
