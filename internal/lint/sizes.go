package lint

import (
	"go/ast"
	"go/token"
	"slices"
)

// The limits. A function over smellLines is only shown by `go test -v`.
const (
	maxFileLines     = 700
	maxFunctionLines = 100
	smellLines       = 60
	maxParameters    = 5
)

// foreign are methods whose parameters others have chosen: hooks of kgo.
var foreign = []string{"OnBrokerRead", "OnBrokerWrite"}

// FileSize reports files that are too long to be read in one go.
func FileSize(f *File) []Problem {
	if n := f.Fset.File(f.AST.FileStart).LineCount(); n > maxFileLines {
		return []Problem{f.problem(f.AST.FileEnd, "the file has %d lines, more than %d: cut it by subject", n, maxFileLines)}
	}
	return nil
}

// FunctionSize reports functions that are too long.
func FunctionSize(f *File) []Problem { return longerThan(f, maxFunctionLines) }

// LongFunctions reports functions that are long enough to be looked at.
func LongFunctions(f *File) []Problem { return longerThan(f, smellLines) }

func longerThan(f *File, limit int) []Problem {
	var out []Problem
	eachFunc(f, func(fn *ast.FuncDecl) {
		if n := f.lines(fn.Pos(), fn.End()); n > limit {
			out = append(out, f.problem(fn.Pos(), "function %s has %d lines, more than %d", fn.Name.Name, n, limit))
		}
	})
	return out
}

// Parameters reports functions, methods and function literals with too many
// parameters. A literal in a test may have more: f(in, want, …) with a call a
// line is how cases are written down.
func Parameters(f *File) []Problem {
	var out []Problem
	check := func(at token.Pos, name string, sig *ast.FuncType) {
		if n := sig.Params.NumFields(); n > maxParameters {
			out = append(out, f.problem(at, "%s has %d parameters, more than %d: some of them belong together", name, n, maxParameters))
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil || !slices.Contains(foreign, n.Name.Name) {
				check(n.Pos(), "function "+n.Name.Name, n.Type)
			}
		case *ast.FuncLit:
			if !f.Test {
				check(n.Pos(), "the function literal", n.Type)
			}
		}
		return true
	})
	return out
}

func eachFunc(f *File, do func(*ast.FuncDecl)) {
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			do(fn)
		}
	}
}
