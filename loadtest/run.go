package loadtest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"millrace/internal/kafka"
	"millrace/internal/lab"
)

// Options say where the load goes and what is watched.
type Options struct {
	// URL of the proxy, http://HOST:PORT with an optional path. Credentials in
	// it become a header.
	URL string
	// Headers go with every request. Their values are never shown.
	Headers http.Header
	TLS     *tls.Config
	// Kafka is where the topics are read back from; without brokers nothing is
	// verified.
	Kafka kafka.Settings
	// PID of the proxy, if it runs on this machine, to watch its CPU and memory.
	PID int
	// Progress gets one line a second, with colours if Color is set. May be nil.
	Progress io.Writer
	Color    bool
	// Remarks stand with the warnings of the result.
	Remarks []string

	// enough may end the consumers' reading on; a test knows when there is
	// nothing left to be given.
	enough func() bool
}

// run is a run under way.
type run struct {
	scenario *Scenario
	id       string
	to       *endpoint
	flows    []*flowRun
	verifier *verifier // nil without brokers
	warnings []string
	show     *progress
	steps    map[*flowRun][]StepResult
	length   time.Duration // of the last phase, as it was
	enough   func() bool   // see Options
}

// Run carries out the scenario and returns what came of it, whether it passed
// or not. When ctx ends, it stops sending and still verifies and reports. An
// error means that there was no run.
func Run(ctx context.Context, s *Scenario, o Options) (*Result, error) {
	to, err := newEndpoint(o, s.Timeout)
	if err != nil {
		return nil, err
	}
	defer to.close()
	if err := to.probe(ctx); err != nil {
		return nil, err
	}
	r := &run{scenario: s, id: newRunID(), to: to, show: newProgress(o), steps: map[*flowRun][]StepResult{}, warnings: o.Remarks, enough: o.enough}
	if len(o.Kafka.Brokers) > 0 && len(s.Topics()) > 0 {
		if r.verifier, err = newVerifier(o.Kafka, s.Topics()); err != nil {
			return nil, err
		}
		defer r.verifier.close()
		if err := r.verifier.prepare(ctx, s.Partitions); err != nil {
			return nil, err
		}
	}
	if err := r.setUp(ctx); err != nil {
		return nil, err
	}
	defer r.closeConsumers()
	return r.measure(ctx, o)
}

func newRunID() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// setUp builds the flows' sources.
func (r *run) setUp(ctx context.Context) error {
	epoch := time.Now()
	for i := range r.scenario.Flows {
		f := &r.scenario.Flows[i]
		fr := &flowRun{flow: f, total: newTally(), grace: r.scenario.Timeout}
		switch f.Do {
		case Produce:
			fr.ledger = newLedger(f, i, epoch)
			p, err := newProducer(r.to, f, r.id, fr.ledger)
			if err != nil {
				return err
			}
			fr.source = p
		case Metadata:
			fr.source = newPoller(r.to, f)
		case Consume:
			c, err := r.newConsumers(ctx, f)
			if err != nil {
				r.closeConsumers()
				return err
			}
			fr.source, fr.got = c, c.got
		}
		client := *r.to.client
		client.Transport = &transport{base: r.to.client.Transport, sent: fr.source.sent}
		fr.client = &client
		r.flows = append(r.flows, fr)
	}
	return nil
}

func (r *run) newConsumers(ctx context.Context, f *Flow) (*consumers, error) {
	if r.verifier != nil {
		if err := r.verifier.place(ctx, groupOf(f, r.id), f.Topic); err != nil {
			return nil, err
		}
	}
	return newConsumers(ctx, r.to, f, r.id)
}

func (r *run) closeConsumers() {
	for _, f := range r.flows {
		if c, ok := f.source.(*consumers); ok {
			c.close()
		}
	}
}

// measure warms up, takes the figures, verifies and judges.
func (r *run) measure(ctx context.Context, o Options) (*Result, error) {
	res := &Result{
		Version: resultVersion, Scenario: r.scenario.Name, About: r.scenario.About, Run: r.id, Started: time.Now(),
		URL: r.to.base, Machine: thisMachine(), Text: r.scenario.Text,
	}
	r.show.head(r.scenario, r.to.base, r.id)
	err := r.warmUp(ctx)
	if err == nil {
		err = r.watched(ctx, o, res)
	}
	cut := errors.Is(err, errCut)
	if err != nil && !cut {
		return nil, err
	}
	r.drain(ctx)
	for _, f := range r.flows {
		fr := f.result(r.lengthOf(f))
		fr.Steps, fr.Held = r.steps[f], held(r.steps[f])
		res.Flows = append(res.Flows, fr)
		if fr.Do != Consume {
			res.Elapsed = max(res.Elapsed, f.total.lastEnd.Seconds())
		}
	}
	if res.Elapsed == 0 {
		res.Elapsed = r.length.Seconds()
	}
	res.perRequest()
	r.verify(ctx, res)
	for i, f := range r.flows {
		if f.got != nil {
			res.Flows[i].Delivery = &f.got.result
		}
	}
	res.judge(r.scenario)
	if cut {
		res.Checks = append(res.Checks, Check{"the run", "finished", "ended early", false})
		res.Pass = false
	}
	res.Warnings = append(r.warnings, r.doubts(res)...)
	return res, nil
}

