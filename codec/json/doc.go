// Package json checks and compacts JSON text (RFC 8259) in place, without
// building values, and is the one place where JSON becomes values ([Unmarshal], [Marshal]).
//
// A telemetry record is stored as the bytes that the client sent: the same
// members in the same order, duplicates as sent, the text of every number and
// string exact. So the produce path never decodes a value; it has to know only
// that the text is valid, where it ends, and whether it holds insignificant
// white space. [Scan] finds all three in one pass over places that stops.go
// lists, 64 bytes at a time, after flat.go has tried to check an object of plain members without
// looking at its tokens one by one; [Compact] removes the white space where there is some. The
// consume path uses [Valid] before it copies stored bytes into a response.
//
// The grammar is the RFC's, to the letter: no leading zeros, no control
// characters in strings, no trailing commas, valid UTF-8 (which costs nothing
// where a text is ASCII). Nesting is bounded by [MaxDepth].
//
// [Unmarshal] is for whatever must understand a value: notices between nodes, what nodes keep in
// Kafka, schemas, reports. It is bytedance/sonic in one configuration (value.go), behind [Scan].
// Records are not decoded by it. The pass-through of json needs no value, and sonic's skipping
// neither reports white space nor checks UTF-8 (BenchmarkScan). The formats with a schema have
// readers of their own, each with its figure: codec/avro, codec/protobuf and codec/jsonschema.
//
// Only Unmarshal, Marshal and the error of a refused text allocate. Nothing is kept:
// every function may run on any number of goroutines.
package json
