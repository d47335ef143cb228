// Package testkit gives tests the real things: a real Apache Kafka, a real
// schema registry, real input records, a real curl, and the built program itself.
//
// It never stands in for the product: no stub of ours lives here. The one imitation is kfake,
// franz-go's broker in process, and [OnBoth] exists so that a test which kfake passes is also
// run on Kafka.
//
//   - kafka.go, install.go: a Kafka of one's own ([StartKafka]) that can be
//     killed, stopped and started again on the same port and data.
//   - shared.go: the one Kafka of this test process ([RealKafka]), or the one
//     of the whole `make test` when MILLRACE_TEST_KAFKA names it. A package
//     that uses it hands its TestMain to [Main], which also stops the broker
//     and fails the run when goroutines leak.
//   - registry.go: the same for one schema registry, Apicurio ([Registry]),
//     which MILLRACE_TEST_REGISTRY may name.
//   - broker.go, readback.go: [Broker], kfake ([Fake]), unique names, reading a
//     topic back raw.
//   - rawbatch.go: a produce request of which a test sets all that is in its batch.
//   - input.go: real JSON out of the module cache.
//   - exchange.go, exchange_parse.go: golden HTTP exchanges over a bare socket.
//   - readme.go: the README's curl lines, run as a stranger would.
//   - eventually.go: the one way to poll ([Eventually]).
//   - process.go: child processes, among them the built millrace.
//
// Everything that a function starts belongs to the test that it was given and ends with it.
// Everything here may be used from parallel tests, except one handle ([Kafka], [Process]) from
// two goroutines at once. Every wait has a deadline and ends on a condition.
//
// Only tests, bench and loadtest may import this package; internal/lint holds
// that. cmd/kafka makes broker and registry available to the Makefile.
package testkit
