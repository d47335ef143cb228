// Package batch is the produce side: it takes the records of one HTTP request, lends them to the
// Kafka client, and returns the result of each.
//
// A [Job] is one request. Its owner fills it (body, records) and gives it to [Producer.Produce],
// which
//
//   - admits it by bytes, or refuses it at once: producer.buffer.memory bounds the bytes that
//     Kafka has not acked, whatever the brokers do;
//   - checks topic and partitions against the cluster's metadata, so that a request for a topic
//     or partition that does not exist fails at once and not after a time-out;
//   - lends the records to the Kafka client when [flusher] decides: at once when nothing is in
//     flight, else together with those of other requests, up to producer.linger.ms later. Records
//     for the same partition then share a batch. This is the one flush decision; the client
//     itself sends whatever it has;
//   - waits for the last record's promise, with a deadline, and lets the caller write the
//     response.
//
// Ownership. Produce takes the job. Until the last promise has run the records are lent to the
// client, which reads keys and values out of the job's body. A request that gives up waiting
// abandons its job: the last promise releases it, and its bytes stay admitted until then.
// Otherwise an outage of the brokers would turn time-outs into unbounded memory.
//
// Promises run one after another on one goroutine of the client, so a promise here is a few
// instructions: note an error, count down, wake the handler. The records are produced with the
// process's context, never a request's: the client fails a whole partition's buffer when the
// first record's context ends.
//
// Read next: job.go for the life of a job, producer.go for the steps of a request, flush.go for
// the flush decision.
package batch
