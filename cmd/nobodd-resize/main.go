// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-resize changes the size of a disk image, and of a partition in it.
package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"nobodd/internal/addr"
	"nobodd/internal/image"
	"nobodd/internal/partition"
	"nobodd/internal/tool"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:      "nobodd-resize",
		Usage:     "grow a disk image, and a partition in it",
		UsageText: "nobodd-resize [OPTION]... IMAGE SIZE\nnobodd-resize --grow NUM [OPTION]... IMAGE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "grow", Aliases: []string{"g"}, Usage: "extend partition `NUM` (or last, root) to the end of the image"},
			&cli.BoolFlag{Name: "shrink", Usage: "allow a smaller size, down to the end of the last partition"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "change nothing, print the partition table before and after"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "tell what was done"},
		},
		Description: `SIZE is a number of bytes, or one with K, M, G or T (powers of 1024): 16GB. +SIZE
adds to the present size. An image that is that large already is left alone.`,
		Action: run,
	}
}

func run(c *cli.Context) error {
	path, r, err := operands(c)
	if err != nil {
		return err
	}
	return tool.At(path, resize(c, path, r))
}

// operands reads the command line.
func operands(c *cli.Context) (path string, r image.Resize, err error) {
	r.Shrink = c.Bool("shrink")
	if c.IsSet("grow") {
		if r.Grow, err = parseGrow(c.String("grow")); err != nil {
			return "", r, err
		}
	}
	switch c.NArg() {
	case 0:
		return "", r, tool.Usagef("missing IMAGE")
	case 1:
		if r.Grow == image.GrowNone {
			return "", r, tool.Usagef("missing SIZE after '%s'", c.Args().First())
		}
		r.KeepSize = true
	case 2:
		if r.Size, r.Relative, err = parseSize(c.Args().Get(1)); err != nil {
			return "", r, err
		}
	default:
		return "", r, tool.Usagef("extra operand '%s'", c.Args().Get(2))
	}
	return c.Args().First(), r, nil
}

// parseSize reads a size, relative if a plus sign stands before it.
func parseSize(s string) (size int64, relative bool, err error) {
	rest, relative := strings.CutPrefix(s, "+")
	if size, err = tool.ParseSize(rest); err != nil {
		return 0, false, tool.Usagef("%s", strings.Replace(err.Error(), "'"+rest+"'", "'"+s+"'", 1))
	}
	return size, relative, nil
}

// parseGrow reads the partition that --grow names.
func parseGrow(s string) (int, error) {
	switch s {
	case "last":
		return image.GrowLast, nil
	case "root":
		return image.GrowRoot, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n < 1 || n > addr.MaxPart {
		return 0, tool.Usagef("invalid partition '%s' for --grow (a number from 1 to %d, last or root)", s, addr.MaxPart)
	}
	return int(n), nil
}

func resize(c *cli.Context, path string, r image.Resize) error {
	mode := image.Write
	if c.Bool("dry-run") {
		mode = image.Read
	}
	im, err := image.Open(path, mode, tool.Waiting(c, path))
	if err != nil {
		return hint(path, err)
	}
	defer im.Close()
	plan, err := im.PlanResize(r)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return printTables(c.App.Writer, path, plan)
	}
	if err := im.Resize(plan); err != nil {
		return err
	}
	if c.Bool("verbose") {
		printChanges(c.App.Writer, path, plan)
	}
	return nil
}

// hint adds to the error of an image that is not there what an address would mean.
func hint(path string, err error) error {
	if a, perr := addr.Parse(path, nil); perr == nil && a.Kind != addr.Local && image.IsFile(a.Image) {
		return fmt.Errorf("%w (name the image alone: %s)", err, a.Image)
	}
	return err
}

// printChanges tells what was done, a line each.
func printChanges(w io.Writer, path string, p *partition.Plan) {
	path = tool.Printable(path)
	switch {
	case !p.Changes():
		fmt.Fprintf(w, "%s: already %s, left alone\n", path, tool.FormatSize(p.OldSize))
		return
	case p.NewSize != p.OldSize:
		fmt.Fprintf(w, "%s: %s -> %s\n", path, tool.FormatSize(p.OldSize), tool.FormatSize(p.NewSize))
	}
	if p.Before == nil {
		return
	}
	for i, before := range p.Before.Partitions {
		if after := p.After.Partitions[i]; after.Size != before.Size {
			fmt.Fprintf(w, "%s: partition %d: %s -> %s\n", path, before.Num, tool.FormatSize(before.Size), tool.FormatSize(after.Size))
		}
	}
}

// printTables shows what a plan changes: size and partition table before and after.
func printTables(w io.Writer, path string, p *partition.Plan) error {
	path = tool.Printable(path)
	return errors.Join(
		printTable(w, path, "before", p.OldSize, p.Before),
		printTable(w, path, "after", p.NewSize, p.After),
	)
}

// printTable prints START and SIZE as nobodd-ls does: in sectors and in bytes.
func printTable(w io.Writer, path, when string, size int64, t *partition.Table) error {
	fmt.Fprintf(w, "%s %s: %d bytes (%s)", path, when, size, tool.FormatSize(size))
	if t == nil {
		_, err := fmt.Fprintln(w, ", no partition table")
		return err
	}
	fmt.Fprintf(w, ", %v, %d-byte sectors\n", t.Scheme, t.SectorSize)
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(tw, "NUM\tSTART\tSIZE\tTYPE\tNAME")
	for _, p := range t.Partitions {
		name := "-"
		if p.Name != "" {
			name = tool.Printable(p.Name)
		}
		fmt.Fprintf(tw, "%d\t%d\t%d\t%s\t%s\n", p.Num, p.Start/t.SectorSize, p.Size, p.Type, name)
	}
	return tw.Flush()
}
