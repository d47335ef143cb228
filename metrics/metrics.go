package metrics

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// Settings of the metrics.
type Settings struct {
	// Topics is how many topics, and how many pairs of group and topic, have a
	// series of their own (metrics.topics.max).
	Topics int
}

// Build is the version that the program was built from.
type Build struct{ Version, Revision string }

// Metrics are the metrics of one node. Make them with [New].
type Metrics struct {
	// InFlight is the number of requests without a complete response.
	InFlight atomic.Int64
	// Streams is the number of open streams.
	Streams atomic.Int64
	// Panics counts handlers that panicked.
	Panics atomic.Uint64
	// Ingest counts events that are not answered by Kafka.
	Ingest Ingest
	// OriginsRefused counts requests of web pages of origins that are not allowed.
	OriginsRefused atomic.Uint64
	// Replayed counts requests that the answer of an earlier one with the same Idempotency-Key was
	// sent to, AnswersEvicted answers that were forgotten before their time.
	Replayed, AnswersEvicted atomic.Uint64

	settings Settings
	build    Build
	registry *prometheus.Registry
	topics   *Topics
	clients  map[string]*clientHook // by name; complete when New returns

	wait, batchRecords, batchBytes   *prometheus.HistogramVec
	waited, recordsInBatch, batchLen prometheus.Observer
	fetched                          [len(codecNames)]fetched
	consumeLatency, consumeAge       latency

	mu       sync.Mutex // guards what follows, which grows at start only
	routes   []*Route
	formats  []*Format
	failures []*Failure
	sources  Sources
}

// New returns metrics without counts.
func New(s Settings, b Build) *Metrics {
	m := &Metrics{
		settings:     s,
		build:        b,
		registry:     prometheus.NewRegistry(),
		topics:       newTopics(s.Topics),
		wait:         produceWait.vec(secondBuckets[:]),
		batchRecords: produceBatchLen.vec(recordBuckets),
		batchBytes:   produceBatchBig.vec(byteBuckets),
	}
	m.consumeAge.unit = time.Millisecond
	m.waited = m.wait.WithLabelValues()
	m.recordsInBatch = m.batchRecords.WithLabelValues()
	m.batchLen = m.batchBytes.WithLabelValues()
	m.registry.MustRegister(
		collector{m}, m.wait, m.batchRecords, m.batchBytes,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.clients = m.newClientHooks()
	return m
}

// ownHistograms are made by this package, the others by the library.
var ownHistograms = []*Def{httpDuration, consumeLatency, consumeAge}

// maxAge is the longest age that is counted as it is. Timestamps are the clients', and may be of
// any year.
const maxAge = 1024 * time.Second

// Returned counts records of one topic that a reader gets: when it asked, when they were ready to
// be sent, and the timestamps of the first and the last of them. A timestamp after that time is one
// of a clock that is wrong, and is left out of account.
func (m *Metrics) Returned(asked, ready, first, last time.Time) {
	since := asked
	if last.After(asked) && !last.After(ready) {
		since = last
	}
	m.consumeLatency.observe(ready.Sub(since))
	if first.UnixMilli() > 0 { // else it has none
		m.consumeAge.observe(min(ready.Sub(first), maxAge))
	}
}

// Topics returns the counters of topics.
func (m *Metrics) Topics() *Topics { return m.topics }

// Format returns the counters of a format of records. It is for start-up.
func (m *Metrics) Format(name string) *Format {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.formats {
		if f.name == name {
			return f
		}
	}
	f := &Format{name: name}
	m.formats = append(m.formats, f)
	return f
}

// Format counts the records of one format.
type Format struct {
	name string
	// Produced counts records that Kafka has.
	Produced atomic.Uint64
	// Consumed counts records returned to readers, ConsumedBytes their keys and values.
	Consumed, ConsumedBytes atomic.Uint64
}

// Failure returns the counters of a row of the table of errors. It is for start-up.
func (m *Metrics) Failure(name string, code int) *Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.failures {
		if f.name == name && f.code == code {
			return f
		}
	}
	f := &Failure{name: name, code: code}
	m.failures = append(m.failures, f)
	return f
}

// Failure counts the requests and records that failed with one row of the table of errors.
type Failure struct {
	name string
	code int
	// Requests counts requests that got the error, Records the records that are not in Kafka for
	// that reason.
	Requests, Records atomic.Uint64
}

