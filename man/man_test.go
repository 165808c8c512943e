// SPDX-License-Identifier: GPL-3.0-or-later

// Package man compares the manual pages with the programs that they describe.
package man

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

func pages(t *testing.T) []string {
	files, err := filepath.Glob("*.[1-8]")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return files
}

func read(t *testing.T, page string) string {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "curl" { // see examples
		if err := curl(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testimg.Main(m)
}

// programs returns the path of each program that has options.
func programs(t *testing.T) map[string]string {
	bin := testimg.Commands(t)
	programs := map[string]string{"nobodd-prep": "../scripts/nobodd-prep", "nobodd-farm": "../scripts/nobodd-farm"}
	names, err := filepath.Glob("../cmd/nobodd-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		programs[filepath.Base(name)] = filepath.Join(bin, filepath.Base(name))
	}
	return programs
}

var (
	helpLine   = regexp.MustCompile(`(?m)^ +(-.*?)(?:  .*)?$`) // up to two spaces
	helpOption = regexp.MustCompile(`(--?[[:alnum:]][[:alnum:]-]*)`)
	pageItem   = regexp.MustCompile(`(?m)^\.It (Fl .*)$`)
	pageOption = regexp.MustCompile(`Fl (-?[[:alnum:]][[:alnum:]-]*)`)
)

// set returns the options in each line of text that line matches.
func set(text string, line, option *regexp.Regexp, prefix string) map[string]bool {
	options := map[string]bool{}
	for _, l := range line.FindAllStringSubmatch(text, -1) {
		for _, o := range option.FindAllStringSubmatch(l[1], -1) {
			options[prefix+o[1]] = true
		}
	}
	return options
}

func TestOptions(t *testing.T) {
	programs := programs(t)
	for name, path := range programs {
		found, err := filepath.Glob(name + ".[18]")
		if err != nil || len(found) != 1 {
			t.Errorf("%s has no page", name)
			continue
		}
		help, err := exec.Command(path, "--help").Output()
		if err != nil {
			t.Errorf("%s --help: %v", name, err)
			continue
		}
		want := set(string(help), helpLine, helpOption, "")
		got := set(read(t, found[0]), pageItem, pageOption, "-")
		for option := range want {
			if !got[option] {
				t.Errorf("%s does not describe %s", found[0], option)
			}
		}
		for option := range got {
			if !want[option] {
				t.Errorf("%s describes %s, which %s --help does not have", found[0], option, name)
			}
		}
	}
	for _, page := range pages(t) {
		name := strings.TrimSuffix(page, filepath.Ext(page))
		if filepath.Ext(page) != ".5" && filepath.Ext(page) != ".7" && programs[name] == "" {
			t.Errorf("%s describes no program", page)
		}
	}
}

// The sections that a reader looks for are there, and each page is named as it says.
func TestSections(t *testing.T) {
	for _, page := range pages(t) {
		text := read(t, page)
		section := filepath.Ext(page)[1:]
		name := strings.TrimSuffix(page, "."+section)
		want := []string{
			fmt.Sprintf(".Dt %s %s\n", strings.ToUpper(name), section),
			fmt.Sprintf(".Sh NAME\n.Nm %s\n.Nd ", name),
			".Sh DESCRIPTION\n", ".Sh EXAMPLES\n", ".Sh SEE ALSO\n",
		}
		if section == "1" || section == "8" {
			want = append(want, ".Sh SYNOPSIS\n", ".Sh EXIT STATUS\n")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q", page, w)
			}
		}
	}
}

var reference = regexp.MustCompile(`(?m)^\.Xr (nobodd\S*) (\d)`)

// A reference to a page of ours leads to one.
func TestReferences(t *testing.T) {
	all := pages(t)
	for _, page := range all {
		for _, r := range reference.FindAllStringSubmatch(read(t, page), -1) {
			if !slices.Contains(all, r[1]+"."+r[2]) {
				t.Errorf("%s refers to %s(%s), which is not there", page, r[1], r[2])
			}
		}
	}
}

func TestLint(t *testing.T) {
	testimg.NeedPeer(t, "mandoc")
	args := append([]string{"-Tlint", "-Wwarning"}, pages(t)...)
	if out, err := exec.Command("mandoc", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}
