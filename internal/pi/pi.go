// SPDX-License-Identifier: GPL-3.0-or-later

// Package pi knows what the firmware of a Raspberry Pi does with a boot partition when the
// board boots over the network: which files each model loads, what config.txt makes of
// that, what kernels it can start, and what a kernel and its initramfs then need to find
// their root on an NBD server. It reads an fs.FS and knows nothing of images or networks.
// Every rule it goes by stands in one table with its source (rules.go).
package pi

import "fmt"

// Status is the outcome of one check.
type Status int

// The outcomes. Of these only Fail keeps a board from booting.
const (
	OK Status = iota
	Info
	Warn
	Fail
)

// String returns the status as it is printed; a failure is loud.
func (s Status) String() string {
	return [...]string{"ok", "info", "warn", "FAIL"}[s]
}

// Finding is what one check found.
type Finding struct {
	Status Status
	Check  string   // what was checked, one word: kernel, initramfs, ...
	Text   string   // what was found, one line
	Do     []string // what to do about it, a line each
	Rule   RuleID   // the rule that it goes by, "" where it needs none
	Detail bool     // of use only to who wants to see all that was passed over
}

// Report is all that was found for one model, in the order in which the board meets it.
type Report struct {
	Model    *Model
	Findings []Finding
}

// add appends a finding and returns it, so that a rule or advice can be set.
func (r *Report) add(s Status, check, format string, args ...any) *Finding {
	r.Findings = append(r.Findings, Finding{Status: s, Check: check, Text: fmt.Sprintf(format, args...)})
	return &r.Findings[len(r.Findings)-1]
}

// by sets the rule that a finding goes by.
func (f *Finding) by(id RuleID) *Finding {
	f.Rule = id
	return f
}

// do adds a line of advice.
func (f *Finding) do(format string, args ...any) *Finding {
	f.Do = append(f.Do, fmt.Sprintf(format, args...))
	return f
}

// Boots reports whether no check failed.
func (r *Report) Boots() bool { return r.Count(Fail) == 0 }

// Count returns how many findings have the status s.
func (r *Report) Count(s Status) int {
	n := 0
	for _, f := range r.Findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

// FirstFailure returns the first finding that keeps the board from booting, nil if it boots.
func (r *Report) FirstFailure() *Finding {
	for i := range r.Findings {
		if r.Findings[i].Status == Fail {
			return &r.Findings[i]
		}
	}
	return nil
}
