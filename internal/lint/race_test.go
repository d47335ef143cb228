package lint

import (
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// makefileWords returns the words of a variable of the Makefile.
func makefileWords(t *testing.T, name string) []string {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^` + name + ` *:= (.+)$`).FindSubmatch(makefile)
	if line == nil {
		t.Fatalf("the Makefile has no %s", name)
	}
	return strings.Fields(string(line[1]))
}

// TestWhatIsNotRacedIsRun fails for a test that is not built with the race detector and that
// `make budget`, which has none, does not run either: nobody would run it. Packages that `make
// plain` runs run whole.
func TestWhatIsNotRacedIsRun(t *testing.T) {
	runs, seen := regexp.MustCompile(makefileWords(t, "PLAIN")[0]), 0
	whole := slices.Concat(makefileWords(t, "ALONE"), makefileWords(t, "CHILDREN"))
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
			if seen++; !runs.MatchString(fn.Name.Name) && !slices.Contains(whole, "./"+f.Dir) {
				t.Error(f.problem(fn.Pos(), "%s runs neither with the race detector nor by make budget", fn.Name.Name))
			}
		}
	}
	if seen == 0 {
		t.Error("no test is built without the race detector")
	}
}

// TestAloneStartsNoGoroutine fails for a package that `make race` leaves out as one without
// goroutines, when it starts one, in its tests too, or imports a package of ours that does.
// internal/testkit and internal/lab, the instruments, are left out: what their goroutines share is
// no product of ours.
func TestAloneStartsNoGoroutine(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, alone := range makefileWords(t, "ALONE") {
		dir := strings.TrimPrefix(alone, "./")
		seen := map[string]bool{"internal/testkit": true, "internal/lab": true}
		if !slices.ContainsFunc(files, func(f *File) bool { return f.Dir == dir && f.Test }) {
			t.Errorf("%s, which the Makefile names, has no tests", alone)
		}
		for _, p := range goroutines(files, dir, true, seen) {
			t.Errorf("%s, so %s needs the race detector", p, alone)
		}
	}
}

// goroutines returns where a package, and those of ours that it imports, start goroutines. Of the
// package itself, first, the tests count. seen has the packages that were looked at.
func goroutines(files []*File, dir string, first bool, seen map[string]bool) (found []Problem) {
	if seen[dir] {
		return nil
	}
	seen[dir] = true
	for _, f := range files {
		if f.Dir != dir || f.Test && !first {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if startsGoroutine(n) {
				found = append(found, f.problem(n.Pos(), "starts a goroutine"))
			}
			return true
		})
		for _, i := range f.AST.Imports {
			if imported, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), Module+"/"); ours {
				found = append(found, goroutines(files, imported, false, seen)...)
			}
		}
	}
	return found
}

// startsGoroutine tells of a node that it is a go statement, or calls a method that is one: Go of
// groups, Parallel and RunParallel of tests.
func startsGoroutine(n ast.Node) bool {
	if _, ok := n.(*ast.GoStmt); ok {
		return true
	}
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	selected, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Go", "Parallel", "RunParallel"}, selected.Sel.Name)
}
