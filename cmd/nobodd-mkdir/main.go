// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-mkdir makes directories in disk images.
package main

import (
	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:        "nobodd-mkdir",
		Usage:       "make directories inside disk images",
		UsageText:   "nobodd-mkdir [OPTION]... ADDRESS...",
		Description: "ADDRESS is a place in an image such as jammy.img:1:/overlays.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "parents", Aliases: []string{"p"},
				Usage: "make the directories above, too; it is no error if one exists"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print each directory that was made"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "write to a file system in use"},
			&cli.BoolFlag{Name: "no-sync", Usage: "leave it to the kernel when to write to disk"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	if c.NArg() == 0 {
		return tool.Usagef("missing operand (try --help)")
	}
	return tree.Mkdir(tool.EnvOf(c), tree.MkdirOptions{
		Parents: c.Bool("parents"),
		Verbose: c.Bool("verbose"),
		Force:   c.Bool("force"),
		NoSync:  c.Bool("no-sync"),
	}, c.Args().Slice())
}
