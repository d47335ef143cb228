package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the path of the module that the rules are for.
const Module = "millrace"

// File is one parsed Go file.
type File struct {
	// Dir is the package's folder within the module, with slashes; "" is the root.
	Dir string
	// Name is the file's name.
	Name string
	// Test says that it is a _test.go file.
	Test bool
	// AST is the file with its comments, Fset its positions.
	AST  *ast.File
	Fset *token.FileSet
}

// Problem is one broken rule.
type Problem struct {
	// Where is file:line, with the file's path within the module.
	Where string
	// What, a sentence, tells the fault and the remedy.
	What string
}

// String is the problem as compilers print them.
func (p Problem) String() string { return p.Where + ": " + p.What }

// Rule looks at one file.
type Rule func(f *File) []Problem

// Rules are all rules that look at one file at a time; [PackageComments], [PackageSize] and
// [Sleeps] need to see a whole package.
var Rules = []Rule{
	Layers, Fences, Unsafe, Bodies,
	FileSize, FunctionSize, Parameters,
	Names, DocComments, LeftOvers,
	Phrases, DocStart, CommentWidth, LogKeys,
}

// Check applies all rules to all files.
func Check(files []*File) []Problem {
	var all []Problem
	for _, f := range files {
		for _, rule := range Rules {
			all = append(all, rule(f)...)
		}
	}
	return append(all, slices.Concat(PackageComments(files), PackageSize(files), Sleeps(files))...)
}

// problem makes a [Problem] at a node of the file.
func (f *File) problem(at token.Pos, format string, args ...any) Problem {
	line := f.Fset.Position(at).Line
	return Problem{
		Where: fmt.Sprintf("%s:%d", strings.TrimPrefix(f.Dir+"/"+f.Name, "/"), line),
		What:  fmt.Sprintf(format, args...),
	}
}

// lines is the number of lines between two places, both included.
func (f *File) lines(from, to token.Pos) int {
	return f.Fset.Position(to).Line - f.Fset.Position(from).Line + 1
}

// Load parses the Go files of the module that contains the working directory,
// those that build tags leave out here included.
func Load() ([]*File, error) {
	root, err := goList("-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-json=Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = strings.TrimSpace(string(root))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list packages: %w", err)
	}
	var files []*File
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Dir                                                          string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, fmt.Errorf("cannot read the list of packages: %w", err)
		}
		for _, names := range [][]string{pkg.GoFiles, pkg.CgoFiles, pkg.IgnoredGoFiles, pkg.TestGoFiles, pkg.XTestGoFiles} {
			for _, name := range names {
				f, err := parse(cmd.Dir, pkg.Dir, name, nil)
				if err != nil {
					return nil, err
				}
				files = append(files, f)
			}
		}
	}
}

func goList(args ...string) ([]byte, error) {
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot run go list %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// parse reads a file of the package in dir; src replaces what is on the disk
// when not nil.
func parse(root, dir, name string, src any) (*File, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, filepath.Join(dir, name), src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %s: %w", name, err)
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, fmt.Errorf("cannot place %s in the module: %w", dir, err)
	}
	rel = filepath.ToSlash(rel)
	if rel == "." {
		rel = ""
	}
	return &File{Dir: rel, Name: name, Test: strings.HasSuffix(name, "_test.go"), AST: tree, Fset: fset}, nil
}