// Ingest counts events whose request was answered before Kafka had them.
type Ingest struct {
	// Forwarded counts events of the spool that Kafka has, Repeated those that were sent again,
	// Dead those that Kafka will never take, and Lost those of ack memory that did not arrive.
	Forwarded, Repeated, Dead, Lost atomic.Uint64
	// DeadLetters counts events that are in dead-letter topics.
	DeadLetters atomic.Uint64
	// Dropped counts events that rules of routes leave out.
	Dropped atomic.Uint64
	// Overflowed counts events that are over the rate of their key, and go to overflow topics.
	Overflowed atomic.Uint64
}

// Watch sets the sources that a scrape reads. It replaces those of an earlier call.
func (m *Metrics) Watch(s Sources) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources = s
}

// Write writes all metrics in the form that an HTTP Accept header asks for, text by default, and
// returns the Content-Type of its output.
func (m *Metrics) Write(w io.Writer, accept string) (contentType string, err error) {
	families, err := m.registry.Gather()
	if err != nil {
		return "", fmt.Errorf("cannot gather the metrics: %w", err)
	}
	header := http.Header{}
	if accept != "" {
		header.Set("Accept", accept)
	}
	format := expfmt.NegotiateAccept(header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	enc := expfmt.NewEncoder(w, format)
	for _, family := range families {
		if err := enc.Encode(family); err != nil {
			return "", fmt.Errorf("cannot write the metric %s: %w", family.GetName(), err)
		}
	}
	if end, ok := enc.(expfmt.Closer); ok { // OpenMetrics has a last line
		if err := end.Close(); err != nil {
			return "", fmt.Errorf("cannot write the end of the metrics: %w", err)
		}
	}
	return string(format), nil
}

// collector gives the registry the figures that Metrics holds in its own form.
type collector struct{ m *Metrics }

// Describe implements [prometheus.Collector].
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, g := range Catalog() {
		for _, d := range g.Defs {
			if (d.Type != "histogram" || slices.Contains(ownHistograms, d)) && !slices.Contains(kprom, d) {
				to <- d.desc
			}
		}
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(to chan<- prometheus.Metric) {
	m := c.m
	m.mu.Lock()
	routes, formats, failures, sources := slices.Clone(m.routes), slices.Clone(m.formats), slices.Clone(m.failures), m.sources
	m.mu.Unlock()
	for _, r := range routes {
		r.collect(to)
	}
	for _, f := range formats {
		produceRecords.put(to, float64(f.Produced.Load()), f.name)
		consumeRecords.put(to, float64(f.Consumed.Load()), f.name)
		consumeBytes.put(to, float64(f.ConsumedBytes.Load()), f.name)
	}
	for _, f := range failures {
		code := fmt.Sprint(f.code)
		httpErrors.put(to, float64(f.Requests.Load()), f.name, code)
		produceFailed.put(to, float64(f.Records.Load()), f.name, code)
	}
	httpInFlight.put(to, float64(m.InFlight.Load()))
	httpStreams.put(to, float64(m.Streams.Load()))
	ingestForwarded.put(to, float64(m.Ingest.Forwarded.Load()))
	ingestRepeated.put(to, float64(m.Ingest.Repeated.Load()))
	ingestDead.put(to, float64(m.Ingest.Dead.Load()))
	ingestLost.put(to, float64(m.Ingest.Lost.Load()))
	ingestDropped.put(to, float64(m.Ingest.Dropped.Load()))
	ingestOverflowed.put(to, float64(m.Ingest.Overflowed.Load()))
	ingestDeadLetters.put(to, float64(m.Ingest.DeadLetters.Load()))
	httpOrigins.put(to, float64(m.OriginsRefused.Load()))
	httpReplayed.put(to, float64(m.Replayed.Load()))
	httpEvicted.put(to, float64(m.AnswersEvicted.Load()))
	httpPanics.put(to, float64(m.Panics.Load()))
	buildInfo.put(to, 1, m.build.Version, m.build.Revision, runtime.Version())
	for i := range m.fetched {
		m.fetched[i].collect(to, codecNames[i])
	}
	to <- shown{&m.consumeLatency, consumeLatency.desc, nil}
	to <- shown{&m.consumeAge, consumeAge.desc, nil}
	m.topics.collect(to)
	sources.collect(to, m.settings.Topics)
}
