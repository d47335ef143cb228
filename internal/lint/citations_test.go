package lint

import (
	"os"
	"testing"
)

// TestDocumentsNameTestsThatExist holds the documents that name tests to the tests.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md"} {
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
}
