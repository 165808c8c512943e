// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"nobodd/internal/image"
	"nobodd/internal/text"
)

// change is a plan and the partitions that it makes of others.
type change struct {
	plan          *image.Plan
	before, after []image.Partition
	sectorSize    int64 // bytes
}

func newChange(p *image.Plan, parts []image.Partition, sectorSize int64) *change {
	c := &change{p, parts, slices.Clone(parts), sectorSize}
	for i := range c.after {
		if p.After == nil {
			c.after[i].Size = p.NewSize
		} else if q, ok := p.After.Find(c.after[i].Num); ok {
			c.after[i].Size = q.Size
		}
	}
	return c
}

// print says what was done, a line each.
func (c *change) print(w io.Writer, path string) {
	path = text.Printable(path)
	p := c.plan
	switch {
	case !p.Changes():
		fmt.Fprintf(w, "%s: already %s, left alone\n", path, text.Size(p.OldSize))
	case p.NewSize != p.OldSize:
		fmt.Fprintf(w, "%s: %s -> %s\n", path, text.Size(p.OldSize), text.Size(p.NewSize))
	case c.onlyGPT():
		fmt.Fprintf(w, "%s: the GPT and its backup made right\n", path)
	}
	for i, before := range c.before {
		if after := c.after[i]; before.Num != 0 && after.Size != before.Size {
			fmt.Fprintf(w, "%s: partition %d: %s -> %s\n",
				path, before.Num, text.Size(before.Size), text.Size(after.Size))
		}
	}
}

// onlyGPT reports whether nothing that a listing shows changes, only where a GPT's backup stands.
func (c *change) onlyGPT() bool {
	p := c.plan
	return p.Changes() && p.NewSize == p.OldSize && slices.Equal(c.before, c.after)
}

// printTables shows what the plan changes: size and partitions before and after.
func (c *change) printTables(w io.Writer, path string) {
	path = text.Printable(path)
	table := ""
	if t := c.plan.Before; t != nil {
		table = fmt.Sprintf(", %s, %d-byte sectors", t.Scheme, c.sectorSize)
	}
	fmt.Fprintf(w, "%s before: %d bytes (%s)%s\n", path, c.plan.OldSize, text.Size(c.plan.OldSize), table)
	printPartitions(w, c.before)
	fmt.Fprintf(w, "%s after: %d bytes (%s)%s\n", path, c.plan.NewSize, text.Size(c.plan.NewSize), table)
	printPartitions(w, c.after)
	if c.onlyGPT() {
		fmt.Fprintf(w, "%s: the GPT and its backup would be made right\n", path)
	}
}

// printPartitions prints what nobodd-ls -l does: START in sectors, SIZE and FREE in bytes.
func printPartitions(w io.Writer, parts []image.Partition) {
	bytes := func(n int64) string { return strconv.FormatInt(n, 10) }
	rows := [][]string{image.Columns()}
	for _, p := range parts {
		p.Label = text.Plain(p.Label)
		rows = append(rows, p.Row(bytes))
	}
	text.WriteTable(w, rows, image.ColumnAlign)
}
