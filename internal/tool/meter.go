// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"fmt"
	"io"
	"time"

	"nobodd/internal/text"
)

// meter shows on a terminal how far long work is, once it has taken a second.
type meter struct {
	w     io.Writer
	now   func() time.Time
	start time.Time
	next  time.Time // when to print
	total int64     // bytes there are to be done; 0 if nobody knows
	done  int64
	shown bool
}

const (
	meterPatience = time.Second
	meterStep     = 200 * time.Millisecond
)

func newMeter(w io.Writer, total int64, now func() time.Time) *meter {
	start := now()
	return &meter{w: w, now: now, start: start, next: start.Add(meterPatience), total: total}
}

// add notes that n more bytes are done.
func (m *meter) add(n int64) {
	m.done += n
	now := m.now()
	if now.Before(m.next) {
		return
	}
	m.next = now.Add(meterStep)
	m.shown = true
	fmt.Fprintf(m.w, "\r%s\x1b[K", m.line(now.Sub(m.start)))
}

// line is what there is to say after some time: "45MiB of 90MiB (50%), 15MiB/s, 3s left".
func (m *meter) line(took time.Duration) string {
	rate := float64(m.done) / took.Seconds()
	speed := text.Size(int64(rate)) + "/s"
	if m.total == 0 {
		return fmt.Sprintf("%s, %s", text.Size(m.done), speed)
	}
	line := fmt.Sprintf("%s of %s (%d%%), %s", text.Size(m.done), text.Size(m.total), m.done*100/m.total, speed)
	if left := m.total - m.done; left > 0 && rate >= 1 {
		wait := time.Duration(float64(left) / rate * float64(time.Second))
		line += fmt.Sprintf(", %v left", wait.Round(time.Second))
	}
	return line
}

// end takes the line off the terminal.
func (m *meter) end() {
	if m.shown {
		io.WriteString(m.w, "\r\x1b[K")
	}
}
