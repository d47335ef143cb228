// Package binary converts between bytes and the base64 text that stands for them in requests and
// responses of the binary format.
//
// The alphabet is the standard one of RFC 4648 §4. Padding may be missing in a request and is
// always written in a response. The URL-safe alphabet, white space and wrong padding are refused,
// so that a client that sends them by mistake learns of it before its data is in Kafka.
//
// Decoding works in place, within the request's body; encoding appends to the response. Nothing
// allocates and no state is kept.
package binary

import (
	"bytes"
	"encoding/base64"
)

// Decode decodes base64 text in place. The result is a part of text, whose
// former content is lost either way; ok is false when text is not base64.
// An empty text is an empty, not a nil, value.
func Decode(text []byte) (decoded []byte, ok bool) {
	if n := len(text); n > 0 && text[n-1] == '=' {
		if n%4 != 0 {
			return nil, false
		}
		text = text[:n-1]
		if text[n-2] == '=' {
			text = text[:n-2]
		}
	}
	// The standard library skips line breaks; base64 text of a request must not have them.
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return nil, false
	}
	// Four characters are read before the three bytes that they stand for
	// are written, so source and destination may be the same memory.
	n, err := base64.RawStdEncoding.Decode(text, text)
	if err != nil {
		return nil, false
	}
	return text[:n:n], true
}

// Append appends b to dst as a JSON string of padded base64, quotes included.
func Append(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}
