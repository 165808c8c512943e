// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-rm removes files and directories in disk images.
package main

import (
	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:        "nobodd-rm",
		Usage:       "remove files inside disk images",
		UsageText:   "nobodd-rm [OPTION]... ADDRESS...",
		Description: "ADDRESS is a place in an image such as jammy.img:1:/cmdline.txt.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r", "R"},
				Usage: "remove directories and what is in them"},
			&cli.BoolFlag{Name: "dir", Aliases: []string{"d"}, Usage: "remove empty directories"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"},
				Usage: "ignore what does not exist, and write to a file system in use"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print what was removed"},
			&cli.BoolFlag{Name: "no-preserve-root", Usage: "allow the removal of all that is in a root directory"},
			&cli.BoolFlag{Name: "no-sync", Usage: "leave it to the kernel when to write to disk"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	if c.NArg() == 0 && !c.Bool("force") {
		return tool.Usagef("missing operand (try --help)")
	}
	return tree.Remove(tool.EnvOf(c), tree.RemoveOptions{
		Recursive:      c.Bool("recursive"),
		Dir:            c.Bool("dir"),
		Force:          c.Bool("force"),
		Verbose:        c.Bool("verbose"),
		NoPreserveRoot: c.Bool("no-preserve-root"),
		NoSync:         c.Bool("no-sync"),
	}, c.Args().Slice())
}
