// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
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
	conn, err := Listen(cfg, d.Log)
	if err != nil {
		return err
	}
	server := New(cfg, d.Log)
	served := make(chan error, 1)
	d.Log.Info("listening on " + conn.Addr().String() + ", " + count(len(cfg.Boards), "board"))
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
