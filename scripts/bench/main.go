// SPDX-License-Identifier: GPL-3.0-or-later

// Command bench measures the commands in bin/ beside other programs that do the same,
// and prints one table. It is run at the top of the source tree:
//
//	go run ./scripts/bench [-rounds N] [GROUP]...
//
// Groups are cat, ls, cp, dir, fsync, prep, check, tftp, direct and farm; all of them by default. Runs
// of ours and of the peers take turns; a row shows medians. A row whose peers are not installed
// says so. What the commands do is checked as well as timed: wrong bytes are an error.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// group is a part of the benchmark.
type group struct {
	name string
	run  func(b *bench) error
}

var groups = []group{
	{"cat", benchCat},
	{"ls", benchLs},
	{"cp", benchCp},
	{"dir", benchDir},
	{"fsync", benchFsync},
	{"prep", benchPrep},
	{"check", benchCheck},
	{"tftp", benchTFTP},
	{"direct", benchDirect},
	{"farm", benchFarm},
}

// bench is one run: where things are, and the table so far.
type bench struct {
	bin    string // directory of our commands
	tmp    string // directory for images
	rounds int
	rows   []row
}

// row is a line of the table.
type row struct{ what, ours, peer, ratio, bar, verdict string }

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-measure" {
		measureMain(os.Args[2:])
		return
	}
	rounds := flag.Int("rounds", 5, "how often each program runs")
	flag.Parse()
	if err := run(*rounds, flag.Args()); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run(rounds int, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(groups, func(g group) bool { return g.name == name }) {
			return fmt.Errorf("no group %q", name)
		}
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(bin, "nobodd-ls")); err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	tmp, err := os.MkdirTemp("", "nobodd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	os.Setenv("MTOOLS_SKIP_CHECK", "1")
	os.Setenv("LC_ALL", "C.UTF-8")
	b := &bench{bin: bin, tmp: tmp, rounds: max(1, rounds)}
	for _, g := range groups {
		if len(names) > 0 && !slices.Contains(names, g.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", g.name)
		if err := g.run(b); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return b.print()
}

// skip adds a row that was not measured, and why.
func (b *bench) skip(what string, absent []string) {
	b.rows = append(b.rows, row{what: what, verdict: "skipped: no " + strings.Join(absent, ", ")})
}

// atMost adds a row of a value that must not exceed bar.
func (b *bench) atMost(what string, value, bar float64, unit string) {
	b.rows = append(b.rows, row{
		what: what, ours: format(value, unit), bar: "<= " + format(bar, unit), verdict: verdict(value <= bar),
	})
}

// against adds a row that compares two values. A bar above 0 is the most that ours/peer
// may be, one below 0 the least.
func (b *bench) against(what, peerName string, ours, peer, bar float64, unit string) {
	r := row{
		what: what, ours: format(ours, unit), peer: peerName + " " + format(peer, unit),
		ratio: fmt.Sprintf("%.2f", ours/peer), verdict: "-",
	}
	switch {
	case bar > 0:
		r.bar, r.verdict = fmt.Sprintf("<= %.1f", bar), verdict(ours/peer <= bar)
	case bar < 0:
		r.bar, r.verdict = fmt.Sprintf(">= %.1f", -bar), verdict(ours/peer >= -bar)
	}
	b.rows = append(b.rows, r)
}

func verdict(met bool) string {
	if met {
		return "ok"
	}
	return "MISSED"
}

func format(value float64, unit string) string {
	switch {
	case unit == "":
		return fmt.Sprintf("%.0f", value)
	case unit == "ms" && value < 10:
		return fmt.Sprintf("%.1f ms", value)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}

func (b *bench) print() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tNOBODD\tPEER\tRATIO\tBAR\tVERDICT")
	for _, r := range b.rows {
		fmt.Fprintln(w, strings.Join([]string{r.what, r.ours, r.peer, r.ratio, r.bar, r.verdict}, "\t"))
	}
	return w.Flush()
}
