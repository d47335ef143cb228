package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxExamples of each anomaly are told.
const maxExamples = 5

// Finding is one anomaly of a run.
type Finding struct {
	Anomaly  Anomaly  `json:"anomaly"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"`
}

// Totals are the figures of a run beside its anomalies.
type Totals struct {
	Requests int `json:"requests"`
	// Records of produce requests by outcome. One that was sent again counts again.
	Acknowledged int `json:"acknowledged"`
	Failed       int `json:"failed"`
	Unknown      int `json:"unknown"`
	// Bad records broke a rule on purpose; BadAccepted of them were acknowledged, so that
	// the run says nothing of strangers.
	Bad         int `json:"bad"`
	BadAccepted int `json:"bad_accepted"`
	Stored      int `json:"stored"` // in the log
	Given       int `json:"given"`  // to consumers
	Repeated    int `json:"repeated"`
	Commits     int `json:"commits"`
	// Errors counts requests and records that were not answered well, by what they were told.
	Errors map[string]int `json:"errors"`
	// Longest is the longest that a produce request took.
	Longest time.Duration `json:"longest"`
}

// Report is what Check found.
type Report struct {
	Run      string        `json:"run"`
	Seed     uint64        `json:"seed"`
	Took     time.Duration `json:"took"`
	Totals   Totals        `json:"totals"`
	Findings []Finding     `json:"anomalies"` // in the order of Definitions
	// Remarks are reasons to trust the result less.
	Remarks []string `json:"remarks,omitempty"`
}

// Clean reports whether nothing was found.
func (r *Report) Clean() bool { return len(r.Findings) == 0 }

// Count returns how often a was found.
func (r *Report) Count(a Anomaly) int {
	for _, f := range r.Findings {
		if f.Anomaly == a {
			return f.Count
		}
	}
	return 0
}

// add counts one more of a, which format and args describe.
func (r *Report) add(a Anomaly, format string, args ...any) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Anomaly == a })
	if i < 0 {
		i = len(r.Findings)
		r.Findings = append(r.Findings, Finding{Anomaly: a})
	}
	f := &r.Findings[i]
	f.Count++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

// sort puts the findings in the order of Definitions.
func (r *Report) sort() {
	rank := func(f Finding) int {
		return slices.IndexFunc(Definitions, func(d Definition) bool { return d.Anomaly == f.Anomaly })
	}
	slices.SortFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	t := &r.Totals
	fmt.Fprintf(&b, "run %s, seed %d, %v\n", r.Run, r.Seed, r.Took.Round(time.Millisecond))
	fmt.Fprintf(&b, "  %d requests; the longest produce request took %v\n", t.Requests, t.Longest.Round(time.Millisecond))
	fmt.Fprintf(&b, "  sent      %d records: %d acknowledged, %d failed, %d unknown\n", t.Acknowledged+t.Failed+t.Unknown, t.Acknowledged, t.Failed, t.Unknown)
	if t.Bad > 0 {
		fmt.Fprintf(&b, "            %d broke a rule on purpose, %d of them were acknowledged\n", t.Bad, t.BadAccepted)
	}
	fmt.Fprintf(&b, "  in Kafka  %d records\n", t.Stored)
	fmt.Fprintf(&b, "  consumed  %d records, %d of them again; %d commits\n", t.Given, t.Repeated, t.Commits)
	for _, e := range slices.Sorted(maps.Keys(t.Errors)) {
		fmt.Fprintf(&b, "  %6d ×  %s\n", t.Errors[e], e)
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(&b, "  mind: %s\n", remark)
	}
	if r.Clean() {
		b.WriteString("no anomaly\n")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "ANOMALY %s: %d\n", f.Anomaly, f.Count)
		for _, e := range f.Examples {
			fmt.Fprintf(&b, "    %s\n", e)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
