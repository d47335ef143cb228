package api_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"millrace/server"
)

// The routes that docs/metrics.md names for users of other proxies exist.
func TestDocumentedRoutesExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`method="([A-Z]+)",route="([^"]+)"`).FindAllStringSubmatch(string(text), -1)
	if len(named) < 15 {
		t.Fatalf("only %d routes are named", len(named))
	}
	routes := slices.Collect(everything().Routes())
	for _, n := range named {
		if !slices.ContainsFunc(routes, func(r server.Route) bool { return r.Method == n[1] && r.Path == n[2] }) {
			t.Errorf("there is no %s %s", n[1], n[2])
		}
	}
}

// The rules exclude the reads that wait, all of them and nothing else.
func TestRulesKnowWhoWaits(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../../deploy/prometheus/rules.yml", "../../deploy/grafana/millrace.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`duration_seconds_bucket\{[^}]*route!~\\?"([^"\\]+)`).FindAllStringSubmatch(string(text), -1)
		if len(found) != 1 {
			t.Fatalf("%s leaves routes out in %d places", path, len(found))
		}
		left := regexp.MustCompile("^(?:" + found[0][1] + ")$")
		for r := range everything().Routes() {
			if r.Method != "GET" {
				continue
			}
			if waits := r.Waits; waits != left.MatchString(r.Path) {
				t.Errorf("%s: %s waits: %v", path, r.Path, waits)
			}
		}
	}
}
