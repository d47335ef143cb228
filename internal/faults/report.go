package faults

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"millrace/loadtest/check"
)

// The goals that a schedule is held to.
const (
	// goalRecovery is how much later than the Kafka cluster the service may be.
	goalRecovery = 3 * time.Second
)

// Result is what came of a schedule.
type Result struct {
	Schedule Schedule
	// Requests is how many produce requests were sent, Refused those with an answer that was not
	// all success. Cuts are those whose connection ended without one.
	Requests, Refused int
	Cuts              []string
	// Report has what became of each record.
	Report *check.Report
	// ClusterAway is how long the Kafka cluster itself took, Recovery how much later the service
	// was.
	ClusterAway, Recovery time.Duration
	// Steady and Peak are resident bytes of the node that needed most beyond its peace.
	Steady, Peak int64
	// Alarms are of the brokers' logs, Complaints of what nodes printed.
	Alarms, Complaints []string
}

// Failures are the goals that were missed, a sentence each.
func (r Result) Failures() (all []string) {
	fail := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, f := range r.Report.Findings {
		if r.Schedule.Expected[f.Anomaly] == "" {
			fail("%d of %s: %s", f.Count, f.Anomaly, strings.Join(f.Examples, "; "))
		}
	}
	if r.Report.Totals.Acknowledged == 0 {
		fail("no record was acknowledged")
	}
	if n := len(r.Cuts); n > 0 && !r.Schedule.Cuts {
		fail("%d requests were cut off: %s", n, strings.Join(r.Cuts[:min(n, 5)], "; "))
	}
	if goal := cmp.Or(r.Schedule.Recovery, goalRecovery); r.Recovery > goal {
		fail("the service was well %v after the Kafka cluster, more than %v", r.Recovery, goal)
	}
	if bound := r.Steady + bodyBudget + producerBuffer; r.Peak > bound {
		fail("the node had %d MB, more than %d", r.Peak/1e6, bound/1e6)
	}
	for _, a := range r.Alarms {
		fail("logged by %s", a)
	}
	for _, c := range r.Complaints {
		fail("printed by a node: %s", c)
	}
	return all
}

// head is the first two lines of the table.
const head = "| schedule | records | lost | doubled | strangers refused | other anomalies | requests not served | cut off | Kafka away | service later | longest answer | memory, steady | peak |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"

// row is the result as a line of the table.
func (r Result) row() string {
	t, others := r.Report.Totals, 0
	for _, f := range r.Report.Findings {
		switch f.Anomaly {
		case check.LostWrite, check.Duplicate, check.StrangerRefused:
		default:
			others += f.Count
		}
	}
	cells := []string{
		r.Schedule.Name, fmt.Sprint(t.Acknowledged), r.count(check.LostWrite), r.count(check.Duplicate), r.count(check.StrangerRefused), fmt.Sprint(others),
		fmt.Sprintf("%.1f %% of %d", 100*float64(r.Refused)/float64(max(1, r.Requests)), r.Requests), fmt.Sprint(len(r.Cuts)),
		seconds(r.ClusterAway), seconds(r.Recovery), seconds(t.Longest), megabytes(r.Steady), megabytes(r.Peak),
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func (r Result) count(a check.Anomaly) string {
	n := fmt.Sprint(r.Report.Count(a))
	if r.Schedule.Expected[a] != "" {
		n += " (expected)"
	}
	return n
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
func megabytes(n int64) string       { return fmt.Sprintf("%d MB", n/1e6) }

// Table is the results as Markdown.
func Table(results []Result) string {
	var b strings.Builder
	b.WriteString(head)
	for _, r := range results {
		b.WriteString(r.row())
	}
	return b.String()
}

// The marks of the section of a document that a run writes.
const (
	sectionBegin = "<!-- faults: begin -->"
	sectionEnd   = "<!-- faults: end -->"
)

// WriteTable replaces the rows of the results in the table between the marks of the file. Rows of
// other schedules stay, in the order of [Schedules]; those of schedules that exist no more go.
func WriteTable(file string, results []Result) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the document: %w", err)
	}
	before, rest, ok1 := strings.Cut(string(old), sectionBegin)
	section, after, ok2 := strings.Cut(rest, sectionEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("cannot write into %s: it has no section between %s and %s", file, sectionBegin, sectionEnd)
	}
	rows := map[string]string{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, " | "); len(cells) > 1 {
			rows[strings.TrimPrefix(cells[0], "| ")] = line
		}
	}
	for _, r := range results {
		rows[r.Schedule.Name] = r.row()
	}
	fresh := before + sectionBegin + "\n\n" + head
	for _, s := range Schedules {
		fresh += rows[s.Name]
	}
	fresh += "\n" + sectionEnd + after
	if err := os.WriteFile(file, []byte(fresh), 0o644); err != nil {
		return fmt.Errorf("cannot write the document: %w", err)
	}
	return nil
}
