package protobuf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"

	"millrace/codec"
)

// The bound of a message's JSON counts what a string becomes by its escapes.
func TestEscapesCountForTheSizeOfJSON(t *testing.T) {
	long := string(bytes.Repeat([]byte{1}, maxJSON/6+1))
	of := func(text string) []byte { // a first field
		return append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(text))), text...)
	}
	for name, c := range map[string]struct {
		text    string
		message []byte
	}{
		"string":   {`syntax = "proto3"; message M { string s = 1; }`, of(long)},
		"strings":  {`syntax = "proto3"; message M { repeated string s = 1; }`, of(long)},
		"map key":  {`syntax = "proto3"; message M { map<string, bool> s = 1; }`, of(string(of(long)))},
		"type URL": {`syntax = "proto3"; import "google/protobuf/any.proto"; message M { google.protobuf.Any s = 1; }`, of(string(of(long + "/M")))},
	} {
		s := compile(t, c.text)
		payload := append([]byte{firstMessage}, c.message...)
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

// The bound of a message's JSON counts numbers by their digits.
func TestDigitsCountForTheSizeOfJSON(t *testing.T) {
	largest := func(n int) string { return strings.Repeat("\xff", n) }
	for kind, c := range map[string]struct {
		element string
		size    int // of its JSON
	}{
		"bool":     {"\x00", len(`false`)},
		"int32":    {strings.Repeat("\xff", 9) + "\x01", len(`-1`)},
		"sint32":   {largest(4) + "\x0f", len(`-2147483648`)},
		"fixed32":  {largest(4), len(`4294967295`)},
		"uint64":   {largest(9) + "\x01", len(`"18446744073709551615"`)},
		"fixed64":  {largest(8), len(`"18446744073709551615"`)},
		"sfixed64": {strings.Repeat("\x00", 7) + "\x80", len(`"-9223372036854775808"`)},
		"float":    {"\xff\xff\x7f\xff", len(`-3.4028235e+38`)},
		"E":        {largest(4) + "\x07", len(`2147483647`)},
		"double":   {"\xff\xff\xff\xff\xff\xff\xef\xff", len(`-1.7976931348623157e+308`)},
	} {
		s := compile(t, `syntax = "proto3"; message M { repeated `+kind+` s = 1; } enum E { A = 0; }`)
		f := s.first.Fields().Get(0)
		m := dynamicpb.NewMessage(s.first)
		if err := s.unmarshal(append([]byte{1<<3 | 2, byte(len(c.element))}, c.element...), m); err != nil {
			t.Fatal(err)
		}
		one := m.Get(f).List().Get(0)
		if out, err := s.AppendDecoded(nil, append([]byte{firstMessage, 1<<3 | 2, byte(len(c.element))}, c.element...), codec.Tagged); err != nil || len(out) != len(`{"s":[]}`)+c.size {
			t.Errorf("%s: %s, %v", kind, out, err)
		}
		w := weigher{schema: s, size: maxJSON - c.size - 1}
		if err := w.value(f, one, 0); err != nil && c.size >= 4 {
			t.Errorf("%s: %v within the bound", kind, err)
		}
		w.size = maxJSON - c.size
		if err := w.value(f, one, 0); !errors.Is(err, errLarge) {
			t.Errorf("%s: %v beyond the bound", kind, err)
		}
	}
}
