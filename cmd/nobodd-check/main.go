// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-check says whether a Raspberry Pi will boot from an image over the network.
package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"nobodd/internal/pi"
	"nobodd/internal/tool"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:      "nobodd-check",
		Usage:     "say whether a Raspberry Pi will boot from a disk image over the network",
		UsageText: "nobodd-check [OPTION]... ADDRESS...",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "model", Aliases: []string{"m"},
				Usage: "check for `MODEL` (" + strings.Join(pi.ModelNames(), ", ") + "); may be repeated"},
			&cli.StringSliceFlag{Name: "nbd-conf",
				Usage: "look for the export in `FILE`: nbd-server's, or a folder of --nbd-link; may be repeated"},
			&cli.BoolFlag{Name: "no-initramfs", Usage: "do not look inside the initramfs"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON array"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print failures only"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"},
				Usage: "print also what was passed over, and the sources"},
		},
		Description: `ADDRESS is an image (jammy.img) or its boot partition (jammy.img:1:). Without --model
one line is printed for each model.`,
		Action: run,
	}
}

func run(c *cli.Context) error {
	if c.NArg() == 0 {
		return tool.Usagef("missing ADDRESS (try --help)")
	}
	models, err := modelsOf(c.StringSlice("model"))
	if err != nil {
		return err
	}
	asked := len(models) > 0
	if !asked {
		models = pi.Models
	}
	exports, err := readExports(c.StringSlice("nbd-conf"))
	tool.Report(c, err)
	fails := false
	var results []result
	for _, text := range c.Args().Slice() {
		res, err := check(c, text, models, exports)
		if err != nil {
			tool.Report(c, err)
			continue
		}
		results = append(results, res)
		fails = fails || !res.boots(asked)
	}
	p := printer{w: c.App.Writer, quiet: c.Bool("quiet"), verbose: c.Bool("verbose"), headings: c.NArg() > 1}
	switch {
	case c.Bool("json"):
		err = p.json(results)
	case asked:
		p.lines(results)
	default:
		err = p.table(results)
	}
	if err == nil && fails {
		return tool.Status(tool.ExitFail)
	}
	return err
}

// modelsOf returns the models of the command line, each once.
func modelsOf(names []string) ([]*pi.Model, error) {
	var models []*pi.Model
	for _, name := range names {
		m := pi.FindModel(name)
		if m == nil {
			return nil, tool.Usagef("unknown model '%s' (%s)", name, strings.Join(pi.ModelNames(), ", "))
		}
		if !slices.Contains(models, m) {
			models = append(models, m)
		}
	}
	return models, nil
}
