package avro

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"millrace/codec"
)

// The bound of a value's text holds for one that is no record too: a byte that needs an escape
// becomes six.
func TestTextOfOneStringIsBounded(t *testing.T) {
	const size = maxText/6 + 1
	text := bytes.Repeat([]byte{1}, size)
	long := append(binary.AppendVarint(nil, size), text...)
	for name, c := range map[string]struct {
		schema  string
		payload []byte
	}{
		"string": {`"string"`, long},
		"bytes":  {`"bytes"`, text},
		"union":  {`["string","int"]`, append([]byte{0}, long...)},
	} {
		s, err := Compile(c.schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.AppendDecoded(nil, c.payload, codec.Tagged)
		if err == nil || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s: %d bytes of text, %v", name, len(out), err)
		}
	}
}
