// Package kafka builds the Kafka clients of the process from settings.
//
// There are four kinds: one that sends the produce requests of package batch ([NewSender]), one
// for look-ups that never reads or writes records ([NewAdmin]), one for reads that need no
// consumer ([Reader]), and one consumer for each consumer instance, which package consumer builds
// from [ConsumerOpts] and its own group options. They are kept apart so that a slow fetch or a
// full produce queue never delays a metadata response on a shared connection.
//
// Every option of the client library whose default matters to us is set here, with the reason
// beside it, so that an upgrade of the library cannot change how millrace behaves without a diff.
// client.go holds what all clients share, sender.go and consumer.go the rest.
//
// partitioner.go gives keys the partitions that Kafka's Java producer does. compressor.go holds the
// one part of producing that can change while it runs. pools.go lends fetches their memory; all
// consumers of the process share one bounded pool. log.go forwards the library's log to slog.
//
// The package never creates topics, never decides when a response is sent, and runs no goroutine
// of its own. The caller that builds a client closes it. All functions may be called
// concurrently.
//
// Read next: package batch for the produce side, package consumer for the fetch side, package
// metadata for look-ups.
package kafka
