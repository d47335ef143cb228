package lint

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWhatIsNotRacedIsRun fails for a test that is not built with the race detector and that
// `make budget`, which has none, does not run either: nobody would run it.
func TestWhatIsNotRacedIsRun(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`(?m)^PLAIN := (\S+)$`).FindSubmatch(makefile)
	if plain == nil {
		t.Fatal("the Makefile does not say which tests run without the race detector")
	}
	runs, seen := regexp.MustCompile(string(plain[1])), 0
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if len(f.AST.Comments) == 0 || f.AST.Comments[0].List[0].Text != "//go:build !race" {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") || fn.Recv != nil {
				continue
			}
			if seen++; !runs.MatchString(fn.Name.Name) {
				t.Error(f.problem(fn.Pos(), "%s runs neither with the race detector nor by make budget", fn.Name.Name))
			}
		}
	}
	if seen == 0 {
		t.Error("no test is built without the race detector")
	}
}
