package lint

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxColumns bounds a line of prose, in comments and in documents.
const maxColumns = 100

// phrase is a way of saying something that the next reader stumbles over.
type phrase struct {
	pattern *regexp.Regexp
	instead string
}

var phrases = []phrase{
	{regexp.MustCompile(`(?i)\btr(y|ies|ying|ied) on\b`), "retry"},
	{regexp.MustCompile(`(?i)\bpass(es|ed|ing)? on\b`), "forward, or hand over"},
	{regexp.MustCompile(`(?i)\b(send|sends|sent|sending) on\b`), "forward"},
	{regexp.MustCompile(`(?i)\bfor ever\b`), "without a bound, or forever"},
	{regexp.MustCompile(`(?i)\b(say|says|said|saying) so\b`), "say what is said"},
	{regexp.MustCompile(`(?i)\bbe (it|they)\b`), "even if"},
	{regexp.MustCompile(`(?i)\bis there\b`), "exists, or is available"},
	{regexp.MustCompile(`(^|[.!:] )Who(ever)? `), "a subject: the client that, the caller that"},
	{regexp.MustCompile(`(^|[.!:] )What(ever)? [^?]*$`), "a subject: the noun itself"},
}

// Phrases reports comments that say something in other words than the field's.
func Phrases(f *File) []Problem {
	var out []Problem
	for _, group := range f.AST.Comments {
		for _, sentence := range sentences(group) {
			for _, p := range phrases {
				if p.pattern.MatchString(sentence) {
					out = append(out, f.problem(group.Pos(), "%q in a comment: write %s", clip(sentence), p.instead))
				}
			}
		}
	}
	return out
}

// sentences returns the sentences of a comment with their terminators, by which a question is
// recognised, and without the comment's code blocks.
func sentences(group *ast.CommentGroup) []string {
	var prose []string
	for line := range strings.SplitSeq(group.Text(), "\n") {
		if !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "  ") {
			prose = append(prose, strings.TrimSpace(line))
		}
	}
	text := strings.Join(prose, " ")
	var out []string
	for at := sentenceEnd.FindStringIndex(text); at != nil; at = sentenceEnd.FindStringIndex(text) {
		out = append(out, text[:at[0]+1])
		text = text[at[1]:]
	}
	return append(out, text)
}

var sentenceEnd = regexp.MustCompile(`[.!?] +`)

func clip(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// DocStart reports documented exported functions and types whose comment does not begin
// with their name, by which tools and readers find it.
func DocStart(f *File) []Problem {
	if f.Test {
		return nil
	}
	var out []Problem
	check := func(at token.Pos, name string, doc *ast.CommentGroup) {
		if doc != nil && ast.IsExported(name) && !beginsWith(doc.Text(), name) {
			out = append(out, f.problem(at, "the comment of %s begins with other words than its name", name))
		}
	}
	for _, d := range f.AST.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			check(d.Pos(), d.Name.Name, d.Doc)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					doc := t.Doc
					if doc == nil && !d.Lparen.IsValid() {
						doc = d.Doc
					}
					check(t.Pos(), t.Name.Name, doc)
				}
			}
		}
	}
	return out
}

func beginsWith(doc, name string) bool {
	for _, article := range []string{"", "A ", "An ", "The "} {
		if rest, ok := strings.CutPrefix(doc, article+name); ok && (rest == "" || strings.ContainsAny(rest[:1], " ,.:'’\n")) {
			return true
		}
	}
	return false
}

// CommentWidth reports lines of comments that are too wide.
func CommentWidth(f *File) []Problem {
	var out []Problem
	for _, group := range f.AST.Comments {
		for _, c := range group.List {
			at := f.Fset.Position(c.Pos())
			for n, line := range strings.Split(c.Text, "\n") {
				width := utf8.RuneCountInString(line)
				if n == 0 {
					width += at.Column - 1
				}
				// A line of code, and one that nothing could break, such as a URL, stay as they are.
				if width > maxColumns && !strings.HasPrefix(line, "//\t") && alone(f, c) && strings.Contains(strings.TrimLeft(line, "/ \t"), " ") {
					out = append(out, f.problem(c.Pos(), "a comment line has %d columns, more than %d", width, maxColumns))
				}
			}
		}
	}
	return out
}

// alone reports whether nothing but the comment stands on its line.
func alone(f *File, c *ast.Comment) bool {
	return f.Fset.Position(c.Pos()).Column <= 1+8*indent
}

// indent is how deep a comment of its own line may stand: one behind code stands deeper,
// or follows short code, and is cut by hand.
const indent = 6

// LogKeys reports log lines that call an error something else than err.
func LogKeys(f *File) []Problem {
	var out []Problem
	eachCall(f.AST, func(call *ast.CallExpr) bool {
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !logMethods[sel.Sel.Name] || len(call.Args) < 3 {
			return true
		}
		for _, arg := range call.Args[1:] {
			if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if key, _ := strconv.Unquote(lit.Value); key == "error" {
					out = append(out, f.problem(arg.Pos(), `the key of an error in the log is "err", not "error"`))
				}
			}
		}
		return true
	})
	return out
}

var logMethods = map[string]bool{"Debug": true, "Info": true, "Warn": true, "Error": true}

// Documents reports lines of the repository's documents that are too wide, and phrases
// that their readers stumble over. Tables, code and links stand as they are.
func Documents() ([]Problem, error) {
	root, err := goList("-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	dir := strings.TrimSpace(string(root))
	list := exec.Command("git", "ls-files", "*.md")
	list.Dir = dir
	names, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list the documents: %w", err)
	}
	var out []Problem
	for name := range strings.FieldsSeq(string(names)) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("cannot read a document: %w", err)
		}
		out = append(out, document(name, text)...)
	}
	return out, nil
}

func document(name string, text []byte) []Problem {
	var out []Problem
	code := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		}
		if code || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "<") {
			continue
		}
		where := name + ":" + strconv.Itoa(n)
		if width := utf8.RuneCountInString(line); width > maxColumns && strings.Contains(strings.TrimLeft(line, "-* "), " ") && !strings.Contains(line, "](") {
			out = append(out, Problem{where, fmt.Sprintf("the line has %d columns, more than %d", width, maxColumns)})
		}
		for _, p := range phrases {
			if p.pattern.MatchString(line) && !strings.HasSuffix(line, "?") {
				out = append(out, Problem{where, fmt.Sprintf("%q: write %s", clip(line), p.instead)})
			}
		}
	}
	return out
}
