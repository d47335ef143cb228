package metrics

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

// TestReference holds docs/metrics.md to the catalogue.
func TestReference(t *testing.T) {
	const path = "../docs/metrics.md"
	var want bytes.Buffer
	if err := WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the catalogue says; run go test ./metrics -run TestReference -update", path)
	}
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
