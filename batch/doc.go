// Package batch is the produce side: it writes the records of HTTP requests into record batches
// of its own, sends them to Kafka, and answers each record.
//
// A [Job] is one request. Its owner fills it (body, records) and gives it to [Producer.Produce],
// which
//
//   - admits it by bytes, or refuses it at once: producer.buffer.memory bounds the bytes that
//     Kafka has not acked, whatever the brokers do;
//   - checks topic and partitions against the cluster's metadata, so that a request for a topic
//     or partition that does not exist fails at once and not after a time-out;
//   - chooses partitions, and frames each record into the open batch of its partition. That copies
//     it; nothing looks at the body afterwards;
//   - waits until all runs of the job are answered, with a deadline, and lets the caller write the
//     response. A run is a row of records that stand together in one batch: a batch is answered by
//     its runs, not by its records.
//
// A [sender] per broker makes the one flush decision and sends a request with at most one batch of
// each partition. A [partition] keeps order and sequences. The [router] is the one goroutine that
// knows where partitions are, and wakes those that wait. Of the client library the package uses
// connections, versions, throttling and codecs, not the producer: that one fails the records of
// strangers together, and costs several times as much for each.
//
// # The states of a partition
//
//	        a batch is acked                 a failure is answered
//	fresh ───────────────────▶ open ──────────────────────────────▶ failing
//	one in     ▲             five in  ◀───────────────────────────  nothing is sent;
//	flight     │             flight     all is answered: the        the answers to all
//	  ▲        │                        oldest is treated           in flight come in
//	  │        └──────────────────────────────┐                        │
//	  │  a new epoch, a new leader,           │ treated                │ the oldest is refused, and
//	  └─ or one is sent again, or refused ────┤                        ▼ one behind it is unknown
//	                                          └─────────────────── resolving
//	                                                               those behind it are sent again
//
// What is done about the oldest batch that failed (treat.go), by what its end means (answer.go):
//
//	unknown   connection, 7, 20         the same bytes again, with those behind it
//	again     retriable, not written    the same
//	moved     3, 5, 6, 56, 74, 100      the same, at the leader that the broker named or a look-up
//	named     a broker names records    they fail alone; the rest goes again at once
//	unnamed   2 twice, 32, 87           halved until the record stands alone that is refused
//	tooLarge  10, 18                    halved, at a run if it can be; a record alone fails
//	lost      45, 47, 59                a new epoch, from sequence 0
//	broken    -1                        it fails as unknown; a new epoch
//	refused   all else                  it fails; those behind it take its sequences
//
// Invariants, which the simulation in the tests holds:
//
//   - A batch whose outcome is unknown keeps its bytes and its sequence until a broker has told.
//     Cut anew, or under another epoch, it could be written twice. If the delivery timeout comes
//     first, its clients are told that the outcome is unknown.
//   - Sequences move only when all batches that had them are known not to be written.
//   - Never more than five batches lie between the oldest that is not acked and the newest that
//     was sent: a broker knows the last five again, and takes a sixth for out of order.
//   - A broker without state of the producer accepts any sequence as the first. So one batch is in
//     flight until the first ack of an epoch: if the first of several failed, the others would be
//     written before it, and it never. The same after a failure, and at a new leader: the others
//     would not be written, but brokers log an error for each.
//   - A partition changes its sender only with nothing in flight.
//   - Each record of a job is answered once, by one run.
//
// # Ownership
//
// Produce takes the job. A request that gives up waiting abandons its job: the last run's answer
// releases it, and its bytes stay admitted until then. Otherwise an outage of the brokers would
// turn time-outs into unbounded memory. A batch belongs to its partition, and goes back to its pool
// once it is answered, when no request has it any more.
//
// A job is charged its body, slab and arena, and refused if they do not fit. A batch charges its
// frames and what they are compressed to when it makes them, a sender the library's copy of the
// request that is being written. Those are not refused, so that they may exceed the bound. So a
// request has at most an eighth of producer.buffer.memory, or one batch, and once the bound is
// exceeded a sender has one in flight.
//
// Requests are sent with a context that never ends: to give one up the library ends the connection,
// and all that is in flight there.
//
// Locks are taken in the order partition, sender, router.
//
// Read next: producer.go for the steps of a request, partition.go and treat.go for the states,
// sender.go for the flush decision, open.go and frame.go for a batch's bytes.
package batch
