package lint

import (
	"strings"
	"testing"
)

// TestDocumentsReadWell is the gate for the documents, as TestHouseRules is for the Go files.
func TestDocumentsReadWell(t *testing.T) {
	problems, err := Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

func TestPhrases(t *testing.T) {
	for _, c := range []struct{ comment, want string }{
		{"Close closes it. The caller retries.", ""},
		{"Close closes it. What is open fails.", "write a subject"},
		{"Close answers two questions. What is open? It returns the list.", ""},
		{"Who closes it waits.", "write a subject"},
		{"Whoever closes it waits.", "write a subject"},
		{"It works whatever the order.", ""},
		{"The client is trying on.", "write retry"},
		{"The record is passed on.", "write forward"},
		{"The request was sent on.", "write forward"},
		{"A record is kept for ever.", "without a bound"},
		{"It is gone, and says so.", "say what is said"},
		{"It answers, be it nothing.", "write even if"},
		{"It returns what is there.", "write exists"},
		{"An example:\n//\n//\tfor ever", ""},
	} {
		f := sample(t, "batch/a.go", "package batch\n\n// "+c.comment+"\nvar x int\n")
		breaks(t, Phrases(f), c.want)
	}
}

func TestDocStart(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"a/a.go", "// F returns.\nfunc F() {}\n", ""},
		{"a/a.go", "// A T holds.\ntype T int\n", ""},
		{"a/a.go", "// F's result is 1.\nfunc F() int { return 1 }\n", ""},
		{"a/a.go", "// Returns.\nfunc F() {}\n", "the comment of F begins with other words"},
		{"a/a.go", "// Fine is another name.\nfunc F() {}\n", "the comment of F"},
		{"a/a.go", "// Holds.\ntype T int\n", "the comment of T"},
		{"a/a.go", "type (\n\t// Holds.\n\tT int\n)\n", "the comment of T"},
		{"a/a.go", "// Returns.\nfunc f() {}\n", ""},
		{"a/a_test.go", "// Returns.\nfunc F() {}\n", ""},
	} {
		breaks(t, DocStart(sample(t, c.file, "package a\n\n"+c.src)), c.want)
	}
}

func TestCommentWidth(t *testing.T) {
	words := func(columns int) string { return strings.Repeat("a ", columns)[:columns-1] + "a" }
	for _, c := range []struct{ src, want string }{
		{"// " + words(97), ""},
		{"// " + words(98), "a/a.go:3: a comment line has 101 columns, more than 100"},
		{"// " + strings.Repeat("é", 2) + " " + words(94), ""},
		{"/* b\n" + words(101) + " */", "more than 100"},
		{"// https://" + strings.Repeat("a", 100), ""},
		{"// b\n//\n//\t" + words(110), ""},
	} {
		breaks(t, CommentWidth(sample(t, "a/a.go", "package a\n\n"+c.src+"\nvar x int\n")), c.want)
	}
}

func TestLogKeys(t *testing.T) {
	for _, c := range []struct{ call, want string }{
		{`log.Warn("it failed", "err", err)`, ""},
		{`log.Warn("it failed", "topic", name, "error", err)`, `the key of an error in the log is "err"`},
		{`log.Debug("it failed", "error", err)`, `"err"`},
		{`log.Error("error", "err", err)`, ""},
		{`w.Write("it failed", "error", err)`, ""},
	} {
		breaks(t, LogKeys(sample(t, "a/a.go", "package a\n\nfunc f() { "+c.call+" }\n")), c.want)
	}
}

func TestDocument(t *testing.T) {
	wide := strings.Repeat("word ", 21)
	for _, c := range []struct{ text, want string }{
		{"# A title\n\nThe node retries.\n", ""},
		{"The node retries.\nWhat is open fails.\n", "A.md:2: \"What is open fails.\": write a subject"},
		{"What is open?\n", ""},
		{wide + "\n", "A.md:1: the line has 105 columns"},
		{"| " + wide + "|\n", ""},
		{"```\n" + wide + "for ever\n```\n", ""},
		{"```\n```\nIt is kept for ever.\n", "A.md:3:"},
		{"https://" + strings.Repeat("a", 100) + "\n", ""},
	} {
		breaks(t, document("A.md", []byte(c.text)), c.want)
	}
}
