package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// effectiveSetting is a setting as check-config prints it. Secrets are masked
// already, so that no printing of a Config can show one.
type effectiveSetting struct{ name, text, origin string }

// record notes every setting that holds, for printing. One that would replace
// another for a side and was not given is left out.
func (d *draft) record() {
	for _, r := range rows() {
		e, given := d.given[r.name]
		if !given && r.base != "" {
			continue
		}
		text := r.def
		if given {
			text = e.text
		}
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
		d.effective = append(d.effective, effectiveSetting{r.name, oneLine.Replace(text), e.at.String()})
	}
}

var oneLine = strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`)

// WriteEffective writes every setting that holds, one a line: its name, its
// text with secrets as ***, and where it came from (default, file:line, the
// variable, --set).
func (c *Config) WriteEffective(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range c.effective {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", s.name, s.text, s.origin)
	}
	if err := columns.Flush(); err != nil {
		return fmt.Errorf("cannot write settings: %w", err)
	}
	return nil
}
