package loadtest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/valyala/fasthttp"

	"millrace/internal/lab"
)

// source makes the requests of a flow and reads their answers. Its methods are
// called by many goroutines at once.
type source interface {
	// target fills in the next request.
	target(*vegeta.Target) error
	// sent is told when produce request n goes to the network.
	sent(n uint64)
	// taken reads an answer, or its absence.
	taken(*vegeta.Result) outcome
}

// outcome is what became of one request.
type outcome struct {
	ok                     bool
	unchanged              bool // answered 304
	records, failedRecords int
	failures               []failure
	message                string
}

// Kinds of failures without an answer.
const (
	kindUnsent  = "never sent: the run ended first"
	kindTimeout = "no answer in time"
	kindRefused = "connection refused"
	kindReset   = "connection closed by the proxy"
	kindOther   = "no answer"
)

// refused is the outcome of a request that the proxy did not carry out.
func (e *endpoint) refused(res *vegeta.Result) outcome {
	if res.Code == 0 {
		return outcome{failures: []failure{{Kind: kindOf(res.Error)}}, message: e.redact(res.Error)}
	}
	code, message := parseError(res.Body)
	return outcome{failures: []failure{{Status: int(res.Code), Code: code}}, message: e.redact(message)}
}

// kindOf sorts the texts of network errors; vegeta hands on only the text.
func kindOf(text string) string {
	for _, k := range []struct{ part, kind string }{
		{"i/o timeout", kindTimeout},
		{"deadline exceeded", kindTimeout},
		{fasthttp.ErrTimeout.Error(), kindTimeout},
		{fasthttp.ErrDialTimeout.Error(), kindTimeout},
		{"connection refused", kindRefused},
		{"connection reset", kindReset},
		{"broken pipe", kindReset},
		{"EOF", kindReset},
		{fasthttp.ErrConnectionClosed.Error(), kindReset},
	} {
		if strings.Contains(text, k.part) {
			return k.kind
		}
	}
	return kindOther
}

// flowRun is one flow under way.
type flowRun struct {
	flow   *Flow
	source source
	client *http.Client
	grace  time.Duration // for what is overdue at the end of a leg
	total  *tally
	ledger *ledger     // of a produce flow
	got    *deliveries // of a consume flow

	began    atomic.Int64 // requests that left the schedule
	finished atomic.Int64
}

var errCut = errors.New("the run was ended early")

// open runs the stages as an open loop and returns when the last answer is in.
// start is what samples are timed from; each goes to all of the tallies.
func (f *flowRun) open(ctx context.Context, stages []lab.Stage, start time.Time, tallies ...*tally) error {
	p := &pacer{Schedule: lab.NewSchedule(stages...)}
	a := f.attacker(f.flow.Connections)
	// A proxy that stalls leaves requests overdue at the end. They are still
	// sent for a while; what is left then counts as failed.
	late := time.AfterFunc(p.Length()+f.grace, func() { a.Stop() })
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { a.Stop() })()

	hits := f.collect(a.Attack(f.target, p, 0, ""), func(res *vegeta.Result, o outcome) {
		end := res.Timestamp.Add(res.Latency)
		due := p.due.Due(res.Seq)
		s := sample{
			due: due.Sub(start), end: end.Sub(start), latency: end.Sub(due),
			service: res.Latency, out: res.BytesOut, in: res.BytesIn,
		}
		for _, t := range tallies {
			t.add(s, o)
		}
	})
	scheduled := p.Total()
	if ctx.Err() != nil {
		scheduled = hits // nobody's fault
	}
	ended := time.Now()
	for _, t := range tallies {
		t.schedule(scheduled, hits)
		for n := hits; n < scheduled; n++ {
			due := p.due.Due(n)
			t.unsent(due.Sub(start), ended.Sub(due))
		}
	}
	if ctx.Err() != nil {
		return errCut
	}
	return nil
}

// closed sends with each worker as fast as it is answered, until ctx ends.
// There is no schedule here, so latency is the answer's own time.
func (f *flowRun) closed(ctx context.Context, start time.Time, tallies ...*tally) {
	workers := f.flow.Connections
	if f.flow.Do == Consume {
		workers = f.flow.Instances
	}
	a := f.attacker(workers)
	defer context.AfterFunc(ctx, func() { a.Stop() })()
	f.collect(a.Attack(f.target, closedLoop{}, 0, ""), func(res *vegeta.Result, o outcome) {
		if f.flow.Do == Consume && ctx.Err() != nil {
			return // it waited in vain, for nobody produces any more
		}
		s := sample{
			due: res.Timestamp.Sub(start), end: res.Timestamp.Add(res.Latency).Sub(start),
			latency: res.Latency, service: res.Latency, out: res.BytesOut, in: res.BytesIn,
		}
		for _, t := range tallies {
			t.add(s, o)
		}
	})
}

// attacker is good for one attack; all of a flow share its connections.
func (f *flowRun) attacker(workers int) *vegeta.Attacker {
	return vegeta.NewAttacker(
		vegeta.Client(f.client),
		vegeta.Workers(uint64(min(workers, 16))),
		vegeta.MaxWorkers(uint64(workers)),
	)
}

func (f *flowRun) target(t *vegeta.Target) error {
	f.began.Add(1)
	return f.source.target(t)
}

// collectors is how many goroutines read answers: a worker is not free before
// its result was taken, and answers of a thousand records take their time.
const collectors = 4

// collect hands every result to each, from several goroutines, and returns how
// many there were.
func (f *flowRun) collect(results <-chan *vegeta.Result, each func(*vegeta.Result, outcome)) uint64 {
	var hits atomic.Uint64
	var wg sync.WaitGroup
	for range collectors {
		wg.Go(func() {
			for res := range results {
				hits.Add(1)
				each(res, f.source.taken(res))
				f.finished.Add(1)
			}
		})
	}
	wg.Wait()
	return hits.Load()
}

// pacer makes vegeta follow a schedule: a request late because all workers are
// busy is sent as soon as one is free, and none is left out. (vegeta's own
// pacers stop at the attack's duration, and what was due by then and not sent
// is in no figure.)
type pacer struct {
	*lab.Schedule
	once sync.Once
	// due is set before the first request; its beginning is that of vegeta's clock.
	due *lab.Pacer
}

// Pace implements vegeta.Pacer. vegeta calls it from one goroutine, once for
// every request, with the time since the attack began.
func (p *pacer) Pace(elapsed time.Duration, sent uint64) (wait time.Duration, stop bool) {
	p.once.Do(func() { p.due = lab.NewPacer(p.Schedule, time.Now().Add(-elapsed)) })
	if sent >= p.Total() {
		return 0, true
	}
	p.due.Wait(sent)
	return 0, false
}

// Rate implements vegeta.Pacer; only its own reporters ask.
func (p *pacer) Rate(time.Duration) float64 { return 0 }

// closedLoop is the pacer of requests that follow each other's answers: vegeta
// sends whenever a worker is free.
type closedLoop struct{}

// Pace implements vegeta.Pacer.
func (closedLoop) Pace(time.Duration, uint64) (time.Duration, bool) { return 0, false }

// Rate implements vegeta.Pacer.
func (closedLoop) Rate(time.Duration) float64 { return 0 }
