// Package tune finds the compression that suits a topic's records: `millrace
// tune`.
//
// It takes a sample of real records, from a topic ([ReadTopic]) or from a file
// with one JSON value a line ([ReadFile]), builds record batches of them as
// the proxy would, compresses each batch with every codec at several levels,
// with the very compressor that the proxy uses, and decompresses it again
// ([Run]). The [Report] says what each setting gains and costs, which one is
// the cheapest in all and why, as a table, as JSON and as a page with a plot.
//
//   - topic.go, file.go: where samples come from;
//   - batches.go: records to the bytes that a codec gets to see;
//   - candidates.go: the codecs and levels;
//   - measure.go: the measuring, by the CPU time of one thread;
//   - advice.go: what a day costs, and the rule that picks;
//   - table.go, page.go, chart.go: the report.
//
// It never writes to Kafka, joins no group and commits nothing. Records are
// looked at as bytes only, and none of them is in a report. Functions may run
// at once, but two measurements at the same time disturb each other.
//
// Read next: docs/tuning.md for the figures, internal/kafka/compressor.go for
// the compressor.
package tune
