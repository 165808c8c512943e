// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func printVersion(c *cli.Context) {
	fmt.Fprintf(c.App.Writer, "%s %s\n", c.App.Name, c.App.Version)
}

// printHelp prints the help of a command: its UsageText, its Usage as a sentence, its
// options, and its Description. It takes the place of the library's templates.
func printHelp(w io.Writer, _ string, data any) {
	app := data.(*cli.App)
	usage := strings.ReplaceAll(app.UsageText, "\n", "\n       ")
	fmt.Fprintf(w, "Usage: %s\n%s\n\nOptions:\n", usage, sentence(app.Usage))
	for _, f := range app.VisibleFlags() {
		printFlag(w, f)
	}
	if app.Description != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(app.Description))
	}
}

// printFlag prints one option, its short names first; the value's name is what its
// usage text has in backquotes.
func printFlag(w io.Writer, f cli.Flag) {
	value, usage := unquote(f.(cli.DocGenerationFlag).GetUsage())
	var short, long []string
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = append(short, "-"+name)
		} else {
			long = append(long, "--"+name)
		}
	}
	names := strings.Join(append(short, long...), ", ")
	if len(short) == 0 {
		names = "    " + names
	}
	if takesValue(f) { // it has a long name
		names += "=" + value
	}
	names = "  " + names
	if len(names) > column-2 {
		fmt.Fprintln(w, names)
		names = ""
	}
	for _, line := range wrap(usage, 80-column) {
		fmt.Fprintf(w, "%-*s%s\n", column, names, line)
		names = ""
	}
}

// column is where what an option does begins in a line of help.
const column = 30

// wrap breaks text into lines of at most width bytes, where its words allow that.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

func unquote(usage string) (value, text string) {
	before, rest, _ := strings.Cut(usage, "`")
	value, after, _ := strings.Cut(rest, "`")
	return value, before + value + after
}

func sentence(s string) string {
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}
