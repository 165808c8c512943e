// SPDX-License-Identifier: GPL-3.0-or-later

// Package tool is what the commands share: the urfave/cli application, GNU argument
// order, error lines, exit status, sizes, the version. It knows nothing of images.
package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"nobodd/internal/text"
)

// Version is what --version prints. The Makefile reads it here.
const Version = "0.1.0"

// Exit statuses; 0 is that all went well.
const (
	ExitFail  = 1 // something failed; the rest was still done
	ExitUsage = 2 // wrong usage; nothing was done
)

// Main runs app with the process's arguments and streams and exits. A signal ends
// the process as it ends any Unix tool; see OnSignal for what must be tidied up first.
func Main(app *cli.App) {
	os.Exit(Run(context.Background(), app, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// Run runs app and returns the exit status. Joined errors print one line each, "NAME: error".
// What the action writes to app.Writer is buffered and flushed at the end; an output
// that cannot be written is one more error, once.
//
// It sets the library up so that the commands behave as GNU tools do: options may
// follow operands, short ones bundle, -h is help unless a command defines it for itself, as
// it may -v, and the library prints no errors and never exits.
func Run(ctx context.Context, app *cli.App, args []string, in io.Reader, out, errw io.Writer) int {
	r := &run{name: app.Name, errw: errw}
	w := bufio.NewWriterSize(namedWriter{out}, 64<<10)
	app.Reader, app.Writer, app.ErrWriter = in, w, errw
	app.Metadata = map[string]any{metadataKey: r}
	app.Version = Version
	app.HideHelpCommand = true
	app.DisableSliceFlagSeparator = true
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return UsageError{err} }

	err := r.run(ctx, app, args)
	if ferr := w.Flush(); ferr != nil && !errors.Is(err, ferr) && !r.reported(ferr) {
		err = errors.Join(err, ferr)
	}
	r.report(err)
	return r.status
}

// run is the state of one Run.
type run struct {
	name   string
	errw   io.Writer
	status int
	errs   []error
	given  []string // names of the options in the order they were given
}

const metadataKey = "nobodd"

func (r *run) run(ctx context.Context, app *cli.App, args []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	cli.HelpFlag = helpFlag(app.Flags)
	app.Setup()
	sorted, err := r.sortArgs(app.Flags, args[min(1, len(args)):])
	if err != nil {
		return err
	}
	return app.RunContext(ctx, append([]string{app.Name}, sorted...))
}

func (r *run) report(err error) {
	if err == nil {
		return
	}
	for _, err := range flatten(err) {
		var status Status
		switch {
		case errors.As(err, &status):
			r.status = max(r.status, int(status))
			continue
		case errors.As(err, new(UsageError)):
			r.status = ExitUsage
		default:
			r.status = max(r.status, ExitFail)
		}
		r.errs = append(r.errs, err)
		r.say(message(err))
	}
}

func (r *run) reported(err error) bool {
	return errors.Is(errors.Join(r.errs...), err)
}

// say prints one line on stderr.
func (r *run) say(line string) {
	fmt.Fprintf(r.errw, "%s: %s\n", r.name, text.Printable(line))
}

// Report prints err at once, one line for each joined error, and makes the exit
// status at least ExitFail. Nil is nothing. A command that works on for long after an
// error reports it so; else it returns the error.
func Report(c *cli.Context, err error) { state(c).report(err) }

// Note prints a line on stderr, "NAME: text", that is no error.
func Note(c *cli.Context, format string, args ...any) { state(c).say(fmt.Sprintf(format, args...)) }

// Last returns which of the named options was given last, by any of its names, and ""
// if none was. The names are the first names of the flags.
func Last(c *cli.Context, names ...string) string {
	last := ""
	for _, given := range state(c).given {
		for _, name := range names {
			if given == name {
				last = name
			}
		}
	}
	return last
}

func state(c *cli.Context) *run { return c.App.Metadata[metadataKey].(*run) }

// namedWriter names standard output in its errors.
type namedWriter struct{ w io.Writer }

func (n namedWriter) Write(p []byte) (int, error) {
	written, err := n.w.Write(p)
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if err != nil {
		err = fmt.Errorf("standard output: %w", err)
	}
	return written, err
}

// Flush makes everything that was written to the command's output visible now.
func Flush(w io.Writer) error {
	if f, ok := w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}
