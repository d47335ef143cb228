package lint

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// emptyNames say nothing about what is inside.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc"}

// Names reports packages and files whose name says nothing about what is in
// them: what cannot be guessed cannot be found.
func Names(f *File) []Problem {
	var out []Problem
	if slices.Contains(emptyNames, path.Base(f.Dir)) || slices.Contains(emptyNames, strings.TrimSuffix(f.AST.Name.Name, "_test")) {
		out = append(out, f.problem(f.AST.Name.Pos(), "the package's name %s says nothing: name it for what it does", f.AST.Name.Name))
	}
	if slices.Contains(emptyNames, strings.TrimSuffix(strings.TrimSuffix(f.Name, ".go"), "_test")) {
		out = append(out, f.problem(f.AST.Name.Pos(), "the file's name %s says nothing: name it for what is in it", f.Name))
	}
	return out
}

// DocComments reports what is exported and has no comment. One comment may
// stand for a whole group of constants or variables.
func DocComments(f *File) []Problem {
	if f.Test {
		return nil
	}
	var out []Problem
	for _, d := range f.AST.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				out = append(out, f.problem(d.Pos(), "exported function %s has no comment", d.Name.Name))
			}
		case *ast.GenDecl:
			out = append(out, groupComments(f, d)...)
		}
	}
	return out
}

func groupComments(f *File, d *ast.GenDecl) []Problem {
	var out []Problem
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			// In a group of types each needs its own.
			alone := d.Doc != nil && !d.Lparen.IsValid()
			if spec.Name.IsExported() && spec.Doc == nil && !alone {
				out = append(out, f.problem(spec.Pos(), "exported type %s has no comment", spec.Name.Name))
			}
		case *ast.ValueSpec:
			if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					out = append(out, f.problem(name.Pos(), "exported %s %s has no comment", d.Tok, name.Name))
				}
			}
		}
	}
	return out
}

// exportedReceiver reports whether fn is no method, or one of an exported type.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// PackageComments reports packages of which no file has a package comment.
func PackageComments(files []*File) []Problem {
	first, commented := map[string]*File{}, map[string]bool{}
	var order []string
	for _, f := range files {
		if f.Test {
			continue
		}
		if first[f.Dir] == nil {
			first[f.Dir] = f
			order = append(order, f.Dir)
		}
		commented[f.Dir] = commented[f.Dir] || f.AST.Doc != nil
	}
	var out []Problem
	for _, dir := range order {
		if f := first[dir]; !commented[dir] {
			out = append(out, f.problem(f.AST.Name.Pos(), "package %s has no package comment: write its doc.go", f.AST.Name.Name))
		}
	}
	return out
}

var leftOver = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// LeftOvers reports comments that put work off: it is done, or it is an issue.
func LeftOvers(f *File) []Problem {
	var out []Problem
	for _, group := range f.AST.Comments {
		for _, c := range group.List {
			if word := leftOver.FindString(c.Text); word != "" {
				out = append(out, f.problem(c.Pos(), "%s in a comment: do it, or make it an issue", word))
			}
		}
	}
	return out
}

// Sleeps reports time.Sleep in tests, where a condition must be waited for; to
// poll one there is testkit.Eventually. Inside of synctest.Test, called directly
// or by a function of the same package, it is allowed: there it moves a clock
// and takes no time.
func Sleeps(files []*File) []Problem {
	bubbles := map[string]bool{} // "dir.name" of functions that call synctest.Test
	for _, f := range files {
		eachFunc(f, func(fn *ast.FuncDecl) {
			eachCall(fn, func(call *ast.CallExpr) bool {
				if isCall(f, call, "testing/synctest", "Test") {
					bubbles[f.Dir+"."+fn.Name.Name] = true
				}
				return true
			})
		})
	}
	var out []Problem
	for _, f := range files {
		if !f.Test {
			continue
		}
		eachCall(f.AST, func(call *ast.CallExpr) bool {
			if isCall(f, call, "time", "Sleep") {
				out = append(out, f.problem(call.Pos(), "time.Sleep in a test: wait for a condition (testkit.Eventually), or use synctest.Test"))
			}
			x, named := call.Fun.(*ast.Ident)
			return !isCall(f, call, "testing/synctest", "Test") && !(named && bubbles[f.Dir+"."+x.Name])
		})
	}
	return out
}

// eachCall visits the calls below n; do says whether to look inside of one.
func eachCall(n ast.Node, do func(*ast.CallExpr) bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		return !ok || do(call)
	})
}

// isCall reports whether call is pkg.name(…) of the package imported from from.
func isCall(f *File, call *ast.CallExpr, from, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, spec := range f.AST.Imports {
		if importPath(spec.Path.Value) != from {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name == x.Name
		}
		return path.Base(from) == x.Name
	}
	return false
}
