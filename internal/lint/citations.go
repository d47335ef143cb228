package lint

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// testName finds tests that a document names, in backticks.
var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`")

// Citations reports tests that the document names and that no file has. A document that
// says what holds is believed for its tests, so each of them must exist.
func Citations(name, text string, files []*File) []Problem {
	var tests []string
	for _, f := range files {
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
	}
	return out
}
