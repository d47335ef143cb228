package loadtest

import (
	"sync"
	"time"

	"millrace/internal/lab"
)

// sample is one finished request, timed from the beginning of the figures.
type sample struct {
	due     time.Duration // when it should have been sent
	end     time.Duration // when the answer was complete
	latency time.Duration // end - due
	service time.Duration // end - the moment a worker picked it up, as vegeta has it
	out     uint64        // bytes of the request's body
	in      uint64        // bytes of the answer's body
}

// tally holds the figures of one flow, or of one of its steps.
type tally struct {
	mu sync.Mutex
	scheduled,
	answered, failed uint64 // requests
	unchanged              uint64 // of answered: 304
	records, failedRecords uint64
	bytesOut, bytesIn      uint64
	latency, service       lab.Histogram
	lag                    lab.Histogram // from due to picked up
	seconds                []second
	failures               map[failure]*failureCount
	lastEnd                time.Duration
}

// second is one second of a flow's time.
type second struct {
	due           uint64        // requests whose time was in it
	done, failed  uint64        // requests that ended in it
	records       uint64        // acknowledged or delivered in it
	latency       lab.Histogram // of the requests that were due in it
	failedRecords uint64
}

type failureCount struct {
	count   uint64
	message string // what the proxy said, once
}

// maxSeconds bounds the series: a day.
const maxSeconds = 86400

func newTally() *tally { return &tally{failures: map[failure]*failureCount{}} }

// at returns the second of d; mu must be held.
func (t *tally) at(d time.Duration) *second {
	i := min(max(int(d/time.Second), 0), maxSeconds)
	for len(t.seconds) <= i {
		t.seconds = append(t.seconds, second{})
	}
	return &t.seconds[i]
}

// add counts one request.
func (t *tally) add(s sample, o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := t.at(s.due)
	due.due++
	due.latency.Add(s.latency)
	end := t.at(s.end)
	if o.unchanged {
		t.unchanged++
	}
	if o.ok {
		t.answered++
		end.done++
	} else {
		t.failed++
		end.failed++
	}
	end.records += uint64(o.records)
	end.failedRecords += uint64(o.failedRecords)
	t.records += uint64(o.records)
	t.failedRecords += uint64(o.failedRecords)
	t.bytesOut += s.out
	t.bytesIn += s.in
	t.latency.Add(s.latency)
	t.service.Add(s.service)
	t.lag.Add(s.latency - s.service)
	t.lastEnd = max(t.lastEnd, s.end)
	for _, f := range o.failures {
		t.fail(f, 1, o.message)
	}
}

// fail counts n failures of one kind; mu must be held.
func (t *tally) fail(f failure, n uint64, message string) {
	c := t.failures[f]
	if c == nil {
		c = &failureCount{message: message}
		t.failures[f] = c
	}
	c.count += n
}

// schedule counts n requests that were to be sent, hits of which were.
func (t *tally) schedule(n, hits uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scheduled += n
	if n > hits {
		t.fail(failure{Kind: kindUnsent}, n-hits, "")
	}
}

// unsent takes in how long a request waited that was never sent. To leave it out would hide what
// it waited for: a proxy that stalls answers none, and few are on their way to it.
func (t *tally) unsent(due, waited time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	second := t.at(due)
	second.due++
	second.latency.Add(waited)
	t.latency.Add(waited)
}

// counts is what progress shows of a tally so far.
type counts struct {
	answered, failed, records uint64
}

// progress returns the counts, and the latencies of the requests that were due
// in second i.
func (t *tally) progress(i int) (counts, lab.Histogram) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var h lab.Histogram
	if i >= 0 && i < len(t.seconds) {
		h.Merge(&t.seconds[i].latency)
	}
	return counts{answered: t.answered, failed: t.failed, records: t.records}, h
}

// errorRate is the share of requests that failed or were never sent, or of
// records, whichever is higher.
func (t *tally) errorRate() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	rate := 0.0
	if all := max(t.scheduled, t.answered+t.failed); all > 0 {
		rate = float64(all-t.answered) / float64(all)
	}
	if all := t.records + t.failedRecords; all > 0 {
		rate = max(rate, float64(t.failedRecords)/float64(all))
	}
	return rate
}
