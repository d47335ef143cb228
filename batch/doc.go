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
//   - lends the records to the Kafka client. Records of many requests for the
//     same partition meet there in one batch; when a batch is sent is decided
//     in that one place, by producer.linger.ms and the number of requests in
//     flight. This package never waits to collect records;
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
// Read job.go for the life of a job, producer.go for the way of a request.
package batch
