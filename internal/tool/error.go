// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// UsageError is a wrong command line: exit status 2.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Status is an error that prints nothing and sets the exit status, where all that
// there is to say was said.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// OperandError is what went wrong with one operand: "ADDRESS: cause".
type OperandError struct {
	Addr string // as the user typed it, or what is below it
	Err  error
}

func (e *OperandError) Error() string { return e.Addr + ": " + Cause(e.Err) }
func (e *OperandError) Unwrap() error { return e.Err }

// At makes an OperandError for each of the errors joined in err. At of nil is nil.
func At(addr string, err error) error {
	if err == nil {
		return nil
	}
	errs := flatten(err)
	if len(errs) == 1 {
		return &OperandError{addr, errs[0]}
	}
	for i, err := range errs {
		errs[i] = &OperandError{addr, err}
	}
	return errors.Join(errs...)
}

// Cause is the text of err without the operation and the path that the standard
// library puts in front, in the words of errno(3).
func Cause(err error) string {
	switch e := err.(type) {
	case *fs.PathError:
		return Cause(e.Err)
	case *os.LinkError:
		return Cause(e.Err)
	case *os.SyscallError:
		return Cause(e.Err)
	}
	switch err {
	case fs.ErrNotExist:
		return syscall.ENOENT.Error()
	case fs.ErrExist:
		return syscall.EEXIST.Error()
	case fs.ErrInvalid:
		return syscall.EINVAL.Error()
	case io.ErrUnexpectedEOF:
		return "unexpected end of file"
	}
	return err.Error()
}

// message is the line for err without the name of the tool.
func message(err error) string {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Path + ": " + Cause(e.Err)
	case *os.LinkError:
		return e.New + ": " + Cause(e.Err)
	}
	return Cause(err)
}

// flatten undoes errors.Join, at any depth.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if e, ok := err.(*OperandError); ok {
			return flattenOperand(e)
		}
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

func flattenOperand(e *OperandError) []error {
	causes := flatten(e.Err)
	if len(causes) == 1 {
		return []error{e}
	}
	for i, cause := range causes {
		causes[i] = &OperandError{e.Addr, cause}
	}
	return causes
}

// Printable gives s with everything that could break a line or fool a terminal
// (control and formatting characters, invalid UTF-8) escaped as in "\n" or "\x1b".
func Printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && printable(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case printable(r):
			b.WriteRune(r)
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			q := fmt.Sprintf("%+q", r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

func printable(r rune) bool {
	return r != utf8.RuneError && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r))
}
