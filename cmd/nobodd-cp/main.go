// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-cp copies files and directories to, from and between disk images.
package main

import (
	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:  "nobodd-cp",
		Usage: "copy files to, from and between disk images",
		UsageText: "nobodd-cp [OPTION]... [-T] SOURCE DEST\n" +
			"nobodd-cp [OPTION]... SOURCE... DIRECTORY\n" +
			"nobodd-cp [OPTION]... -t DIRECTORY SOURCE...",
		Description: "SOURCE and DEST are paths on this machine or places in images such as\n" +
			"jammy.img:1:/cmdline.txt; - as the only SOURCE is standard input.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r", "R"},
				Usage: "copy directories and what is in them"},
			&cli.StringFlag{Name: "target-directory", Aliases: []string{"t"},
				Usage: "copy all SOURCEs into `DIRECTORY`"},
			&cli.BoolFlag{Name: "no-target-directory", Aliases: []string{"T"},
				Usage: "take DEST for what to write even if it is a directory"},
			&cli.BoolFlag{Name: "no-clobber", Aliases: []string{"n"}, Usage: "skip files that exist"},
			&cli.BoolFlag{Name: "update", Aliases: []string{"u"},
				Usage: "skip files that exist and are not older than their SOURCE"},
			&cli.BoolFlag{Name: "preserve", Aliases: []string{"p"}, Usage: "keep modification times"},
			&cli.BoolFlag{Name: "archive", Aliases: []string{"a"}, Usage: "the same as -r -p"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print each copy"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress on a terminal"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"},
				Usage: "write to a file system in use, and over write-protected files"},
			&cli.BoolFlag{Name: "no-sync", Usage: "leave it to the kernel when to write to disk"},
			&cli.BoolFlag{Name: "in-place",
				Usage: "give up old files before the new ones are written if there is no space otherwise"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	sources, dest, err := tool.SourcesAndDest(c)
	if err != nil {
		return err
	}
	return tree.Copy(tool.EnvOf(c), tree.CopyOptions{
		Recursive:   c.Bool("recursive") || c.Bool("archive"),
		IntoDir:     c.IsSet("target-directory"),
		NoTargetDir: c.Bool("no-target-directory"),
		NoClobber:   c.Bool("no-clobber"),
		Update:      c.Bool("update"),
		Preserve:    c.Bool("preserve") || c.Bool("archive"),
		Verbose:     c.Bool("verbose"),
		Force:       c.Bool("force"),
		NoSync:      c.Bool("no-sync"),
		InPlace:     c.Bool("in-place"),
	}, sources, dest)
}
