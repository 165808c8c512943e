// SPDX-License-Identifier: GPL-3.0-or-later

// Nobodd-tftpd is a TFTP server that netboots Raspberry Pis from OS images.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"nobodd/internal/bootd"
	"nobodd/internal/config"
	"nobodd/internal/tool"
)

func main() { tool.Serve(app()) }

func app() *cli.App {
	return &cli.App{
		Name:      "nobodd-tftpd",
		Usage:     "TFTP server that netboots Raspberry Pis from OS images",
		UsageText: "nobodd-tftpd [OPTION]...",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "listen on `ADDRESS`, or systemd or stdin"},
			&cli.StringFlag{Name: "port", Usage: "listen on this UDP `PORT`"},
			&cli.StringSliceFlag{
				Name: "board", Usage: "add a board, or override the configuration's: `SERIAL,IMAGE[,PART[,IP]]`",
			},
			&cli.StringFlag{Name: "config", Usage: "read this configuration `FILE` and no other"},
			&cli.BoolFlag{Name: "check", Usage: "check the configuration and the images, and exit"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log probes and missing files too"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "log warnings and errors only"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	if c.NArg() > 0 {
		return tool.Usagef("extra operand '%s' (try --help)", c.Args().First())
	}
	if c.IsSet("config") && c.String("config") == "" { // would mean the usual files
		return tool.Usagef("--config: no value")
	}
	over, err := readOverrides(c)
	if err != nil {
		return err
	}
	load := func() (*config.Config, error) { return over.load(c.String("config")) }
	if c.Bool("check") {
		return check(c, load)
	}
	d := bootd.Daemon{Load: load, Log: bootd.NewLog(os.Stderr, level(c)), Reload: reload}
	if err := d.Run(c.Context); err != nil {
		return err
	}
	var stopped *tool.Stopped
	if errors.As(context.Cause(c.Context), &stopped) && stopped.Signal == os.Interrupt {
		return tool.Status(2)
	}
	return nil
}

func level(c *cli.Context) slog.Level {
	switch tool.Last(c, "verbose", "quiet") {
	case "verbose":
		return slog.LevelDebug
	case "quiet":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// check names all that is wrong, in the configuration and then in the images of its boards.
func check(c *cli.Context, load func() (*config.Config, error)) error {
	cfg, _ := load() // its error are the mistakes
	for _, text := range cfg.Warnings {
		tool.Note(c, "warning: %s", text)
	}
	for _, m := range cfg.Mistakes {
		tool.Report(c, m)
	}
	if len(cfg.Boards) == 0 && len(cfg.LeftOut) == 0 {
		tool.Note(c, "no boards in the configuration")
	}
	return bootd.Check(c.App.Writer, cfg, func(text string) { tool.Note(c, "warning: %s", text) })
}

// overrides is what the command line says of the configuration.
type overrides struct {
	listen string // "" if not given
	port   *int
	boards []config.Board
}

func readOverrides(c *cli.Context) (*overrides, error) {
	var o overrides
	if c.IsSet("listen") {
		listen, err := config.ParseListen(c.String("listen"))
		if err != nil {
			return nil, wrongValue("--listen", err)
		}
		o.listen = listen
	}
	if c.IsSet("port") {
		port, err := config.ParsePort(c.String("port"))
		if err != nil {
			return nil, wrongValue("--port", err)
		}
		o.port = &port
	}
	boards, err := config.ParseBoards(c.StringSlice("board"))
	if err != nil {
		return nil, wrongValue("--board", err)
	}
	o.boards = boards
	return &o, nil
}

func wrongValue(option string, err error) error { return tool.Usagef("%s: %w", option, err) }

// load reads the configuration with the overrides in it; see config.Load.
func (o *overrides) load(file string) (*config.Config, error) {
	cfg, err := config.Load(file, o.boards...)
	if o.listen != "" {
		cfg.Listen = o.listen
	}
	if o.port != nil {
		cfg.Port = *o.port
	}
	return cfg, err
}
