package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"millrace/internal/lab"
)

// window is what one run of one server came to.
type window struct {
	// Seconds is the length of the timed window; Requests and Records are
	// those that were answered inside of it without an error.
	Seconds  float64 `json:"seconds"`
	Requests uint64  `json:"requests"`
	Records  uint64  `json:"records"`
	// CPU is the time that the measured process used in the window, ClientCPU
	// that of the load generator (0 where the two are one process).
	CPU       time.Duration `json:"cpu_ns"`
	ClientCPU time.Duration `json:"client_cpu_ns"`
	// RSS is the measured process's memory at the end of the window, in bytes,
	// and Peak the most that it ever was.
	RSS  int64 `json:"rss_bytes"`
	Peak int64 `json:"peak_rss_bytes"`
	// Mallocs is how many times the measured process allocated in the window,
	// 0 where that is not known.
	Mallocs uint64 `json:"mallocs,omitempty"`
	// Latency is that of the requests in the window.
	Latency lab.Histogram `json:"latency,omitzero"`
	// Idle is of the time before, in the instances suite.
	Idle *idleState `json:"idle,omitempty"`
	// Acked are the records answered without an error from the first request
	// to the last, warm-up included: what Kafka must hold.
	Acked lab.Content `json:"acked"`
	// Errors counts the requests that failed in any way over the same time;
	// FirstError is what the first one said.
	Errors     uint64 `json:"errors"`
	FirstError string `json:"first_error,omitempty"`
}

// timing is how long a run warms up and is measured.
type timing struct {
	Warm, Measured time.Duration
}

// schedule returns that of an open loop at a rate, in requests a second, which is
// longer than any run; nil for rate 0, as many as go.
func (t timing) schedule(rate float64) *lab.Schedule {
	if rate <= 0 {
		return nil
	}
	return lab.NewSchedule(lab.Stage{From: rate, To: rate, For: t.Warm + t.Measured + time.Hour})
}

// meter tells workers whether the window is open, and measures the server's
// CPU time over it. The workers run beside it on goroutines of their own.
type meter struct {
	// mallocs returns how many times the measured process has allocated; nil
	// where that is not known.
	mallocs func() (uint64, error)

	open     atomic.Bool // the window
	answered atomic.Bool // a request inside of it was
}

// watch puts a load on process pid and fills w: warm-up, window, end. start begins
// one worker of the load, which counts into its tally.
func (m *meter) watch(l *lab.Load, t timing, pid int, w *window, start func(int, *tally) (lab.Send, func())) error {
	tallies := make([]tally, l.Workers)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(func(number int) (lab.Send, func()) { return start(number, &tallies[number]) })
	}()
	err := m.measure(t, pid, w, ended)
	l.Stop()
	<-ended
	for i := range tallies {
		tallies[i].addTo(w)
	}
	return err
}

// longestWindow is how many times its length a window may take until it has an answer.
const longestWindow = 20

// measure runs warm-up and window. A window without an answer says nothing, so it stays
// open until the first one, or until the load has ended.
func (m *meter) measure(t timing, pid int, w *window, ended <-chan struct{}) error {
	time.Sleep(t.Warm)
	end, err := m.begin(pid)
	if err != nil {
		return err
	}
	m.open.Store(true)
	time.Sleep(t.Measured)
	bounded, cancel := context.WithTimeout(context.Background(), (longestWindow-1)*t.Measured)
	defer cancel()
	_ = until(bounded, func() bool { // a row without a response reports that itself
		select {
		case <-ended:
			return true
		default:
			return m.answered.Load()
		}
	})
	m.open.Store(false)
	return end(w)
}

// begin opens the measured time of process pid. The function that it returns closes
// it and fills the fields of w that are the meter's to know.
func (m *meter) begin(pid int) (end func(w *window) error, err error) {
	counted, err := m.countMallocs()
	if err != nil {
		return nil, err
	}
	before, err := lab.ReadUsage(pid)
	if err != nil {
		return nil, err
	}
	own, began := lab.ProcessCPU(), time.Now()
	return func(w *window) error {
		w.Seconds = time.Since(began).Seconds()
		if pid != os.Getpid() {
			w.ClientCPU = lab.ProcessCPU() - own
		}
		after, err := lab.ReadUsage(pid)
		if err != nil {
			return err
		}
		w.CPU, w.RSS, w.Peak = after.CPU-before.CPU, after.RSS, after.Peak
		w.Mallocs, err = counted()
		return err
	}, nil
}

// countMallocs begins to count; the function that it returns ends that. Allocations of the
// counting itself, such as those of a scrape of the metrics, are subtracted.
func (m *meter) countMallocs() (end func() (uint64, error), err error) {
	if m.mallocs == nil {
		return func() (uint64, error) { return 0, nil }, nil
	}
	before, err := m.mallocs()
	if err != nil {
		return nil, err
	}
	began, err := m.mallocs()
	if err != nil {
		return nil, err
	}
	look := began - before
	return func() (uint64, error) {
		ended, err := m.mallocs()
		if err != nil {
			return 0, err
		}
		return ended - began - min(look, ended-began), nil
	}, nil
}

// tally is one worker's share of a window. Only its worker touches it.
type tally struct {
	requests, records, errors uint64
	acked                     lab.Content
	firstError                string
	latency                   lab.Histogram
}

// ok counts a request of n records, whose values have that sum, that succeeded
// after d.
func (t *tally) ok(m *meter, n int, sum uint64, d time.Duration) {
	t.acked.Add(n, sum)
	if m.open.Load() {
		t.requests++
		t.records += uint64(n)
		t.latency.Add(d)
		if !m.answered.Load() { // a store would take the line from the other workers
			m.answered.Store(true)
		}
	}
}

// failed counts a request that failed, and reports whether the worker goes on.
func (t *tally) failed(format string, args ...any) bool {
	if t.errors++; t.firstError == "" {
		t.firstError = fmt.Sprintf(format, args...)
	}
	return t.errors <= maxErrors
}

// addTo adds the share to w, once its worker has ended.
func (t *tally) addTo(w *window) {
	w.Requests += t.requests
	w.Records += t.records
	w.Acked.Add(int(t.acked.Records), t.acked.Sum)
	w.Errors += t.errors
	if w.FirstError == "" {
		w.FirstError = t.firstError
	}
	w.Latency.Merge(&t.latency)
}
