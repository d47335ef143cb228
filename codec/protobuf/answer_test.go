package protobuf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"millrace/codec"
)

// A byte of a packed enum becomes a name, which may be long, whatever precedes it.
func TestEnumsAreBounded(t *testing.T) {
	s := compile(t, `syntax = "proto3"; enum E { A = 0; `+strings.Repeat("B", 250)+` = 1; } message M { repeated E e = 1; }`)
	payload := func(n int) []byte {
		packed := binary.AppendUvarint([]byte{0, 1<<3 | 2}, uint64(n))
		return append(packed, bytes.Repeat([]byte{1}, n)...)
	}
	out, err := s.AppendDecoded(nil, payload(900_000), codec.Tagged)
	if !errors.Is(err, errLarge) {
		t.Errorf("got %d bytes, %v", len(out), err)
	}
	if out, err = s.AppendDecoded(nil, payload(maxJSON/300), codec.Tagged); err != nil || len(out) < maxJSON*8/10 || len(out) > maxJSON {
		t.Errorf("got %d bytes, %v", len(out), err)
	}
}
