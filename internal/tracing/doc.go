// Package tracing tells an OpenTelemetry collector what became of requests:
// a span for each HTTP request, and by kotel, franz-go's own plug-in, one for
// each record that it wrote and each that was fetched for a reader. They go
// out by OTLP over HTTP.
//
// It is off unless asked for: [Wanted] says, and without it nobody makes a
// [Tracing]; whoever would use one has nil instead and looks no further. So
// what is off costs a comparison.
//
// A request's place in a larger trace comes from its traceparent header (W3C
// Trace Context), and goes on into the headers of its records, where
// consumers find it. Whether a request is recorded is decided by whoever
// began the trace; for those that begin here by Settings.Ratio. Baggage is not
// passed on.
//
// No span holds a key, a value or a query: the collector is not the place for
// payloads. Spans are handed over in the background; when the collector is
// away or slow they are dropped, and nobody waits for it but [Tracing.Close],
// for a bounded time.
//
// A [Tracing] may be used from any goroutine, a [Span] from that of its request.
//
// Read next: tracing.go for the way out, span.go for requests, records.go for
// Kafka.
package tracing
