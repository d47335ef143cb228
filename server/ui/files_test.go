package ui

import (
	"regexp"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	files := Files()
	if files[Page] == nil || len(files) < 8 {
		t.Fatalf("only %d files, the page is %v", len(files), files[Page])
	}
	tags := map[string]bool{}
	for name, f := range files {
		if f.Name != name || f.ContentType == "" || len(f.Content) == 0 || len(f.Tag) < 16 || tags[f.Tag] {
			t.Errorf("%s: %+v", name, f)
		}
		tags[f.Tag] = true
	}
}

// Every file that the page loads exists, and every file is loaded.
func TestFilesAreUsed(t *testing.T) {
	named := map[string]bool{Page: true}
	for _, f := range Files() {
		for _, m := range regexp.MustCompile(`(?:src|href)="ui/([^"]+)"|from '\./([^']+)'|import '\./([^']+)'`).FindAllStringSubmatch(string(f.Content), -1) {
			name := m[1] + m[2] + m[3]
			if named[name] = true; Files()[name] == nil {
				t.Errorf("%s loads %s, which is not there", f.Name, name)
			}
		}
	}
	for name := range Files() {
		if !named[name] {
			t.Errorf("nothing loads %s", name)
		}
	}
}

// Data from outside must not become HTML or code, and the page must not send requests to another
// host. The policy that the node sends forbids most of it, but only users would notice a page
// that breaks it.
func TestFilesAreHarmless(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|javascript:|https?://|\bon\w+=|\bstyle=|<style|<script>|@import|(?-i:[: ]url\()`)
	for name, f := range Files() {
		text := strings.ReplaceAll(string(f.Content), "http://www.w3.org/2000/svg", "")
		for _, found := range forbidden.FindAllString(text, -1) {
			t.Errorf("%s has %q", name, found)
		}
	}
}
