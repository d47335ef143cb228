// Package tracing reports requests to an OpenTelemetry collector: a span for each HTTP request,
// and by kotel, franz-go's own plug-in, one for each record that the request wrote and each that
// was fetched for a reader. Spans are exported by OTLP over HTTP.
//
// Tracing is off by default: without [Wanted] no [Tracing] is made, and its users have nil
// instead. Tracing that is off costs a comparison.
//
// A request's parent span comes from its traceparent header (W3C Trace Context), and is
// propagated into the headers of its records, where consumers find it. The service that began the
// trace decides whether a request is recorded; for traces that begin here Settings.Ratio decides.
// Baggage is not propagated.
//
// No span holds a key, a value or a query, so that no payload reaches the collector. Spans are
// exported in the background; when the collector is away or slow they are dropped, and only
// [Tracing.Close] waits for it, for a bounded time.
//
// A [Tracing] may be used from any goroutine, a [Span] from that of its request.
//
// Read next: tracing.go for the export, span.go for requests, records.go for Kafka.
package tracing