// warmUp sends at each flow's first rate, into tallies that nobody looks at
// but for failures.
func (r *run) warmUp(ctx context.Context) error {
	if r.scenario.Warmup == 0 {
		return nil
	}
	r.show.note("warming up for %v", r.scenario.Warmup)
	start := time.Now()
	cold := map[*flowRun]*tally{}
	for _, f := range r.flows {
		cold[f] = newTally()
	}
	err := r.phase(ctx, r.scenario.Warmup, func(ctx context.Context, f *flowRun) error {
		if !f.flow.open() {
			f.closed(ctx, start, cold[f])
			return nil
		}
		first := f.flow.Stages
		if f.flow.Steps != nil {
			first = f.flow.Steps.stages()
		}
		return f.open(ctx, []lab.Stage{{From: first[0].From, To: first[0].From, For: r.scenario.Warmup}}, start, cold[f])
	})
	for _, f := range r.flows {
		if n := cold[f].failed + cold[f].failedRecords; n > 0 && err == nil {
			r.warnings = append(r.warnings, fmt.Sprintf("%s: %d requests or records failed during the warm-up, which is in no figure", f.flow.Name, n))
		}
	}
	return err
}

// watched takes the figures, while CPU and memory are sampled and progress is
// shown.
func (r *run) watched(ctx context.Context, o Options, res *Result) error {
	start := time.Now()
	var meters []*usageMeter
	for _, pid := range []int{os.Getpid(), o.PID} {
		if pid == 0 {
			continue
		}
		m, err := newUsageMeter(pid, start)
		if err != nil {
			r.warnings = append(r.warnings, err.Error())
			continue
		}
		meters = append(meters, m)
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				for _, m := range meters {
					m.sample(now)
				}
				r.show.line(now.Sub(start), r.flows, meters)
			case <-done:
				for _, m := range meters {
					m.sample(time.Now())
				}
				return
			}
		}
	})
	var mu sync.Mutex
	err := r.phase(ctx, r.scenario.Duration, func(ctx context.Context, f *flowRun) error {
		switch {
		case !f.flow.open():
			f.closed(ctx, start, f.total)
			return nil
		case f.flow.Steps != nil:
			steps, err := f.step(ctx, start)
			mu.Lock()
			defer mu.Unlock()
			r.steps[f] = steps
			return err
		}
		return f.open(ctx, f.flow.Stages, start, f.total)
	})
	close(done)
	watch.Wait()
	for _, m := range meters {
		if m.pid == os.Getpid() {
			res.Generator = m.usage()
		} else {
			res.Process = m.usage()
		}
	}
	return err
}

// phase runs all flows side by side, closed loops for length. Consumers end
// with the others, or after length if there are none.
func (r *run) phase(ctx context.Context, length time.Duration, each func(context.Context, *flowRun) error) error {
	polling, stopPolling := context.WithCancel(ctx)
	defer stopPolling()
	began := time.Now()
	errs := make([]error, len(r.flows))
	var load, polls sync.WaitGroup
	loaded := false
	for i, f := range r.flows {
		if f.flow.Do == Consume {
			polls.Go(func() { errs[i] = each(polling, f) })
			continue
		}
		loaded = true
		load.Go(func() {
			ctx := ctx
			if f.flow.Closed {
				var end context.CancelFunc
				ctx, end = context.WithTimeout(ctx, length)
				defer end()
			}
			errs[i] = each(ctx, f)
		})
	}
	if !loaded {
		select {
		case <-ctx.Done():
		case <-time.After(length):
		}
	}
	load.Wait()
	if ctx.Err() != nil {
		errs = append(errs, errCut)
	}
	r.length = time.Since(began)
	stopPolling()
	polls.Wait()
	return errors.Join(errs...)
}

// lengthOf is how long f was meant to run.
func (r *run) lengthOf(f *flowRun) time.Duration {
	if len(f.flow.Stages) > 0 {
		return stagesTime(f.flow.Stages)
	}
	return r.length
}

// doubts are reasons to doubt the figures that are no failure of the proxy.
func (r *run) doubts(res *Result) (out []string) {
	if g := res.Generator; g != nil && g.Cores > 0.7*float64(res.Machine.CPUs) {
		out = append(out, fmt.Sprintf("the load generator itself used %.1f of %d cores: its latencies hold waiting of its own", g.Cores, res.Machine.CPUs))
	}
	for i, f := range r.flows {
		lag, p99 := f.total.lag.Quantile(.99), f.total.latency.Quantile(.99)
		if res.Flows[i].Open && lag > 5*time.Millisecond && lag > p99/2 {
			out = append(out, fmt.Sprintf("%s: 1 %% of the requests left %s or more after they were due: the proxy held all connections, or this machine was too busy to send",
				f.flow.Name, showMs(ms(lag))))
		}
	}
	return out
}
