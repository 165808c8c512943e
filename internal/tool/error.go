// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// UsageError is a wrong command line: exit status 2.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Status is an error that prints nothing and sets the exit status, where all that
// there is to say was said.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// message is the line for err without the name of the tool. Of an error of package os,
// which names the operation too, that is the name and the cause.
func message(err error) string {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Path + ": " + e.Err.Error()
	case *os.LinkError:
		return e.New + ": " + e.Err.Error()
	}
	return err.Error()
}

// flatten undoes errors.Join, at any depth.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	errs := joined.Unwrap()
	if err.Error() != errors.Join(errs...).Error() { // fmt.Errorf with two %w
		return []error{err}
	}
	var flat []error
	for _, err := range errs {
		flat = append(flat, flatten(err)...)
	}
	return flat
}
