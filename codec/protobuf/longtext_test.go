package protobuf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
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

// The name of an extension counts for the size of each message that has one.
func TestExtensionsCountForTheSizeOfJSON(t *testing.T) {
	name := strings.Repeat("n", 250)
	s := compile(t, `syntax = "proto2"; package `+name+`;
		message M { repeated M m = 1; extensions 100; }
		message A { message `+name+` { message `+name+` { extend M { optional bool `+name+` = 100; } } } }`)
	one := []byte{1<<3 | 2, 3, 100<<3&0x7F | 0x80, 100 >> 4, 1} // in 1 KiB of JSON, about
	payload := append([]byte{firstMessage}, bytes.Repeat(one, maxJSON/1000)...)
	if out, err := s.AppendDecoded(nil, payload, codec.Tagged); !errors.Is(err, errLarge) {
		t.Errorf("%d bytes became %d of JSON, %v", len(payload), len(out), err)
	}
	if out, err := s.AppendDecoded(nil, payload[:1+len(one)], codec.Tagged); err != nil || len(out) > s.swell*len(one) {
		t.Errorf("%d bytes became %d of JSON, %v", len(one), len(out), err)
	}
}
