package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// FrontCase is a request as bytes on the wire, and what a node does with it. The
// README beside the files tells their form.
type FrontCase struct {
	// Name is the file's, a slash, and the case's own.
	Name string
	// Section is that of an RFC, such as 9112 3.2.
	Section string
	// Statuses are those of the node's responses, in their order.
	Statuses []int
	// Open says that the node goes on to serve the connection.
	Open bool
	// Bytes are what is sent.
	Bytes string
}

// FrontCases reads the cases in the .txt files of a folder.
func FrontCases(t testing.TB, dir string) (cases []FrontCase) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s, %v", dir, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := frontParser{file: strings.TrimSuffix(filepath.Base(file), ".txt"), form: "@"}
		for n, line := range strings.Split(string(text), "\n") {
			if err := p.line(line); err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
		}
		for _, c := range p.cases {
			if names[c.Name] {
				t.Fatalf("%s: there are two cases %q", file, c.Name)
			}
			names[c.Name] = true
		}
		cases = append(cases, p.cases...)
	}
	return cases
}

// frontParser reads one file of cases.
type frontParser struct {
	file, form string
	cases      []FrontCase
}

func (p *frontParser) line(line string) error {
	switch {
	case line == "" || line[0] == '#':
		return nil
	case line == "form":
		p.form = ""
		return nil
	case strings.HasPrefix(line, "  "):
		p.form += line[2:]
		return nil
	}
	cells := strings.SplitN(line, " | ", 4)
	if len(cells) < 4 {
		return fmt.Errorf("a case needs a name, a section, an outcome and bytes: %q", line)
	}
	c := FrontCase{Name: p.file + "/" + cells[0], Section: cells[1]}
	outcome, err := unescape(cells[2])
	if err == nil {
		err = c.parseOutcome(outcome)
	}
	if err == nil {
		c.Bytes, err = unescape(strings.Replace(p.form, "@", cells[3], 1))
	}
	p.cases = append(p.cases, c)
	return err
}

func (c *FrontCase) parseOutcome(text string) error {
	switch text {
	case "refused":
		text = "400 close"
	case "dropped":
		text = "close"
	}
	words := strings.Fields(text)
	end := words[len(words)-1]
	if c.Open = end == "open"; end != "open" && end != "close" {
		return fmt.Errorf("an outcome ends with open or close, not %q", end)
	}
	for _, word := range words[:len(words)-1] {
		status, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("cannot read a status: %w", err)
		}
		c.Statuses = append(c.Statuses, status)
	}
	return nil
}

var repetition = regexp.MustCompile(`\\\{(\d+) ([^}]*)\}`)

// unescape undoes the escapes of Go, and repeats what is to be repeated.
func unescape(text string) (string, error) {
	text = repetition.ReplaceAllStringFunc(text, func(all string) string {
		m := repetition.FindStringSubmatch(all)
		n, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], n)
	})
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if text[0] != '\\' {
			out, text = append(out, text[0]), text[1:]
			continue
		}
		c, _, rest, err := strconv.UnquoteChar(text, 0)
		if err != nil {
			return "", fmt.Errorf("cannot unescape %.20q: %w", text, err)
		}
		out, text = append(out, byte(c)), rest
	}
	return string(out), nil
}
