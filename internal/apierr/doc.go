// Package apierr is the one vocabulary of errors that millrace's HTTP API speaks.
//
// Every HTTP status and every error_code that a client can see stands in one
// row of the table in table.go: its name, status, code, message and whether the
// same request can succeed when it is repeated. No other package writes a
// status or a code; they build an [Error] from a row ([Kind.New], [Kind.Wrap])
// and return it, and package server renders it once, at the edge.
//
// [From] turns any error that came out of the Kafka client, a context or the
// standard library into an [Error], so that a handler can return what it got.
// kafka.go maps each of Kafka's own error codes; a test walks all codes that
// the client library knows, so that a new one cannot go unmapped.
//
// Messages are sentences for the person who wrote the client: what was wrong,
// which record, and what to do. They never hold a payload, a Go type name or a
// stack trace.
//
// advice.go says what to do about each row, and reference.go writes docs/errors.md of
// the table and the advice.
//
// The package holds no state and everything in it is safe for concurrent use.
package apierr
