// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-mv renames and moves files and directories in disk images.
package main

import (
	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:  "nobodd-mv",
		Usage: "rename and move files inside disk images",
		UsageText: "nobodd-mv [OPTION]... [-T] SOURCE DEST\n" +
			"nobodd-mv [OPTION]... SOURCE... DIRECTORY\n" +
			"nobodd-mv [OPTION]... -t DIRECTORY SOURCE...",
		Description: "SOURCE and DEST are places in one FAT file system in an image, such as\n" +
			"jammy.img:1:/cmdline.txt.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "target-directory", Aliases: []string{"t"},
				Usage: "move all SOURCEs into `DIRECTORY`"},
			&cli.BoolFlag{Name: "no-target-directory", Aliases: []string{"T"},
				Usage: "take DEST for the new name even if it is a directory"},
			&cli.BoolFlag{Name: "no-clobber", Aliases: []string{"n"}, Usage: "replace nothing that exists"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print each move"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress on a terminal"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "write to a file system in use"},
			&cli.BoolFlag{Name: "no-sync", Usage: "leave it to the kernel when to write to disk"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	sources, dest, err := tool.SourcesAndDest(c)
	if err != nil {
		return err
	}
	return tree.Move(tool.EnvOf(c), tree.MoveOptions{
		IntoDir:     c.IsSet("target-directory"),
		NoTargetDir: c.Bool("no-target-directory"),
		NoClobber:   c.Bool("no-clobber"),
		Verbose:     c.Bool("verbose"),
		Force:       c.Bool("force"),
		NoSync:      c.Bool("no-sync"),
	}, sources, dest)
}
