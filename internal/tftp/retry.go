// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import "time"

const (
	patience    = 700 * time.Millisecond // for an answer; a Pi 3 gives up after about a second
	maxSends    = 6                      // of one packet or window
	firstAnswer = 30 * time.Second       // the most that a client's own timeout may make us wait for a sign of life
)

// retry says when what was sent is to be sent again, and when to give up. Until the client has
// acknowledged something it may be a board that waits a second and no more; after that it may be
// one that a switch or its own flash memory keeps silent for a while.
type retry struct {
	timeout  time.Duration // negotiated; 0 if it was not
	answered bool          // the client has acknowledged something
	sends    int           // copies so far
	began    time.Time     // when the first of them was sent
	deadline time.Time     // for an answer to the last one
}

// begin starts with the first copy, sent now.
func (r *retry) begin(now time.Time) {
	r.sends, r.began = 1, now
	r.restart(now)
}

// repeat counts another copy, sent now. It reports whether there may be one.
func (r *retry) repeat(now time.Time) bool {
	if r.sends == maxSends || r.limited() && !now.Before(r.began.Add(firstAnswer)) {
		return false
	}
	r.sends++
	r.restart(now)
	return true
}

// restart waits for an answer from now on as long as after the last copy.
func (r *retry) restart(now time.Time) {
	wait := patience
	switch {
	case r.timeout > 0:
		wait = r.timeout
	case r.answered:
		wait <<= r.sends - 1
	}
	r.deadline = now.Add(wait)
	if limit := r.began.Add(firstAnswer); r.limited() && limit.Before(r.deadline) {
		r.deadline = limit
	}
}

func (r *retry) limited() bool { return r.timeout > 0 && !r.answered }
