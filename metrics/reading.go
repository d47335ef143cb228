package metrics

import (
	"iter"
	"slices"
)

// Reading holds the counts of requests up to one time, for readers that show figures without a
// scrape. Two readings make a rate.
type Reading struct {
	// Routes are those that had requests.
	Routes []RouteReading
	// Formats are all, Failures those that occurred.
	Formats  []FormatReading
	Failures []FailureReading
	// ConsumeLatency and ConsumeAge are of what readers got, see [Metrics.Returned].
	ConsumeLatency, ConsumeAge Durations
	// InFlight and Streams are as of now.
	InFlight, Streams int64
	// Panics is how many handlers panicked.
	Panics uint64
}

// RouteReading holds the counts of one method and route template.
type RouteReading struct {
	Method, Path string
	// Requests is the number of completed requests, Failed those with a status of 400 or more,
	// Broken those with one of 500 or more.
	Requests, Failed, Broken uint64
	// Received and Sent are bytes of bodies.
	Received, Sent uint64
	Took           Durations
}

// FormatReading holds the counts of the records of one format.
type FormatReading struct {
	Name                              string
	Produced, Consumed, ConsumedBytes uint64
}

// FailureReading holds the counts of one row of the table of errors.
type FailureReading struct {
	Name              string
	Code              int
	Requests, Records uint64
}

// TopicReading holds the counts of one topic.
type TopicReading struct {
	Name                           string
	ProducedRecords, ProducedBytes uint64
	ConsumedRecords, ConsumedBytes uint64
}

// Read returns the counts until now, without those of topics. It costs some microseconds for each
// route in use, and calls none of the [Sources].
func (m *Metrics) Read() Reading {
	m.mu.Lock()
	routes, formats, failures := slices.Clone(m.routes), slices.Clone(m.formats), slices.Clone(m.failures)
	m.mu.Unlock()
	r := Reading{InFlight: m.InFlight.Load(), Streams: m.Streams.Load(), Panics: m.Panics.Load()}
	r.ConsumeLatency, r.ConsumeAge = m.consumeLatency.read(), m.consumeAge.read()
	for _, route := range routes {
		if read := route.read(); read.Requests > 0 {
			r.Routes = append(r.Routes, read)
		}
	}
	for _, f := range formats {
		r.Formats = append(r.Formats, FormatReading{f.name, f.Produced.Load(), f.Consumed.Load(), f.ConsumedBytes.Load()})
	}
	for _, f := range failures {
		if requests, records := f.Requests.Load(), f.Records.Load(); requests+records > 0 {
			r.Failures = append(r.Failures, FailureReading{f.name, f.code, requests, records})
		}
	}
	return r
}

// Sources returns the sources of the last [Metrics.Watch].
func (m *Metrics) Sources() Sources {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sources
}

// Build returns the version that the program was built from.
func (m *Metrics) Build() Build { return m.build }

// Name returns the method and the template that the route has as labels.
func (r *Route) Name() (method, path string) { return r.method, r.path }

func (r *Route) read() RouteReading {
	read := RouteReading{Method: r.method, Path: r.path, Received: r.received.Load(), Sent: r.sent.Load()}
	for i := range r.statuses {
		n := r.statuses[i].Load()
		read.Requests += n
		if minStatus+i >= 400 {
			read.Failed += n
		}
		if minStatus+i >= 500 {
			read.Broken += n
		}
	}
	if read.Requests > 0 && !r.timedAsGET {
		read.Took = r.took.read()
	}
	return read
}

// All yields every topic with a count, in no order.
func (t *Topics) All() iter.Seq[TopicReading] {
	return func(yield func(TopicReading) bool) {
		t.mu.RLock()
		all := make([]*topic, 0, len(t.byName))
		for _, c := range t.byName {
			all = append(all, c)
		}
		t.mu.RUnlock()
		for _, c := range all {
			n := func(i int) uint64 { return c.counts[i].Load() }
			if !yield(TopicReading{c.name, n(producedRecords), n(producedBytes), n(consumedRecords), n(consumedBytes)}) {
				return
			}
		}
	}
}
