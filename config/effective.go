package config

import (
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Effective is a setting that holds, for people to read.
type Effective struct {
	// Name is the setting's full name.
	Name string
	// Text is its value, in one line. Secrets are masked already, so that no
	// printing of a Config can show one.
	Text string
	// Origin is where the value came from: default, preset, file:line, the
	// variable, --set, or a change at run time.
	Origin string
	// Runtime tells a setting that can change while the program runs.
	Runtime bool

	// mark differs where the value as written differs, secrets included.
	mark uint64
}

// seed makes the marks of secrets useless outside of this process.
var seed = maphash.MakeSeed()

// record notes every setting that holds, for printing. One that would replace
// another for a side and was not given is left out.
func (d *draft) record() {
	d.runtime = map[string]entry{}
	for _, r := range rows() {
		e, given := d.given[r.name]
		if !given && r.base != "" {
			continue
		}
		if given && r.runtime {
			d.runtime[r.name] = e
		}
		d.effective = append(d.effective, d.effectiveOf(r))
	}
}

func (d *draft) effectiveOf(r *row) Effective {
	e, given := d.given[r.name]
	text := r.def
	if given {
		text = e.text
	}
	out := Effective{Name: r.name, Origin: e.at.String(), Runtime: r.runtime, mark: maphash.String(seed, text)}
	if r.show != nil {
		text = r.show(text)
	}
	if r.secret && text != "" {
		text = "***"
	}
	if shown, ok := d.shown[r.name]; ok {
		text = shown
	}
	if text == "" && !given {
		text = "(none)"
	}
	out.Text = oneLine.Replace(text)
	return out
}

var oneLine = strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`)

// Effective returns every setting that holds, in the order of the reference.
func (c *Config) Effective() []Effective { return slices.Clone(c.effective) }

// WriteEffective writes every setting that holds, one a line: its name, its
// text with secrets as ***, and where it came from (default, file:line, the
// variable, --set).
func (c *Config) WriteEffective(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range c.effective {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", s.Name, s.Text, s.Origin)
	}
	if err := columns.Flush(); err != nil {
		return fmt.Errorf("cannot write settings: %w", err)
	}
	return nil
}
