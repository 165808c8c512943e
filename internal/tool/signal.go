// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/urfave/cli/v2"
)

// Stopped is the cause (context.Cause) of a context that a signal cancelled.
type Stopped struct{ Signal os.Signal }

func (e *Stopped) Error() string { return "stopped by signal: " + e.Signal.String() }

// Serve is Main for a daemon: the first INT or TERM cancels the context of the action,
// with a *Stopped as its cause; a second one ends the process.
func Serve(app *cli.App) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		cancel(&Stopped{s})
	}()
	os.Exit(Run(ctx, app, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// OnSignal has tidy called before INT, TERM or HUP ends the process. The function it
// returns takes that back. A signal that is ignored stays ignored.
func OnSignal(tidy func()) (done func()) {
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	finished := make(chan struct{})
	var once sync.Once
	done = func() {
		once.Do(func() {
			signal.Stop(signals)
			close(finished)
		})
	}
	go func() {
		select {
		case s := <-signals:
			tidy()
			signal.Reset(s)
			syscall.Kill(os.Getpid(), s.(syscall.Signal))
		case <-finished:
		}
	}()
	return done
}
