package loadtest

import (
	"context"
	"time"
)

// drain lets the consumers poll on, in no figure, until they were given all
// that is in Kafka, or nothing came for as long as a request may take (which is
// waited for where something was lost, or offsets have no record). It goes
// on when ctx has ended, for that is how a user ends a run.
func (r *run) drain(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if r.verifier == nil {
		return
	}
	held, err := r.verifier.extent(ctx)
	if err != nil {
		return // reading back will report it
	}
	began := time.Now()
	stop := func(f *flowRun, polling context.Context) bool {
		return polling.Err() != nil || r.enough != nil && r.enough() || f.got.complete(r.verifier.starts[f.got.topic], held)
	}
	for _, f := range r.flows {
		if f.got == nil || stop(f, ctx) {
			continue
		}
		r.show.note("letting %s read on", f.flow.Name)
		polling, enough := context.WithCancel(ctx)
		go func() {
			defer enough()
			last, at := f.got.progress(), time.Now()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for !stop(f, polling) && time.Since(at) < r.scenario.Timeout {
				<-tick.C
				if now := f.got.progress(); now != last {
					last, at = now, time.Now()
				}
			}
		}()
		f.closed(polling, began, newTally())
		enough()
	}
}

// verify reads back what the flows produced and consumed. It goes on when ctx
// has ended, as drain does.
func (r *run) verify(ctx context.Context, res *Result) {
	var ledgers []*ledger
	var groups []*deliveries
	for _, f := range r.flows {
		if f.ledger != nil {
			ledgers = append(ledgers, f.ledger)
		}
		if f.got != nil {
			groups = append(groups, f.got)
		}
	}
	if len(ledgers)+len(groups) == 0 {
		return
	}
	if r.verifier == nil {
		r.warnings = append(r.warnings, "nothing was read back from Kafka, so that losses would not show: name the brokers")
		return
	}
	r.show.note("reading back from Kafka")
	began := time.Now()
	c := newComparison(r.id, ledgers, groups...)
	err := r.verifier.read(context.WithoutCancel(ctx), c)
	if err != nil {
		c.Reason = err.Error()
	} else {
		c.Complete = true
		c.finish()
	}
	c.Seconds = time.Since(began).Seconds()
	res.Verification = &c.Verification
}
