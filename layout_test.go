// SPDX-License-Identifier: GPL-3.0-or-later

// Package nobodd holds no code: this test keeps the imports of its packages in one
// direction.
package nobodd

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "nobodd/"

// allowed holds, for each package, what it may import directly: packages of this module
// without the prefix, and other modules by the beginning of their paths. The standard
// library is free to all but those below that name what they must not import of it.
var allowed = map[string][]string{
	"internal/addr":      {},
	"internal/partition": {},
	"internal/fat":       {"golang.org/x/text/"},
	"internal/image":     {"internal/addr", "internal/partition", "internal/fat", "golang.org/x/sys/"},
	"internal/pi":        {"github.com/klauspost/compress/", "github.com/pierrec/lz4/v4", "github.com/ulikunitz/xz"},
	"internal/hostfs":    {"internal/fat", "golang.org/x/sys/"},
	"internal/tree":      {"internal/addr", "internal/image", "internal/hostfs", "internal/fat"},
	"internal/text":      {"github.com/dustin/go-humanize"},
	"internal/tool":      {"internal/text", "github.com/urfave/cli/v2", "github.com/dustin/go-humanize", "golang.org/x/sys/"},
	"internal/config":    {"internal/addr"},
	"internal/tftp":      {"github.com/pin/tftp/v3/netascii", "golang.org/x/sys/"},
	"internal/bootd":     {"internal/config", "internal/tftp", "internal/image", "internal/fat", "internal/text", "github.com/coreos/go-systemd/v22/"},
}

// commands is what every command but nobodd-check and nobodd-tftpd may import.
var commands = []string{"internal/tool", "internal/text", "internal/tree", "internal/image", "internal/addr", "github.com/urfave/cli/v2"}

// checker is what nobodd-check may import.
var checker = []string{"internal/tool", "internal/text", "internal/image", "internal/addr", "internal/pi", "github.com/urfave/cli/v2"}

// daemon is what nobodd-tftpd may import.
var daemon = []string{"internal/tool", "internal/config", "internal/bootd", "github.com/urfave/cli/v2"}

// testsOnly is what only tests are made of or import.
var testsOnly = []string{"internal/testimg", "internal/fatcheck", "internal/scripttest", "internal/storytest", "internal/installtest", "man"}

// forbidden holds what of the standard library a package must not import.
var forbidden = map[string][]string{
	"internal/partition": {"os", "net", "log", "log/slog"},
	"internal/fat":       {"os", "net", "log", "log/slog", "syscall"},
	"internal/addr":      {"os", "net", "log", "log/slog", "syscall"},
	"internal/config":    {"net/http"},
	"internal/tftp":      {"log", "log/slog"},
}

func TestImportsGoOneWay(t *testing.T) {
	imports := listImports(t)
	if len(imports) == 0 {
		t.Fatal("go list found no packages")
	}
	for pkg, list := range imports {
		name := strings.TrimPrefix(pkg, module)
		rules, known := allowed[name]
		switch {
		case known:
		case name == "cmd/nobodd-tftpd":
			rules = daemon
		case name == "cmd/nobodd-check":
			rules = checker
		case strings.HasPrefix(name, "cmd/"):
			rules = commands
		case strings.HasPrefix(name, "scripts/") || slices.Contains(testsOnly, name):
			continue // tests and what developers run
		default:
			t.Errorf("%s has no rule here", name)
			continue
		}
		for _, imp := range list {
			if !permitted(imp, rules) {
				t.Errorf("%s imports %s", name, imp)
			}
			if slices.Contains(forbidden[name], imp) {
				t.Errorf("%s imports %s", name, imp)
			}
		}
	}
}

func permitted(imp string, rules []string) bool {
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") && first+"/" != module {
		return true // the standard library
	}
	return slices.ContainsFunc(rules, func(rule string) bool {
		imp := strings.TrimPrefix(imp, module)
		return imp == rule || strings.HasSuffix(rule, "/") && strings.HasPrefix(imp, rule) ||
			strings.Contains(rule, ".") && strings.HasPrefix(imp, rule+"/")
	})
}

// TestNothingShipsMore: what is installed must not depend on what tests import, nor on the
// manual page generator of the command line library.
func TestNothingShipsMore(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-tags", "urfave_cli_no_docs", "./cmd/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for _, dep := range strings.Fields(string(out)) {
		if dep == "testing" || strings.HasPrefix(dep, module+"internal/testimg") || strings.HasPrefix(dep, module+"internal/fatcheck") || strings.Contains(dep, "rogpeppe") ||
			strings.Contains(dep, "blackfriday") || strings.Contains(dep, "md2man") {
			t.Errorf("a command depends on %s", dep)
		}
	}
}

// TestOnlyNetasciiOfPin: pin/tftp is a codec to one package of what is installed, and nothing to the others.
func TestOnlyNetasciiOfPin(t *testing.T) {
	for pkg, list := range listImports(t) {
		name := strings.TrimPrefix(pkg, module)
		if strings.HasPrefix(name, "scripts/") {
			continue
		}
		for _, imp := range list {
			if strings.HasPrefix(imp, "github.com/pin/tftp") && !(name == "internal/tftp" && imp == "github.com/pin/tftp/v3/netascii") {
				t.Errorf("%s imports %s", name, imp)
			}
		}
	}
}

// TestLayoutOfCalls: one package ends the process, and one opens what an image holds.
func TestLayoutOfCalls(t *testing.T) {
	only := map[string]string{"os.Exit(": "internal/tool", "fat.Open(": "internal/image", "partition.Read(": "internal/image"}
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			name := filepath.ToSlash(filepath.Dir(path))
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || slices.Contains(testsOnly, name) {
				return err
			}
			text, err := os.ReadFile(path)
			for call, home := range only {
				if name != home && strings.Contains(string(text), call) {
					t.Errorf("%s has a call of %s)", path, call)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listImports returns the direct imports of every package of the module, tests left out.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{if .GoFiles}}{{.ImportPath}} {{join .Imports " "}}{{end}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	imports := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 0 {
			imports[fields[0]] = fields[1:]
		}
	}
	return imports
}
