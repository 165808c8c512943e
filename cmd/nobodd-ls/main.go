// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-ls lists the files of a disk image, or its partitions.
package main

import (
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"nobodd/internal/tool"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:      "nobodd-ls",
		Usage:     "list files and directories, of this machine or inside disk images",
		UsageText: "nobodd-ls [OPTION]... [ADDRESS]...",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "list names that begin with a dot too"},
			&cli.BoolFlag{Name: "l", Usage: "list mode, links, owner, group, size, date (UTC) and name"},
			&cli.BoolFlag{Name: "human-readable", Aliases: []string{"h"}, Usage: "print sizes like 1.5MiB"},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"R"}, Usage: "list what is in the directories too"},
			&cli.BoolFlag{Name: "directory", Aliases: []string{"d"}, Usage: "list directories themselves, not what is in them"},
			&cli.BoolFlag{Name: "1", Usage: "one name a line (it is always so)"},
			&cli.BoolFlag{Name: "classify", Aliases: []string{"F"}, Usage: "append / to the names of directories"},
			&cli.BoolFlag{Name: "reverse", Aliases: []string{"r"}, Usage: "reverse the order"},
			&cli.BoolFlag{Name: "S", Usage: "sort by size, largest first"},
			&cli.BoolFlag{Name: "t", Usage: "sort by time, newest first"},
			&cli.BoolFlag{Name: "X", Usage: "sort by extension"},
			&cli.BoolFlag{Name: "U", Usage: "do not sort"},
			&cli.StringFlag{Name: "sort", Usage: "sort by `WORD`: name, size, time, extension or none"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON array"},
		},
		Description: `IMAGE:N:/PATH is a place in partition N of a disk image, IMAGE:/PATH one in its
boot partition. IMAGE: lists the partitions.`,
		Action: run,
	}
}

func run(c *cli.Context) error {
	order, err := orderOf(c)
	if err != nil {
		return err
	}
	l := &lister{
		all:       c.Bool("all"),
		recursive: c.Bool("recursive"),
		directory: c.Bool("directory"),
		follow:    !c.Bool("directory") && !c.Bool("l") && !c.Bool("classify"), // as ls does
		order:     order,
		report:    func(err error) { tool.Report(c, err) },
		waiting:   func(path string) func() { return tool.Waiting(c, path) },
	}
	operands := c.Args().Slice()
	if len(operands) == 0 {
		operands = []string{"."}
	}
	files, dirs := l.list(operands)
	if c.Bool("json") {
		return printJSON(c.App.Writer, files, dirs)
	}
	p := &printer{
		w:        c.App.Writer,
		long:     c.Bool("l"),
		human:    c.Bool("human-readable"),
		classify: c.Bool("classify"),
		terminal: isTerminal(os.Stdout),
		headings: len(operands) > 1 || l.recursive,
	}
	p.print(files, dirs)
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
