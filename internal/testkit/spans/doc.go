// Package spans has the OpenTelemetry collector of the tests, which keeps the spans that it is
// sent.
//
// It stands apart from package testkit for what it links: the messages of OTLP bring gRPC along,
// which each test binary that imports testkit would have to link, and two tests need.
//
// A [Collector] ends with the test that started it, and may be read while spans arrive.
package spans
