// Package batch is the produce side: it takes the records of one HTTP request,
// hands them to the Kafka client, and brings back what became of each.
//
// A [Job] is one request. Its owner fills it (body, records) and gives it to
// [Producer.Produce], which
//
//   - admits it by bytes, or refuses at once: what Kafka has not answered is
//     bounded by producer.buffer.memory, whatever the brokers do;
//   - checks topic and partitions against the cluster's metadata, so that a
//     request that names things which do not exist fails now and not after a time-out;
//   - lends the records to the Kafka client when it is time to ([departures]):
//     at once when nothing is in flight, else together with those of other
//     requests, up to producer.linger.ms later. Records for the same partition
//     meet in one batch. This is the one flush decision; the client itself
//     sends whatever it has;
//   - waits for the last record's promise, with a deadline, and lets the caller
//     write the answer.
//
// Ownership. Produce takes the job. Until the last promise has run the records
// are lent to the client, which reads keys and values out of the job's body. A
// request that stops waiting abandons its job: the last promise releases it,
// and its bytes stay admitted until then, so an outage of the brokers cannot
// turn time-outs into unbounded memory.
//
// Promises run one after another on one goroutine of the client, so what they
// do here is a few instructions: note an error, count down, wake the handler.
// The records are produced with the process's context, never a request's: the
// client fails a whole partition's buffer when the first record's context ends.
//
// Read job.go for the life of a job, producer.go for the way of a request,
// flight.go for when it leaves.
package batch
