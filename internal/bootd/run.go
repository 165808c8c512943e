// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"nobodd/internal/config"
)

// grace is how long running transfers may go on when the daemon is told to stop.
const grace = 5 * time.Second

// Daemon is what Run needs from the outside.
type Daemon struct {
	Load   func() (*config.Config, error) // reads the configuration, again for each reload; see config.Load
	Log    *slog.Logger
	Reload <-chan os.Signal // asks for a reload

	server  *Server
	cfg     *config.Config // in force
	wants   address        // of the configuration read last
	mistake string         // the first one in the configuration read last

	clock <-chan time.Time // of a test; see newNotifier
}

// address is the part of a configuration that needs a restart.
type address struct {
	listen string
	port   int
	ports  config.PortRange
}

func addressOf(c *config.Config) address { return address{c.Listen, c.Port, c.Ports} }

// Run serves until ctx is done, then ends as Server.Shutdown does, in at most 5 seconds.
func (d *Daemon) Run(ctx context.Context) error {
	cfg, err := d.Load()
	if err != nil {
		return err
	}
	d.cfg, d.wants = cfg, addressOf(cfg)
	d.report(cfg)
	conn, err := Listen(cfg, d.Log)
	if err != nil {
		return err
	}
	d.server = New(cfg, d.Log)
	served := make(chan error, 1)
	d.Log.Info("listening on " + conn.Addr().String() + ", " + count(len(cfg.Boards), "board"))
	go func() { served <- d.server.Serve(conn) }()
	return d.watch(ctx, served)
}

// watch looks after the server until it is to stop.
func (d *Daemon) watch(ctx context.Context, served <-chan error) error {
	notify := newNotifier(d.clock)
	notify.ready(d.status())
	for {
		select {
		case <-ctx.Done():
			notify.stopping()
			d.Log.Info("stopping, " + count(d.server.Running(), "transfer") + " running")
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			d.server.Shutdown(ctx)
			return nil
		case err := <-served:
			return err
		case <-d.Reload:
			notify.reloading()
			d.reload()
			notify.ready(d.status())
		case <-notify.tick:
			notify.update(d.status())
		}
	}
}

func (d *Daemon) status() status {
	return status{len(d.cfg.Boards), d.server.Running(), d.server.strange.unknown(), d.mistake}
}

// report logs what is wrong in a configuration that is used all the same.
func (d *Daemon) report(cfg *config.Config) {
	d.mistake = ""
	for _, text := range cfg.Warnings {
		d.Log.Warn(text)
	}
	for i, m := range cfg.Mistakes {
		if i == 0 {
			d.mistake = m.Error()
		}
		d.Log.Error(m.Error() + "; " + consequence(cfg, m))
	}
	if len(cfg.Boards) == 0 {
		d.Log.Warn("no boards in the configuration: there is nothing to serve")
	}
}

// consequence says what a mistake costs.
func consequence(cfg *config.Config, m config.Mistake) string {
	_, kept := cfg.Boards[m.Board]
	switch {
	case m.Scope != config.OneBoard && m.Line == 0:
		return "the file is left out"
	case m.Scope != config.OneBoard:
		return "that is left out"
	case kept:
		return fmt.Sprintf("board %s stays as it was", m.Board)
	}
	return fmt.Sprintf("board %s is left out", m.Board)
}

var errNoFiles = errors.New("none of the configuration files is there any more")

// reload reads the configuration again. If that cannot be used, all stays as it was; if that of
// a board cannot, this board does.
func (d *Daemon) reload() {
	cfg, err := d.Load()
	if err == nil && len(cfg.Files) == 0 && len(d.cfg.Files) > 0 {
		err = errNoFiles
	}
	if err != nil {
		lines := strings.Split(err.Error(), "\n")
		d.mistake = lines[0]
		for _, line := range lines {
			d.Log.Error(line)
		}
		d.Log.Error("configuration not reloaded, all stays as it was")
		return
	}
	cfg.Keep(d.cfg)
	d.report(cfg)
	d.compare(cfg)
	d.cfg = cfg
	d.server.Configure(cfg)
	d.Log.Info("configuration reloaded, " + count(len(cfg.Boards), "board"))
}

// compare warns, once a change, of what needs a restart, and leaves that as it is.
func (d *Daemon) compare(cfg *config.Config) {
	wants, is := addressOf(cfg), addressOf(d.cfg)
	if wants != d.wants && wants != is {
		d.Log.Warn("a new listen, port or ports in the configuration needs a restart")
	}
	d.wants = wants
	cfg.Listen, cfg.Port, cfg.Ports = is.listen, is.port, is.ports
}
