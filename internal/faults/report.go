package faults

import (
	"fmt"
	"strings"
	"time"
)

// The goals that a schedule is held to.
const (
	// goalRecovery is how much later than the Kafka cluster the service may be.
	goalRecovery = 3 * time.Second
)

// Result is what came of a schedule.
type Result struct {
	Schedule string
	// Requests is how many produce requests were sent, Refused those with an answer that was not all
	// success, Unanswered those without one.
	Requests, Refused, Unanswered int
	// ClusterAway is how long the Kafka cluster itself took, Recovery how much later the service was.
	ClusterAway, Recovery time.Duration
	// Longest is how long the slowest answer took.
	Longest time.Duration
	// Steady and Peak are resident bytes of the node that needed most beyond its peace.
	Steady, Peak int64
	// Alarms are of the brokers' logs, Complaints of what nodes printed.
	Alarms, Complaints []string
}

// Failures are the goals that were missed, a sentence each.
func (r Result) Failures() (all []string) {
	if r.Recovery > goalRecovery {
		all = append(all, fmt.Sprintf("the service was well %v after the Kafka cluster, more than %v", r.Recovery, goalRecovery))
	}
	if bound := r.Steady + bodyBudget + producerBuffer; r.Peak > bound {
		all = append(all, fmt.Sprintf("the node had %d MB, more than %d", r.Peak/1e6, bound/1e6))
	}
	for _, a := range r.Alarms {
		all = append(all, "logged by "+a)
	}
	for _, c := range r.Complaints {
		all = append(all, "printed by a node: "+c)
	}
	return all
}

// head is the first two lines of the table.
const head = "| schedule | requests | refused | no answer | cluster away | service later | longest answer | memory, steady | peak |\n" +
	"|---|---|---|---|---|---|---|---|---|\n"

// row is the result as a line of the table.
func (r Result) row() string {
	return fmt.Sprintf("| %s | %d | %.1f %% | %d | %.1f s | %.1f s | %.1f s | %d MB | %d MB |\n", r.Schedule, r.Requests,
		100*float64(r.Refused)/float64(max(1, r.Requests)), r.Unanswered, r.ClusterAway.Seconds(), r.Recovery.Seconds(),
		r.Longest.Seconds(), r.Steady/1e6, r.Peak/1e6)
}

// Table is the results as Markdown.
func Table(results []Result) string {
	var b strings.Builder
	b.WriteString(head)
	for _, r := range results {
		b.WriteString(r.row())
	}
	return b.String()
}
