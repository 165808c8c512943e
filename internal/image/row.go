// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"cmp"
	"strconv"
)

// Columns returns the heads of what Partition.Row returns.
func Columns() []string {
	return []string{"NUM", "USE", "FS", "START", "SIZE", "FREE", "TYPE", "LABEL"}
}

// ColumnAlign says how they are aligned, all but the last, as text.WriteTable takes it.
const ColumnAlign = "lllrrrl"

// Row returns what people are shown of p: "-" stands for what is empty, START is in
// sectors, and size prints a number of bytes. LABEL, the last, may hold anything.
func (p Partition) Row(size func(int64) string) []string {
	start, free := strconv.FormatInt(p.Start, 10), ""
	if p.Free >= 0 {
		free = size(p.Free)
	}
	row := []string{strconv.Itoa(p.Num), p.Use(), p.FS(), start, size(p.Size), free, p.Type, p.Label}
	for i := range row {
		row[i] = cmp.Or(row[i], "-")
	}
	return row
}
