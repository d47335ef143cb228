package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"millrace/docs"
)

type docsCommand struct {
	Page string `arg:"" optional:"" help:"Name of the page; without it they are listed."`
}

// Run prints a page in Markdown, or the names and titles of all.
func (c docsCommand) Run() error {
	if c.Page != "" {
		text, err := docs.Pages.ReadFile(strings.TrimSuffix(c.Page, ".md") + ".md")
		if err != nil {
			return fmt.Errorf("there is no page %q; `millrace docs` lists them", c.Page)
		}
		if _, err := os.Stdout.Write(text); err != nil {
			return fmt.Errorf("cannot print the page: %w", err)
		}
		return nil
	}
	for _, name := range docPages() {
		text, err := docs.Pages.ReadFile(name + ".md")
		if err != nil {
			return fmt.Errorf("cannot read the page %s: %w", name, err)
		}
		title, _, _ := strings.Cut(string(text), "\n")
		if _, err := fmt.Printf("%-14s %s\n", name, strings.TrimLeft(title, "# ")); err != nil {
			return fmt.Errorf("cannot print the pages: %w", err)
		}
	}
	return nil
}

// docPages returns the names of all pages.
func docPages() (names []string) {
	files, err := fs.Glob(docs.Pages, "*.md")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f, ".md"))
	}
	return names
}
