// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-resize changes the size of a disk image, and of a partition in it.
package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

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
			&cli.StringFlag{Name: "grow", Aliases: []string{"g"},
				Usage: "extend partition `NUM` (or last, root) to the end of the image"},
			&cli.BoolFlag{Name: "shrink", Usage: "allow a smaller size, down to the end of the last partition"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"},
				Usage: "change nothing, print the partition table before and after"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "tell what was done"},
		},
		Description: `SIZE is a number of bytes, or one with K, M, G or T (powers of 1024): 16GB. +SIZE
adds to the present size. An image that is that large already is left alone.`,
		Action: run,
	}
}

// request is what the command line asks for.
type request struct {
	path    string
	hasSize bool
	size    int64  // bytes; added to the present size if plus is set
	plus    bool   // size has a plus sign
	shrink  bool   // the image may become smaller
	dryRun  bool   // nothing is changed
	grow    string // number of the partition to extend, or last, root or ""
}

func run(c *cli.Context) error {
	r, err := parseRequest(c)
	if err != nil {
		return err
	}
	if err := resize(c, r); err != nil {
		return &addr.Error{Text: r.path, Err: err}
	}
	return nil
}

func parseRequest(c *cli.Context) (r request, err error) {
	r.shrink, r.dryRun = c.Bool("shrink"), c.Bool("dry-run")
	if c.IsSet("grow") {
		if r.grow, err = parseGrow(c.String("grow")); err != nil {
			return r, err
		}
	}
	args := c.Args()
	switch {
	case args.Len() == 0:
		return r, tool.Usagef("missing IMAGE")
	case args.Len() == 1 && r.grow == "":
		return r, tool.Usagef("missing SIZE after '%s'", args.First())
	case args.Len() > 2:
		return r, tool.Usagef("extra operand '%s'", args.Get(2))
	}
	r.path = args.First()
	if args.Len() == 2 {
		r.hasSize = true
		r.size, r.plus, err = parseSize(args.Get(1))
	}
	return r, err
}

// parseSize reads a size, which a plus sign makes relative.
func parseSize(s string) (size int64, plus bool, err error) {
	rest, plus := strings.CutPrefix(s, "+")
	if size, err = tool.ParseSize(rest); err != nil {
		return 0, false, tool.Usagef("%s", strings.Replace(err.Error(), "'"+rest+"'", "'"+s+"'", 1))
	}
	return size, plus, nil
}

// parseGrow checks the partition that --grow names.
func parseGrow(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if s != "last" && s != "root" && (err != nil || n < 1 || n > addr.MaxPart) {
		return "", tool.Usagef("invalid partition '%s' for --grow (a number from 1 to %d, last or root)",
			s, addr.MaxPart)
	}
	return s, nil
}

func resize(c *cli.Context, r request) error {
	mode := image.Write
	if r.dryRun {
		mode = image.Read
	}
	im, err := image.Open(r.path, mode, tool.Waiting(c, r.path))
	if err != nil {
		return hint(r.path, err)
	}
	defer im.Close()
	ch, err := plan(im, r)
	if err != nil {
		return err
	}
	for _, p := range ch.plan.Cut {
		tool.Note(c, "warning: %s: partition %d ends at byte %d, but the image had only %d: "+
			"what was cut off reads as zeros; unless it was made so, get or unpack it anew",
			r.path, p.Num, p.End(), ch.plan.OldSize)
	}
	if ch.plan.Repairs() {
		tool.Note(c, "warning: %s: the GPT at its start is damaged (a boot loader may stand there) "+
			"and is written anew from its backup", r.path)
	}
	if ch.plan.NoRoom != "" {
		tool.Note(c, "warning: %s: left alone without a backup of its GPT, which would end %s", r.path, ch.plan.NoRoom)
	}
	if r.dryRun {
		ch.printTables(c.App.Writer, r.path)
		return nil
	}
	if err := im.Resize(ch.plan); err != nil {
		return err
	}
	if c.Bool("verbose") {
		ch.print(c.App.Writer, r.path)
	}
	return nil
}

// hint adds to the error of an image that is not there what an address would mean.
func hint(path string, err error) error {
	if a, _ := addr.Parse(path, image.Look); image.IsFile(a.Image) {
		return fmt.Errorf("%w (name the image alone: %s)", err, a.Image)
	}
	return err
}

// plan works out what r makes of the image.
func plan(im *image.Image, r request) (*change, error) {
	if r.hasSize && !im.Resizable() {
		return nil, image.ErrFixedSize
	}
	parts, err := im.Partitions()
	if len(parts) == 0 && err != nil {
		return nil, err
	} // else damage is no obstacle, or one that the plan finds
	if r.dryRun {
		im.Measure(parts) // what cannot be read is not known
	}
	grow, err := growNumber(parts, im.SectorSize(), r.grow)
	if err != nil {
		return nil, err
	}
	p, err := im.PlanResize(r.newSize(im.Size()), grow)
	if err != nil {
		return nil, err
	}
	return newChange(p, parts, im.SectorSize()), nil
}

// newSize returns the size in bytes that an image of the given size is to have. One that
// is larger keeps its size, unless it may shrink.
func (r request) newSize(present int64) int64 {
	size := r.size
	switch {
	case !r.hasSize:
		return present
	case r.plus && size > math.MaxInt64-present:
		return math.MaxInt64
	case r.plus:
		return present + size
	case size < present && !r.shrink:
		return present
	}
	return size
}

// growNumber returns the number of the partition that --grow means, 0 for none.
func growNumber(parts []image.Partition, sectorSize int64, grow string) (int, error) {
	if grow == "" {
		return 0, nil
	}
	if len(parts) == 1 && parts[0].Num == 0 {
		return 0, errors.New("there is no partition to grow: " +
			"the image is one FAT file system without a partition table")
	}
	num, end := 0, int64(0)
	switch grow {
	case "last":
		for _, p := range parts {
			if e := p.Start*sectorSize + p.Size; e > end {
				num, end = p.Num, e
			}
		}
		if num == 0 {
			return 0, errors.New("there is no partition to grow: the partition table is empty")
		}
	case "root":
		for _, p := range parts {
			if p.Root {
				num = p.Num
			}
		}
		if num == 0 {
			return 0, errors.New("the image has no root partition")
		}
	default:
		return strconv.Atoi(grow)
	}
	return num, nil
}
