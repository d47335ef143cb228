package metrics

import (
	"flag"
	"testing"

	"millrace/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

// TestReference holds docs/metrics.md to the catalogue.
func TestReference(t *testing.T) {
	testkit.Reference(t, "../docs/metrics.md", *update, WriteReference)
}

// The queries that replace those of the Confluent proxy work here.
func TestPeerQueries(t *testing.T) {
	q := newQueries(t)
	for _, b := range peerBeans {
		for _, m := range b.metrics {
			if m.query != "" {
				q.check(t, b.bean+" "+m.name, m.query)
			}
		}
	}
}
