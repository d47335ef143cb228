package protobuf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"millrace/codec"
)

// The bound of a message's JSON counts what a string becomes by its escapes.
func TestEscapesCountForTheSizeOfJSON(t *testing.T) {
	const size = maxJSON/6 + 1
	for name, text := range map[string]string{
		"string":  `syntax = "proto3"; message M { string s = 1; }`,
		"strings": `syntax = "proto3"; message M { repeated string s = 1; }`,
	} {
		s, err := Compile(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		payload := binary.AppendUvarint([]byte{firstMessage, 1<<3 | 2}, size)
		payload = append(payload, bytes.Repeat([]byte{1}, size)...)
		if out, err := s.AppendDecoded(nil, payload, codec.Tagged); !errors.Is(err, errLarge) {
			t.Errorf("%s: %d bytes of JSON, %v", name, len(out), err)
		}
	}
}

func TestQuotedSize(t *testing.T) {
	for text, want := range map[string]int{"": 0, "ab": 2, "ü": 2, "\n\"\\": 6, "a\x00\x7f": 13} {
		if got := quotedSize(text); got != want {
			t.Errorf("%q has %d bytes, not %d", text, got, want)
		}
	}
}
