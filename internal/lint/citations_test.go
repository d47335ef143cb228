package lint

import (
	"os"
	"testing"
)

// TestDocumentsNameWhatExists holds documents to the tests and the files that they name.
func TestDocumentsNameWhatExists(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range Citations(name, string(text), files) {
			t.Error(p)
		}
	}
}

func TestCitations(t *testing.T) {
	files := []*File{
		sample(t, "a/a_test.go", "package a\nfunc TestIt() {}\n"),
		sample(t, "a/a.go", "package a\nfunc TestThat() {}\n"),
	}
	breaks(t, Citations("S.md", "none\n`TestIt`, and TestGone in prose\n", files), "")
	breaks(t, Citations("S.md", "none\n`TestIt`, `TestGone`\n", files), "S.md:2: TestGone is no test")
	breaks(t, Citations("S.md", "`TestThat`", files), "S.md:1: TestThat is no test")
	breaks(t, Citations("S.md", "`a/a.go`, `a.go`, `a/b_*.go`, b.go\n", files), "")
	breaks(t, Citations("S.md", "`b/a.go`", files), "S.md:1: b/a.go is no file")
	breaks(t, Citations("S.md", "`aa.go`", files), "S.md:1: aa.go is no file")
}
