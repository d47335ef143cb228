// Package json checks and compacts JSON text (RFC 8259) in place, without
// building values.
//
// A telemetry record is stored as the bytes that the client sent: the same
// members in the same order, duplicates as sent, the text of every number and
// string exact. So the produce path never decodes a value; it has to know only
// that the text is valid, where it ends, and whether it holds insignificant
// white space. [Scan] finds all three in one pass, eight bytes at a time
// within strings; [Compact] removes the white space where there is some. The
// consume path uses [Valid] before it copies stored bytes into a response.
//
// The grammar is the RFC's, to the letter: no leading zeros, no control
// characters in strings, no trailing commas, valid UTF-8 (which costs nothing
// where a text is ASCII). Nesting is bounded by [MaxDepth].
//
// Nothing here allocates but the error of a refused text, and nothing is kept:
// every function may run on any number of goroutines.
package json
