// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-ls lists the files of a disk image, or its partitions.
package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
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
			&cli.BoolFlag{Name: "directory", Aliases: []string{"d"},
				Usage: "list directories themselves, not what is in them"},
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
	operands := c.Args().Slice()
	if len(operands) == 0 {
		operands = []string{"."}
	}
	files, dirs, err := list(c, order, operands)
	tool.Report(c, err)
	if c.Bool("json") {
		return printJSON(c.App.Writer, files, dirs)
	}
	p := &printer{
		w:        c.App.Writer,
		long:     c.Bool("l"),
		human:    c.Bool("human-readable"),
		classify: c.Bool("classify"),
		terminal: tool.IsTerminal(os.Stdout),
		headings: c.Bool("recursive") || len(operands) > 1 || len(files)+len(dirs) > 1,
	}
	p.print(files, dirs)
	return nil
}

// list lists the operands: the files among them, and the directories and images, each in order.
func list(c *cli.Context, order order, operands []string) (files []tree.Entry, dirs []tree.Listing, err error) {
	opt := tree.ListOptions{
		All:       c.Bool("all"),
		Recursive: c.Bool("recursive"),
		Usage:     c.Bool("l") || c.Bool("json"),
		Directory: c.Bool("directory"),
		Follow:    !c.Bool("directory") && !c.Bool("l") && !c.Bool("classify"), // as ls does
		Sort:      order.sort,
	}
	var errs []error
	var heads []tree.Entry
	lists := map[string][]tree.Listing{}
	for _, text := range operands {
		found, err := tree.List(tool.EnvOf(c), opt, text)
		errs = append(errs, err)
		for _, op := range found {
			if op.Listings == nil {
				files = append(files, op.Entry)
				continue
			}
			heads = append(heads, op.Entry)
			lists[op.Name] = op.Listings
		}
	}
	order.sort(files)
	order.sort(heads)
	for _, head := range heads {
		dirs = append(dirs, lists[head.Name]...)
	}
	return files, dirs, errors.Join(errs...)
}
