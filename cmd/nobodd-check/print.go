// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"nobodd/internal/pi"
	"nobodd/internal/text"
)

// printer prints results.
type printer struct {
	w              io.Writer
	quiet, verbose bool
	headings       bool // there are several addresses
}

// shown reports whether a finding is to be printed.
func (p printer) shown(f pi.Finding) bool {
	return (!p.quiet || f.Status == pi.Fail) && (p.verbose || !f.Detail)
}

// table prints one line a model.
func (p printer) table(results []result) error {
	for i, res := range results {
		if p.headings {
			if i > 0 {
				fmt.Fprintln(p.w)
			}
			fmt.Fprintf(p.w, "%s:\n", text.Printable(strings.TrimSuffix(res.address, ":/")))
		}
		tw := tabwriter.NewWriter(p.w, 0, 0, 1, ' ', 0)
		fmt.Fprintln(tw, "MODEL\tBOOTS\tWHY")
		for _, rep := range res.reports {
			boots, why := "yes", "-"
			if f := rep.FirstFailure(); f != nil {
				boots, why = "no", f.Check+": "+text.Printable(f.Text)
			} else if n := rep.Count(pi.Warn); n > 0 {
				why = count(n, "warning")
			}
			if !p.quiet || boots == "no" {
				fmt.Fprintf(tw, "%s\t%s\t%s\n", rep.Model.Name, boots, why)
			}
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// lines prints one line a check, under a heading for each board, and a summary.
func (p printer) lines(results []result) {
	var fails, warns, models int
	for _, res := range results {
		models = len(res.reports)
		for _, rep := range res.reports {
			fails, warns = fails+rep.Count(pi.Fail), warns+rep.Count(pi.Warn)
			if !p.quiet || !rep.Boots() {
				fmt.Fprintf(p.w, "%s as a %s over the network\n", text.Printable(strings.TrimSuffix(res.address,
					"/")), rep.Model.Title)
			}
			for _, f := range rep.Findings {
				p.finding(f)
			}
		}
	}
	if p.quiet || models == 0 {
		return
	}
	what := count(models, "model")
	if len(results) > 1 {
		what += fmt.Sprintf(" in %d images", len(results))
	}
	fmt.Fprintf(p.w, "%s, %s, %s\n", what, count(fails, "failure"), count(warns, "warning"))
}

// finding prints one line, and what to do below it.
func (p printer) finding(f pi.Finding) {
	if !p.shown(f) {
		return
	}
	fmt.Fprintf(p.w, "%-4s  %-10s  %s\n", f.Status, f.Check, text.Printable(f.Text))
	below := f.Do
	if rule := pi.RuleOf(f.Rule); p.verbose && rule != nil && f.Status >= pi.Warn {
		below = append(below, "["+rule.Source+"]")
	}
	for _, line := range below {
		fmt.Fprintf(p.w, "%18s%s\n", "", text.Printable(line))
	}
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// jsonBoard and jsonCheck are the objects of --json; their keys stay.
type jsonBoard struct {
	Address string      `json:"address"`
	Model   string      `json:"model"`
	Boots   bool        `json:"boots"`
	Checks  []jsonCheck `json:"checks"`
}

type jsonCheck struct {
	Status string   `json:"status"`
	Check  string   `json:"check"`
	Found  string   `json:"found"`
	Do     []string `json:"do,omitempty"`
	Source string   `json:"source,omitempty"`
}

// jsonChecks returns those of findings that are shown.
func (p printer) jsonChecks(findings []pi.Finding) []jsonCheck {
	checks := []jsonCheck{}
	for _, f := range findings {
		if !p.shown(f) {
			continue
		}
		check := jsonCheck{Status: f.Status.String(), Check: f.Check, Found: f.Text, Do: f.Do}
		if rule := pi.RuleOf(f.Rule); rule != nil {
			check.Source = rule.Source
		}
		checks = append(checks, check)
	}
	return checks
}

// json prints one array with an object for each address and model.
func (p printer) json(results []result) error {
	boards := []jsonBoard{}
	for _, res := range results {
		for _, rep := range res.reports {
			boards = append(boards, jsonBoard{Address: strings.TrimSuffix(res.address, "/"), Model: rep.Model.Name,
				Boots: rep.Boots(), Checks: p.jsonChecks(rep.Findings)})
		}
	}
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(boards)
}
