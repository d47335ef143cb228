package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
)

// The limits. A function over smellLines is only shown by `go test -v`. Functions of test files
// may be longer: a table of cases, with the loop that runs it, reads best in one piece.
const (
	maxFileLines     = 500
	maxFunctionLines = 70
	maxTestLines     = 100
	smellLines       = 60
	maxParameters    = 5
	maxPackageFiles  = 30
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
func FunctionSize(f *File) []Problem {
	if f.Test {
		return longerThan(f, maxTestLines)
	}
	return longerThan(f, maxFunctionLines)
}

// PackageSize reports packages of too many files, tests left out: nobody finds a subject among
// them. A file with variants for several systems (open_unix.go, open_other.go) counts once.
func PackageSize(files []*File) []Problem {
	first, subjects := map[string]*File{}, map[string]map[string]bool{}
	var order []string
	for _, f := range files {
		if f.Test {
			continue
		}
		if first[f.Dir] == nil {
			first[f.Dir], subjects[f.Dir] = f, map[string]bool{}
			order = append(order, f.Dir)
		}
		subjects[f.Dir][systems.ReplaceAllString(f.Name, ".go")] = true
	}
	var out []Problem
	for _, dir := range order {
		if n := len(subjects[dir]); n > maxPackageFiles {
			f := first[dir]
			out = append(out, f.problem(f.AST.Name.Pos(), "package %s has %d files, more than %d: cut it by subject", f.AST.Name.Name, n, maxPackageFiles))
		}
	}
	return out
}

// systems are the ends of file names that tell variants for systems apart.
var systems = regexp.MustCompile(`_(linux|unix|other)\.go$`)

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
