package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"

	"millrace/config"
)

type settingsCommand struct {
	Name string `arg:"" optional:"" help:"A setting, or a part of the names of several."`
}

// Run lists the settings, or prints all about the only one that the name fits.
func (c settingsCommand) Run() error {
	var fit []config.Setting
	for _, s := range config.Reference() {
		if s.Name == c.Name || s.Alias == c.Name && c.Name != "" || s.Variable == c.Name {
			return writeSetting(os.Stdout, s)
		}
		if strings.Contains(s.Name, strings.ToLower(c.Name)) {
			fit = append(fit, s)
		}
	}
	switch len(fit) {
	case 0:
		return fmt.Errorf("no setting has %q in its name; `millrace settings` lists all", c.Name)
	case 1:
		return writeSetting(os.Stdout, fit[0])
	}
	return writeSettings(os.Stdout, fit)
}

// writeSettings writes a line for each setting, so that they can be searched by line.
func writeSettings(w io.Writer, all []config.Setting) error {
	columns := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range all {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", s.Name, defaultOf(s), pages(s.Doc))
	}
	if err := columns.Flush(); err != nil {
		return fmt.Errorf("cannot print the settings: %w", err)
	}
	return nil
}

// writeSetting writes all about one setting.
func writeSetting(w io.Writer, s config.Setting) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n    %s\n", s.Name, pages(s.Doc))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "    %-9s %s\n", name, text)
		}
	}
	line("default", defaultOf(s))
	line("allowed", s.Allowed)
	line("variable", s.Variable)
	line("also", s.Alias)
	if s.Runtime {
		line("changes", "while the node runs: by SIGHUP, or by /admin/config")
	}
	if s.Secret {
		line("secret", "its value is in no log and no answer")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("cannot print the setting: %w", err)
	}
	return nil
}

// defaultOf returns what holds where the setting is not given.
func defaultOf(s config.Setting) string {
	switch {
	case s.Default != "":
		return s.Default
	case s.Base != "":
		return "as " + s.Base
	}
	return "(none)"
}

// page matches how texts of the reference name a page of the documentation.
var page = regexp.MustCompile(`docs/([a-z0-9-]+)\.md`)

// pages has a text name pages as this program prints them: the folder of the source is not where
// the program is installed.
func pages(text string) string { return page.ReplaceAllString(text, "`millrace docs $1`") }
