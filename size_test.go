// SPDX-License-Identifier: GPL-3.0-or-later

package nobodd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A reader is to hold a function, and a file, in the head.
const (
	maxFunction = 45  // lines
	maxNesting  = 3   // blocks inside that of the function
	maxFile     = 450 // lines, of product code
)

// TestSizes: no function of the product is longer or nested deeper than that, but where its comment says why,
// with the word "long" or "deep"; no file is longer.
func TestSizes(t *testing.T) {
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return checkSizes(t, path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func checkSizes(t *testing.T, path string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	if lines := set.File(file.Pos()).LineCount(); lines > maxFile {
		t.Errorf("%s has %d lines", path, lines)
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		first := set.Position(f.Pos())
		lines := set.Position(f.End()).Line - first.Line + 1
		if lines > maxFunction && !strings.Contains(f.Doc.Text(), "long") {
			t.Errorf("%s:%d: %s has %d lines", path, first.Line, f.Name.Name, lines)
		}
		if deep := nesting(f.Body) - 1; deep > maxNesting && !strings.Contains(f.Doc.Text(), "deep") {
			t.Errorf("%s:%d: %s is nested %d deep", path, first.Line, f.Name.Name, deep)
		}
	}
	return nil
}

// nesting returns how many blocks lie in each other in n at most, n's own included. The cases of a switch count as
// one with it, and an else if is as deep as its if.
func nesting(n ast.Node) int {
	deepest := 0
	ast.Inspect(n, func(child ast.Node) bool {
		if child == nil || child == n {
			return child != nil
		}
		switch child.(type) {
		case *ast.BlockStmt, *ast.FuncLit:
			deepest = max(deepest, nesting(child))
			return false
		}
		return true
	})
	if _, ok := n.(*ast.BlockStmt); ok {
		return deepest + 1
	}
	return deepest
}
