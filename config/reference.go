package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Setting describes one setting for a reader.
type Setting struct {
	// Name is the full name, Alias another one that is accepted for it,
	// Variable the environment's name.
	Name, Alias, Variable string
	// Group is the chapter that it belongs to.
	Group string
	// Allowed says what a value may look like, Default what holds when it is
	// not given, Doc what it does.
	Allowed, Default, Doc string
	// Base is the setting whose value holds while this one is not given.
	Base string
	// Secret texts are never shown.
	Secret bool
	// Runtime settings can change while the program runs.
	Runtime bool
}

// Reference returns all settings, in the order of the documentation.
func Reference() []Setting {
	var all []Setting
	for _, g := range table() {
		for _, r := range g.rows {
			all = append(all, Setting{
				Name: r.name, Alias: r.alias, Variable: environName(r.name), Group: g.title,
				Allowed: r.allowed, Default: r.def, Doc: r.doc, Base: r.base, Secret: r.secret, Runtime: r.runtime,
			})
		}
	}
	return all
}

const referenceHead = `# Settings

This page is generated from the table in ` + "`config/`" + `;
` + "`go test ./config -run TestReference -update`" + ` rewrites it.

A setting comes from a Java properties file (` + "`--config kafka-rest.properties`" + `), from the environment
or from ` + "`--set name=value`" + `, the later one winning. The variable of a setting is ` + "`KAFKA_REST_`" + ` and
its name in capitals with ` + "`_`" + ` for each dot: ` + "`producer.linger.ms`" + ` is ` + "`KAFKA_REST_PRODUCER_LINGER_MS`" + `.
` + "`millrace check-config`" + ` reports everything that is wrong at once, and shows what holds and why. The
file is read as UTF-8, or as ISO-8859-1 where it is not valid UTF-8. Indirections (` + "`${file:…}`" + `) are
refused.

Settings marked ⟳ can change while millrace runs. On SIGHUP it reads file, environment and ` + "`--set`" + `
again and takes these over; others that have changed are named in the log and wait for a restart,
and a configuration with a fault changes nothing. With ` + "`admin.enable=true`" + ` a ` + "`PUT /admin/config`" + ` of,
for example, ` + "`" + `{"producer.compression.type":"zstd"}` + "`" + ` changes them until the next SIGHUP or
restart, and ` + "`GET /admin/config`" + ` shows what holds.
`

// WriteReference writes the documentation of all settings, in Markdown.
func WriteReference(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, referenceHead)
	for _, g := range table() {
		fmt.Fprintf(out, "\n## %s\n\n", g.title)
		if g.intro != "" {
			fmt.Fprintf(out, "%s\n\n", g.intro)
		}
		fmt.Fprint(out, "| setting | default | allowed | what it does |\n|---|---|---|---|\n")
		for _, r := range g.rows {
			if r.oneSide { // the chapter's introduction tells of these
				continue
			}
			writeRow(out, r)
		}
	}
	writeForeign(out)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot write settings: %w", err)
	}
	return nil
}

func writeRow(w io.Writer, r row) {
	def := ""
	switch {
	case r.def != "":
		def = "`" + strings.ReplaceAll(r.def, ",", ", ") + "`"
	case r.base != "":
		def = "as `" + r.base + "`"
	}
	doc := r.doc
	if r.alias != "" {
		doc += " Also `" + r.alias + "`."
	}
	mark := ""
	if r.runtime {
		mark = " ⟳"
	}
	fmt.Fprintf(w, "| `%s`%s | %s | %s | %s |\n", r.name, mark, def, cell.Replace(r.allowed), cell.Replace(doc))
}

var cell = strings.NewReplacer("|", `\|`, "*", `\*`)

// writeForeign documents the names of the Confluent proxy that do nothing here.
func writeForeign(w io.Writer) {
	fmt.Fprint(w, "\n## Refused\n\nSettings of the Confluent proxy that cannot be honoured and would be dangerous to ignore;\nthe value named here is accepted.\n\n| setting | accepted | why |\n|---|---|---|\n")
	for _, s := range dangerous {
		harmless := ""
		if s.harmless != "" {
			harmless = "`" + s.harmless + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", s.name, harmless, s.why)
	}
	fmt.Fprint(w, "\n## Not used\n\nNames that mean something to Java, to Confluent's plugins or to its container image only. They\nare accepted and listed once at start. A `*` stands for the rest of a name, a `….` for `client.`,\n`admin.`, `producer.` or `consumer.`.\n\n| setting | why |\n|---|---|\n")
	for _, s := range javaNames {
		fmt.Fprintf(w, "| `%s` | %s |\n", s.name, s.why)
	}
	for _, s := range javaClientNames {
		fmt.Fprintf(w, "| `….%s` | %s |\n", s.name, s.why)
	}
	for _, s := range javaVariables {
		fmt.Fprintf(w, "| variable `%s%s` | %s |\n", environPrefix, s.name, s.why)
	}
}
