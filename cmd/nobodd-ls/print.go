// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nobodd/internal/image"
	"nobodd/internal/text"
	"nobodd/internal/tree"
)

// printer writes listings as ls does.
type printer struct {
	w                     io.Writer
	long, human, classify bool
	terminal              bool // names are read by a person, on a terminal that some bytes could upset
	headings              bool
	users, groups         names
}

func (p *printer) print(files []tree.Entry, dirs []tree.Listing) {
	p.entries(files)
	for i, list := range dirs {
		if i > 0 || len(files) > 0 {
			fmt.Fprintln(p.w)
		}
		if p.headings {
			fmt.Fprintf(p.w, "%s:\n", p.shown(list.Heading))
		}
		if p.long && list.Partitions {
			text.WriteTable(p.w, partitionRows(list.Entries, p.sizeText), image.ColumnAlign)
		} else {
			p.entries(list.Entries)
		}
	}
}

func (p *printer) entries(entries []tree.Entry) {
	if p.long {
		text.WriteTable(p.w, p.rows(entries), "lrllr")
		return
	}
	for _, e := range entries {
		fmt.Fprintln(p.w, p.shown(e.Name)+p.mark(e))
	}
}

func (p *printer) sizeText(n int64) string {
	if p.human {
		return text.Size(n)
	}
	return strconv.FormatInt(n, 10)
}

// shown replaces what a terminal would obey, as ls does.
func (p *printer) shown(name string) string {
	if !p.terminal {
		return name
	}
	return text.Plain(name)
}

// mark is what -F appends.
func (p *printer) mark(e tree.Entry) string {
	if !p.classify || e.Part != nil {
		return ""
	}
	switch mode := e.Info.Mode(); {
	case mode.IsDir():
		return "/"
	case mode.Type() == fs.ModeSymlink:
		return "@"
	case mode.Type() == fs.ModeNamedPipe:
		return "|"
	case mode.Type() == fs.ModeSocket:
		return "="
	case mode.IsRegular() && mode&0o111 != 0:
		return "*"
	}
	return ""
}

// rows are the columns of -l.
func (p *printer) rows(entries []tree.Entry) [][]string {
	now := time.Now()
	rows := make([][]string, len(entries))
	for i, e := range entries {
		links, user, group := p.owner(e.Info)
		name := p.shown(e.Name)
		if e.Link != "" {
			name += " -> " + p.shown(e.Link)
		} else {
			name += p.mark(e)
		}
		size, date := p.sizeText(e.Size()), dateText(e.ModTime(), now)
		rows[i] = []string{modeText(e.Info.Mode()), links, user, group, size, date, name}
	}
	return rows
}

// modeText is the mode as ls -l has it, drwxr-xr-x.
func modeText(mode fs.FileMode) string {
	kind := byte('-')
	switch mode.Type() {
	case fs.ModeDir:
		kind = 'd'
	case fs.ModeSymlink:
		kind = 'l'
	case fs.ModeNamedPipe:
		kind = 'p'
	case fs.ModeSocket:
		kind = 's'
	case fs.ModeDevice:
		kind = 'b'
	case fs.ModeDevice | fs.ModeCharDevice:
		kind = 'c'
	}
	text := []byte(mode.Perm().String())
	text[0] = kind
	special := func(bit fs.FileMode, at int, with, without byte) {
		if mode&bit == 0 {
			return
		}
		if text[at] == 'x' {
			text[at] = with
		} else {
			text[at] = without
		}
	}
	special(fs.ModeSetuid, 3, 's', 'S')
	special(fs.ModeSetgid, 6, 's', 'S')
	special(fs.ModeSticky, 9, 't', 'T')
	return string(text)
}

