// Package reader reads records without a consumer instance and without a group: a page
// of one partition from any offset, and endless streams of a topic.
//
//   - reader.go: the [Reader], its life, and what its errors say.
//   - direct.go, page.go: one page of a partition ([Reader.Append]).
//   - stream.go: a stream ([Reader.OpenStream]). tail.go: what the streams of one topic
//     share: a Kafka client that waits for new records, and the last of those that came.
//   - outlet.go: how a stream is sent. positions.go: where it stands, as a text that a
//     client resumes from.
//   - show.go, undecodable.go, schemas.go: how records are shown, what becomes of one
//     that cannot be decoded, and the schemas of a read. Package consumer shows the
//     records of instances by them, too.
//
// A stream's position is its own, by offset; the tail is a cache and a bell. What the
// tail lacks, or is not sure of, the stream fetches, so nothing that the tail does can
// lose or repeat a record.
//
// Records are the fetch's until [kgo.Record.Recycle]; a response's buffer is the caller's
// throughout. Methods of [Reader] may be called from any goroutine; a [Stream] belongs to
// the one that runs it. It knows no HTTP.
package reader
