// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"nobodd/internal/config"
)

// grace is how long running transfers may go on when the daemon is told to stop.
const grace = 5 * time.Second

// Daemon is what Run needs from the outside.
type Daemon struct {
	Load   func() (*config.Config, error) // reads the configuration, again for each reload
	Log    *slog.Logger
	Reload <-chan os.Signal // asks for a reload
}

// Run serves until ctx is done, then ends as Server.Shutdown does, in at most 5 seconds.
func (d *Daemon) Run(ctx context.Context) error {
	cfg, err := d.load()
	if err != nil {
		return err
	}
	conn, err := Listen(cfg)
	if err != nil {
		return err
	}
	collectSeldom(cfg.MaxTransfers)
	server := New(cfg, d.Log)
	server.procs.all = runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(server.procs.all)
	served := make(chan error, 1)
	d.Log.Info("listening on " + conn.LocalAddr().String() + ", " + count(len(cfg.Boards), "board"))
	go func() { served <- server.Serve(conn) }()

	notify := newNotifier()
	defer notify.tick.Stop()
	notify.ready(len(cfg.Boards), 0)
	for {
		select {
		case <-ctx.Done():
			notify.stopping()
			d.Log.Info("stopping, " + count(server.Running(), "transfer") + " running")
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			server.Shutdown(ctx)
			return nil
		case err := <-served:
			return err
		case <-d.Reload:
			notify.reloading()
			cfg = d.reload(server, cfg)
			notify.ready(len(cfg.Boards), server.Running())
		case <-notify.tick.C:
			notify.update(len(cfg.Boards), server.Running())
		}
	}
}

// collectSeldom lets some garbage pile up: what the library leaves behind for each block
// is small, and a block is sent in a few microseconds. There is a limit to it, with room
// for what the transfers need.
func collectSeldom(maxTransfers int) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(32<<20 + int64(maxTransfers)*48<<10)
}

func (d *Daemon) load() (*config.Config, error) {
	cfg, err := d.Load()
	if err == nil && len(cfg.Boards) == 0 {
		d.Log.Warn("no boards in the configuration: there is nothing to serve")
	}
	return cfg, err
}

// reload gives the configuration that is in force after it.
func (d *Daemon) reload(server *Server, old *config.Config) *config.Config {
	cfg, err := d.load()
	if err != nil {
		d.Log.Error("configuration not reloaded, the old one stays: " + strings.ReplaceAll(err.Error(), "\n", "; "))
		return old
	}
	if cfg.Listen != old.Listen || cfg.Port != old.Port {
		d.Log.Warn("a new listen or port in the configuration needs a restart")
		cfg.Listen, cfg.Port = old.Listen, old.Port
	}
	server.Configure(cfg)
	d.Log.Info("configuration reloaded, " + count(len(cfg.Boards), "board"))
	return cfg
}
