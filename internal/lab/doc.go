// Package lab holds the instruments of the laboratory: bench, loadtest and tune
// measure with one of each.
//
//   - histogram.go: [Histogram] counts durations, by HdrHistogram, to within 0.8 %.
//   - process.go, clock_linux.go: [ReadUsage] reads CPU and memory of any process of
//     this machine from /proc; [ProcessCPU] and [ThreadCPU] read the clocks of this one,
//     to the nanosecond.
//   - schedule.go, pacer.go, load.go: a [Schedule] says when the requests of an open
//     loop are due, a [Pacer] holds each back until then, and a [Load] sends them from
//     its workers. Latency counts from the time that a request was due. A generator
//     whose clock starts when a connection is free sends less while the server stalls,
//     and reports a stall of one second as a few slow requests.
//   - readback.go: [ReadBack] reads spans of partitions, straight from the brokers;
//     [Content] is what is compared where records have no name.
//   - plot.go, bars.go, svg.go: [Plot] draws lines and points over two [Axis], [BarChart]
//     stacked bars, both as SVG with the colours of a style sheet.
//
// Two things stay outside. loadtest fires its requests by vegeta's attacker, which takes
// its times from a Pacer; bench fires finished bodies over one fasthttp connection a
// worker, which costs less CPU, because generator and server share a machine. And
// loadtest compares a ledger of every record with what was read back, and loadtest/check
// a history of every request, where bench, whose bodies name no record, compares a Content.
//
// No function here speaks HTTP or knows a record's format, and none is used while
// millrace serves. A Histogram belongs to one goroutine. A Pacer and a Load may be used
// by many. All else is values and functions that may run at once.
//
// Read next: bench/doc.go and loadtest/doc.go, which say how to read the figures.
package lab
