// SPDX-License-Identifier: GPL-3.0-or-later

package addr

// Error is the failure of one operand: "ADDRESS: cause". It is made where the operand is
// known, once.
type Error struct {
	Text string // the operand as the user typed it, or what is below it
	Err  error  // the cause, without operation and path
}

func (e *Error) Error() string { return e.Text + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }
