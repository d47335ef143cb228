// Package tune finds the compression that suits a topic's records: `millrace tune`.
//
// It takes a sample of real records, from a topic ([ReadTopic]) or from a file with one JSON
// value a line ([ReadFile]), builds record batches of them as a node would, compresses each batch
// with every codec at several levels, with the compressor of a node, and decompresses it again
// ([Run]). The [Report] has the gain and cost of each setting, the cheapest one in total and the
// reason, as a table, as JSON and as a page with a plot.
//
//   - topic.go, file.go: the sources of samples;
//   - batches.go: records to the bytes that a codec compresses;
//   - candidates.go: the codecs and levels;
//   - measure.go: the measuring, by the CPU time of one thread;
//   - advice.go: what a day costs, and the rule that picks;
//   - table.go, page.go, chart.go: the report.
//
// It never writes to Kafka, joins no group and commits nothing. Records are read as bytes only,
// and none of them is in a report. Functions may run concurrently, but two measurements at the
// same time disturb each other.
//
// Read next: docs/tuning.md for the figures, internal/kafka/compressor.go for the compressor.
package tune
