package metrics

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

const referenceHead = `# Metrics

This page is generated from the catalogue in ` + "`metrics/`" + `;
` + "`go test ./metrics -run TestReference -update`" + ` rewrites it. ` + "`millrace metrics`" + ` prints the same list.

` + "`GET /metrics`" + ` answers in the text format, in OpenMetrics, or, for a Prometheus that asks for it, in
protobuf, which has the native histograms too. Nothing needs to be turned on here. In
prometheus.yml:

    rule_files: [rules.yml, alerts.yml]           # of deploy/prometheus
    scrape_configs:
      - job_name: millrace                        # the rules look for this word
        always_scrape_classic_histograms: true    # where native ones are on: rules and dashboard use the classic buckets
        static_configs: [{targets: ["localhost:8082"]}]

` + "`deploy/grafana/millrace.json`" + ` is a dashboard of everything below; import it in Grafana.

Counting a request is one look at the clock and a dozen atomic additions: 120 to 150 ns on one core
of a busy virtual machine, no more than 150 (` + "`make budget`" + ` holds it), and no allocation. The number
of series is bounded: by the API's routes and errors, by the brokers, and by ` + "`metrics.topics.max`" + `
(100) for topics and consumer groups.
`

// WriteReference writes the documentation of all metrics, in Markdown.
func WriteReference(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, referenceHead)
	for _, g := range Catalog() {
		fmt.Fprintf(out, "\n## %s\n\n", g.Title)
		if g.Intro != "" {
			fmt.Fprintf(out, "%s\n\n", g.Intro)
		}
		fmt.Fprint(out, "| metric | type | labels | what it says |\n|---|---|---|---|\n")
		for _, d := range g.Defs {
			labels := ""
			if len(d.Labels) > 0 {
				labels = "`" + strings.Join(d.Labels, "`, `") + "`"
			}
			fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
		}
	}
	writeJMX(out)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot write the reference of the metrics: %w", err)
	}
	return nil
}
