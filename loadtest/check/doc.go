// Package check proves what a Kafka REST proxy promised: that each acknowledged record is
// stored, once, in order and where the answer says, that a refused one is not, and that
// consumers were given all of it.
//
// A run has four parts, each of which can be used alone:
//
//  1. [Run] lets clients produce and consume through the proxy and returns a [History]: each
//     request, when it was sent, and what came of it. Only the documented v2 API is used, so
//     the proxy may be any (traffic.go; producer.go, consumer.go; plan.go decides by the seed
//     what a client sends; wire.go has one connection a client).
//  2. [ReadLog] reads the topics from the brokers, past the proxy, into a [Log] (log.go).
//  3. [Check] holds one against the other. It is a pure function: it asks nobody and knows no
//     clock, so a history in a file can be judged again (check.go, writes.go, reads.go).
//  4. The [Report] counts each [Anomaly] and has the first examples (report.go). anomaly.go
//     defines them, by the names of Jepsen's Kafka workload where that has one.
//
// A request ends in one of three outcomes. Acknowledged: the record is stored. Failed: it is
// not, and sending it again is safe. Unknown: nobody can tell. [OutcomeOf] decides by the
// error_code; a connection that was cut with a request on it is unknown. A record that was
// sent again after an unknown outcome may be stored twice, and no other.
//
// Concurrency: a client of a run is one goroutine with one connection at a time, so that its
// requests have an order. A History may be appended to by many. All else belongs to one
// goroutine. Headers may hold secrets: they are in no history, report or error.
//
// Package loadtest compares too, with a few bytes a record, at rates that a history cannot
// keep. This package keeps everything, and says of each record what went wrong.
package check
