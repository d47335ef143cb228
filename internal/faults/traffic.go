package faults

import (
	"context"
	"fmt"
	"time"

	"millrace/loadtest/check"
)

const (
	// clients produce at the same time, each on a connection of its own, with a pause between
	// two requests.
	clients = 16
	pause   = 40 * time.Millisecond
	// patience is how long a client waits for an answer.
	patience = time.Minute
)

// traffic is what clients do during a schedule. They produce to the topic of the run and read it
// by consumer instances; what they were told is held against the log afterwards.
type traffic struct {
	options check.Options
	began   chan struct{} // closed when history is set
	history *check.History
	err     error
}

func newTraffic(r *Run, s Schedule, seed uint64) *traffic {
	tr := &traffic{began: make(chan struct{})}
	tr.options = check.Options{
		Dial: check.Brokers(r.Cluster.Straight()...), Seed: seed,
		Topics: []string{r.Topic}, Partitions: partitions,
		Clients: clients, Pause: pause, Bad: s.Bad, Groups: []int{2}, Timeout: patience,
		Started: func(h *check.History) {
			h.Exclusive = true // the probes have a topic of their own
			tr.history = h
			close(tr.began)
		},
	}
	for _, n := range r.Nodes {
		tr.options.URLs = append(tr.options.URLs, n.URL)
	}
	return tr
}

// run has all clients at work until ctx ends, and returns when the consumers have read to the end.
func (tr *traffic) run(ctx context.Context) {
	_, tr.err = check.Run(ctx, tr.options)
	if tr.history == nil {
		close(tr.began) // nobody may wait for it
	}
}

// disturb notes a fault in the history, which excuses a consumer that begins anew.
func (tr *traffic) disturb(name string) {
	if <-tr.began; tr.history != nil {
		tr.history.Disturb(name)
	}
}

// verify reads the log, past everything, and has it compared with what the clients were told.
func (tr *traffic) verify(ctx context.Context, into *Result) error {
	if tr.err != nil {
		return tr.err
	}
	log, err := check.ReadLog(ctx, tr.options.Dial, tr.history)
	if err != nil {
		return err
	}
	into.Report = check.Check(tr.history, log)
	for _, op := range tr.history.Ops() {
		if op.Kind == check.Disturbed || op.Kind == check.Committed {
			continue // no request to a node
		}
		if op.Status == 0 && op.Outcome == check.Unknown && !op.Late {
			into.Cuts = append(into.Cuts, fmt.Sprintf("%s %d of client %d on connection %d, after %v: %s",
				op.Kind, op.Seq, op.Client, op.Conn, (op.Done-op.Sent).Round(time.Millisecond), op.Note))
		}
		if op.Kind == check.Produce {
			into.Requests++
			if !good(op) {
				into.Refused++
			}
		}
	}
	return nil
}

// good reports whether all records that may be stored are.
func good(op check.Op) bool {
	for _, r := range op.Records {
		if r.Outcome != check.OK && !r.Bad {
			return false
		}
	}
	return true
}
