package check

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

var update = flag.Bool("update", false, "write the tables of docs/check.md")

const document = "../../docs/check.md"

// TestReference holds the tables of docs/check.md to the definitions, and to the faults that
// TestPlantedFaults plants.
func TestReference(t *testing.T) {
	var anomalies, faults strings.Builder
	anomalies.WriteString("| anomaly | |\n|---|---|\n")
	for _, d := range Definitions {
		name := "`" + string(d.Anomaly) + "`"
		if d.Jepsen {
			name = "**" + name + "**"
		}
		fmt.Fprintf(&anomalies, "| %s | %s |\n", name, d.Means)
	}
	faults.WriteString("| seed | what the proxy does | found as |\n|---|---|---|\n")
	for _, p := range slices.Concat(faultsOfWriting, faultsOfReading) {
		var names []string
		for _, a := range p.wants {
			names = append(names, "`"+string(a)+"`")
		}
		fmt.Fprintf(&faults, "| %d | %s | %s |\n", p.seed, p.name, strings.Join(names, ", "))
	}
	testkit.Reference(t, document, *update, func(w io.Writer) error {
		text, err := os.ReadFile(document)
		if err == nil {
			text, err = replace(text, "anomalies", anomalies.String())
		}
		if err == nil {
			text, err = replace(text, "faults", faults.String())
		}
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	})
}

// replace puts a table between the marks of its name.
func replace(text []byte, name, table string) ([]byte, error) {
	head, rest, ok := bytes.Cut(text, fmt.Appendf(nil, "<!-- %s -->\n", name))
	_, tail, end := bytes.Cut(rest, fmt.Appendf(nil, "<!-- end of %s -->\n", name))
	if !ok || !end {
		return nil, fmt.Errorf("%s has no marks of the table %q", document, name)
	}
	return fmt.Appendf(nil, "%s<!-- %s -->\n\n%s\n<!-- end of %[2]s -->\n%[4]s", head, name, table, tail), nil
}