// dateText is the date as ls -l has it: the time of day within the last six months,
// else the year.
func dateText(t, now time.Time) string {
	const halfYear = 31556952 / 2 * time.Second
	if t.After(now) || t.Before(now.Add(-halfYear)) {
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

// owner returns the number of links and the owner and group, by name. What is in an
// image is root's, as where Linux mounts it.
func (p *printer) owner(info fs.FileInfo) (links, user, group string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok:
		links = strconv.FormatUint(uint64(st.Nlink), 10)
		return links, p.users.name("/etc/passwd", st.Uid), p.groups.name("/etc/group", st.Gid)
	case info.IsDir():
		return "2", "root", "root"
	}
	return "1", "root", "root"
}

// names are the names of users or groups by their numbers. It is read when first
// needed; a number without a name stands for itself.
type names map[string]string

func (n *names) name(file string, id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	if *n == nil {
		*n = names{}
		data, _ := os.ReadFile(file)
		for line := range strings.Lines(string(data)) {
			if field := strings.SplitN(line, ":", 4); len(field) == 4 && (*n)[field[2]] == "" {
				(*n)[field[2]] = field[0]
			}
		}
	}
	if name := (*n)[number]; name != "" {
		return name
	}
	return number
}

// partitionRows are the columns of a partition listing with -l, the header first.
func partitionRows(entries []tree.Entry, sizeText func(int64) string) [][]string {
	rows := [][]string{image.Columns()}
	for _, e := range entries {
		row := e.Part.Row(sizeText)
		label := &row[len(row)-1]
		*label = text.Plain(*label)
		rows = append(rows, row)
	}
	return rows
}

// partitionJSON is a partition in --json; empty strings for what is empty, null for what
// only a FAT file system has.
type partitionJSON struct {
	Address string `json:"address"`
	Num     int    `json:"num"`
	Use     string `json:"use"`
	FS      string `json:"fs"`
	Start   int64  `json:"start"` // in sectors
	Size    int64  `json:"size"`  // in bytes
	Free    *int64 `json:"free"`  // in bytes
	Type    string `json:"type"`
	Label   string `json:"label"`
	InUse   *bool  `json:"in_use"`
}

func partitionOf(e tree.Entry) partitionJSON {
	p := e.Part
	j := partitionJSON{e.Addr, p.Num, p.Use(), p.FS(), p.Start, p.Size, nil, p.Type, p.Label, nil}
	if p.FAT != 0 {
		j.InUse = &p.InUse
	}
	if p.Free >= 0 {
		j.Free = &p.Free
	}
	return j
}

// fileJSON is a file or directory in --json.
type fileJSON struct {
	Address   string `json:"address"`
	Name      string `json:"name"`
	Type      string `json:"type"`  // file or dir
	Size      int64  `json:"size"`  // in bytes
	MTime     string `json:"mtime"` // RFC 3339, UTC
	Mode      string `json:"mode"`  // as -l has it
	ShortName string `json:"shortname"`
}

func fileOf(e tree.Entry) fileJSON {
	mtime := e.ModTime().Format(time.RFC3339)
	f := fileJSON{e.Addr, e.Info.Name(), "file", e.Size(), mtime, modeText(e.Info.Mode()), ""}
	if e.Info.IsDir() {
		f.Type = "dir"
	}
	if entry, ok := e.Info.Sys().(*image.Entry); ok {
		f.ShortName = entry.ShortName
	}
	return f
}

// printJSON prints one array with an object a line, the files first.
func printJSON(w io.Writer, files []tree.Entry, dirs []tree.Listing) error {
	all := files
	for _, list := range dirs {
		all = append(all, list.Entries...)
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if len(all) == 0 {
		fmt.Fprintln(w, "[]")
		return nil
	}
	fmt.Fprintln(w, "[")
	for i, e := range all {
		var object any
		if e.Part != nil {
			object = partitionOf(e)
		} else {
			object = fileOf(e)
		}
		line.Reset()
		if err := enc.Encode(object); err != nil {
			return err
		}
		if i < len(all)-1 {
			line.Truncate(line.Len() - 1)
			line.WriteString(",\n")
		}
		line.WriteTo(w)
	}
	fmt.Fprintln(w, "]")
	return nil
}
