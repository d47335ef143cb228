// Package reader reads records without a consumer instance and without a group: a page of one
// partition from any offset, and endless streams of a topic.
//
//   - reader.go: the [Reader], its life, and its errors.
//   - direct.go, page.go: one page of a partition ([Reader.Append]).
//   - stream.go: a stream ([Reader.OpenStream]). tail.go: the part that the streams of one topic
//     share: a Kafka client that waits for new records, and a cache of the last ones.
//   - outlet.go: the buffer and the sending of a stream. positions.go: its positions, as a text
//     from which a client resumes.
//   - show.go, undecodable.go, schemas.go: the form of records, the treatment of a record that
//     cannot be decoded, and the schemas of a read. Package consumer uses them for the records of
//     instances, too.
//
// A stream owns its positions, by offset; the tail is a cache and a notification. A stream
// fetches itself whatever the tail lacks, or is not sure of, so that no fault of the tail can
// lose or repeat a record.
//
// Records belong to the fetch until [kgo.Record.Recycle]; a response's buffer is the caller's
// throughout. Methods of [Reader] may be called from any goroutine; a [Stream] belongs to the
// goroutine that runs it. The package knows no HTTP.
package reader
