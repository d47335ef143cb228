package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// testName finds tests that a document names, in backticks.
var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`")

// fileName finds Go files that a document names, in backticks, with or without folders.
var fileName = regexp.MustCompile("`([a-z0-9_/]+\\.go)`")

// Citations reports tests and Go files that the document names and that do not exist. A
// reader believes a document for its tests, and loses an hour by a file that was moved.
func Citations(name, text string, files []*File) []Problem {
	var tests, paths []string
	for _, f := range files {
		paths = append(paths, "/"+path.Join(f.Dir, f.Name))
		if f.Test {
			eachFunc(f, func(fn *ast.FuncDecl) { tests = append(tests, fn.Name.Name) })
		}
	}
	var out []Problem
	line := 0
	for row := range strings.Lines(text) {
		line++
		for _, m := range testName.FindAllStringSubmatch(row, -1) {
			if !slices.Contains(tests, m[1]) {
				out = append(out, Problem{fmt.Sprintf("%s:%d", name, line), m[1] + " is no test"})
			}
		}
		for _, m := range fileName.FindAllStringSubmatch(row, -1) {
			if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, "/"+m[1]) }) {
				out = append(out, Problem{fmt.Sprintf("%s:%d", name, line), m[1] + " is no file"})
			}
		}
	}
	return out
}
