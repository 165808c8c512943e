// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-resize changes the size of a disk image, and of a partition in it.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"nobodd/internal/addr"
	"nobodd/internal/image"
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
func printChanges(w io.Writer, path string, p *image.Plan) {
	path = tool.Printable(path)
	switch {
	case !p.Changes():
		fmt.Fprintf(w, "%s: already %s, left alone\n", path, tool.FormatSize(p.OldSize))
	case p.NewSize != p.OldSize:
		fmt.Fprintf(w, "%s: %s -> %s\n", path, tool.FormatSize(p.OldSize), tool.FormatSize(p.NewSize))
	case slices.Equal(p.Before, p.After):
		fmt.Fprintf(w, "%s: the GPT and its backup made right\n", path)
	}
	for i, before := range p.Before {
		if after := p.After[i]; before.Num != 0 && after.Size != before.Size {
			fmt.Fprintf(w, "%s: partition %d: %s -> %s\n", path, before.Num, tool.FormatSize(before.Size), tool.FormatSize(after.Size))
		}
	}
}

// printTables shows what a plan changes: size and partitions before and after.
func printTables(w io.Writer, path string, p *image.Plan) error {
	path = tool.Printable(path)
	table := ""
	if p.Scheme != "none" {
		table = fmt.Sprintf(", %s, %d-byte sectors", p.Scheme, p.SectorSize)
	}
	fmt.Fprintf(w, "%s before: %d bytes (%s)%s\n", path, p.OldSize, tool.FormatSize(p.OldSize), table)
	err := printPartitions(w, p.Before)
	fmt.Fprintf(w, "%s after: %d bytes (%s)%s\n", path, p.NewSize, tool.FormatSize(p.NewSize), table)
	return errors.Join(err, printPartitions(w, p.After))
}

// printPartitions prints the columns of nobodd-ls -l: START in sectors, SIZE in bytes.
func printPartitions(w io.Writer, parts []image.Partition) error {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(tw, "NUM\tUSE\tFS\tSTART\tSIZE\tTYPE\tLABEL")
	for _, p := range parts {
		use, fs := "", ""
		switch {
		case p.Boot:
			use = "boot"
		case p.Root:
			use = "root"
		}
		if p.FAT != 0 {
			fs = fmt.Sprint("fat", p.FAT)
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%d\t%d\t%s\t%s\n", p.Num, orDash(use), orDash(fs), p.Start, p.Size, orDash(p.Type), orDash(tool.Printable(p.Label)))
	}
	return tw.Flush()
}

func orDash(s string) string { return cmp.Or(s, "-") }
