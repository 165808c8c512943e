// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"
)

// Env is what a command hands over of its process to the packages that do its work.
type Env struct {
	c     *cli.Context
	quiet bool
}

// EnvOf returns the Env of the command that runs. It shows no progress with the option quiet.
func EnvOf(c *cli.Context) Env { return Env{c, c.Bool("quiet")} }

// Quiet returns e without progress.
func (e Env) Quiet() Env { return Env{e.c, true} }

// Progress returns what shows on standard error, if that is a terminal, how much of total bytes
// is done (total is 0 if nobody knows), and what ends that. Neither is to be called by two at once.
func (e Env) Progress(total int64) (add func(n int64), end func()) {
	w, ok := e.c.App.ErrWriter.(*os.File)
	if e.quiet || !ok || !IsTerminal(w) {
		return func(int64) {}, func() {}
	}
	m := newMeter(w, total, time.Now)
	return m.add, m.end
}

// Stdin returns the standard input of the command.
func (e Env) Stdin() io.Reader { return e.c.App.Reader }

// Stdout returns the standard output of the command.
func (e Env) Stdout() io.Writer { return e.c.App.Writer }

// Waiting returns what says, once, that the command waits for the lock of image.
func (e Env) Waiting(image string) func() { return Waiting(e.c, image) }

// Warn prints a line on stderr that is no error; see Note.
func (e Env) Warn(format string, args ...any) { Note(e.c, format, args...) }

// OnSignal has tidy called before a signal ends the process; see the function OnSignal.
func (Env) OnSignal(tidy func()) (done func()) { return OnSignal(tidy) }

// Waiting returns the function that says, once, that the command waits for the lock of
// the image at path.
func Waiting(c *cli.Context, path string) func() {
	said := false
	return func() {
		if !said {
			said = true
			Note(c, "waiting for the lock of %s", path)
		}
	}
}
