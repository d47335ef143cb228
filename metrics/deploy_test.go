package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// queries checks PromQL against the scraped metrics: its grammar, that every metric exists, and
// that every label is one that its metric has.
type queries struct {
	labels map[string][]string // of each series name
	used   map[string]bool
}

// newQueries returns queries with the series of a scrape, and those that Prometheus adds.
func newQueries(t *testing.T) *queries {
	q := &queries{labels: map[string][]string{"up": nil}, used: map[string]bool{}}
	_, families := scrape(t, full(t))
	for name, family := range families {
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		q.labels[name] = labels
		if m := family.GetMetric()[0]; m.GetHistogram() != nil || m.GetSummary() != nil {
			q.labels[name+"_sum"], q.labels[name+"_count"] = labels, labels
			q.labels[name+"_bucket"] = append(slices.Clone(labels), "le")
			q.labels[name] = append(slices.Clone(labels), "quantile")
		}
	}
	return q
}

var (
	promString   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	promRange    = regexp.MustCompile(`\[[^\]]*\]`)
	promGrouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	promSeries   = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?`)
	promMatcher  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
	promWords    = []string{"sum", "rate", "increase", "max", "min", "count", "topk", "deriv", "histogram_quantile", "and", "or", "unless", "on", "absent", "last_over_time"}
	scrapeLabels = []string{"job", "instance"}
)

// check returns the labels that the result of the expression may have.
func (q *queries) check(t *testing.T, where, expr string) (all []string) {
	t.Helper()
	text := promRange.ReplaceAllString(promString.ReplaceAllString(expr, `""`), "")
	var grouped []string
	for _, g := range promGrouping.FindAllStringSubmatch(text, -1) {
		for name := range strings.SplitSeq(g[1], ",") {
			grouped = append(grouped, strings.TrimSpace(name))
		}
	}
	all = slices.Clone(scrapeLabels)
	found := false
	for _, s := range promSeries.FindAllStringSubmatch(promGrouping.ReplaceAllString(text, ""), -1) {
		if slices.Contains(promWords, s[1]) {
			continue
		}
		labels, ok := q.labels[s[1]]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, s[1])
			continue
		}
		found, q.used[s[1]] = true, true
		all = append(all, labels...)
		for _, m := range promMatcher.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains(labels, m[1]) && !slices.Contains(scrapeLabels, m[1]) {
				t.Errorf("%s: %s has no label %s, only %v", where, s[1], m[1], labels)
			}
		}
	}
	if !found {
		t.Errorf("%s: %q asks for nothing", where, expr)
	}
	for _, name := range grouped {
		if !slices.Contains(all, name) {
			t.Errorf("%s: nothing in it has the label %s", where, name)
		}
	}
	if len(grouped) > 0 { // as all our expressions, these are grouped at every level
		return grouped
	}
	return all
}

// ruleFile is a file of Prometheus's rules.
type ruleFile struct {
	Groups []struct {
		Name, Interval string
		Rules          []struct {
			Record, Alert, Expr, For string
			Labels, Annotations      map[string]string
		}
	}
}

func readRules(t *testing.T, path string) ruleFile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file ruleFile
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file
}

var (
	recordName = regexp.MustCompile(`^[a-z_]+:millrace_[a-z0-9_]+:[a-z0-9_]+$`)
	usedLabel  = regexp.MustCompile(`\$labels\.([a-z_]+)`)
)

// known returns queries with the series of the recording rules too.
func known(t *testing.T) *queries {
	q := newQueries(t)
	for _, g := range readRules(t, "../deploy/prometheus/rules.yml").Groups {
		for _, r := range g.Rules {
			if !recordName.MatchString(r.Record) {
				t.Errorf("the record %q is not level:metric:operation", r.Record)
			}
			grammar(t, r.Record, r.Expr)
			q.labels[r.Record] = q.check(t, r.Record, r.Expr)
		}
	}
	return q
}

func TestAlertsAskForWhatIsShown(t *testing.T) {
	q := known(t)
	tried, err := os.ReadFile("../deploy/prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range readRules(t, "../deploy/prometheus/alerts.yml").Groups {
		for _, r := range g.Rules {
			if names[r.Alert] || !strings.HasPrefix(r.Alert, "Millrace") {
				t.Errorf("the alert %q is there twice, or not called Millrace…", r.Alert)
			}
			names[r.Alert] = true
			if !regexp.MustCompile(r.Alert + `\b`).Match(tried) {
				t.Errorf("alerts_test.yml does not have %s fire", r.Alert)
			}
			grammar(t, r.Alert, r.Expr)
			labels := q.check(t, r.Alert, r.Expr)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks its severity, summary or description", r.Alert)
			}
			for _, l := range usedLabel.FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s speaks of the label %s, which it does not have", r.Alert, l[1])
				}
			}
		}
	}
	if len(names) < 10 {
		t.Errorf("only %d alerts", len(names))
	}
}

// The dashboard queries existing metrics only, and all of them.
func TestDashboardAsksForWhatIsShown(t *testing.T) {
	text, err := os.ReadFile("../deploy/grafana/millrace.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID          int
			Type, Title string
			Targets     []struct{ Expr, LegendFormat string }
			GridPos     struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	q := known(t)
	ids := map[int]bool{}
	legend := regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s has the id of another panel, or does not fit", p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			grammar(t, p.Title, target.Expr)
			labels := q.check(t, p.Title, target.Expr)
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s: the legend names %s, which is no label there", p.Title, l[1])
				}
			}
		}
	}
	for _, g := range Catalog() {
		for _, d := range g.Defs {
			if !q.used[d.Name] && !q.used[d.Name+"_bucket"] && !q.used[d.Name+"_sum"] {
				t.Errorf("the dashboard does not show %s", d.Name)
			}
		}
	}
}
