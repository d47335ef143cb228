//go:build !race

package avro

import (
	"testing"

	"millrace/codec"
	"millrace/internal/testkit"
)

// A record costs no allocation once the pools are warm, in either direction and in
// whatever order its members come.
func TestAllocs(t *testing.T) {
	s := compile(t, testkit.CitationSchema)
	tree := compile(t, `{"type":"record","name":"T","fields":[{"name":"v","type":"double"},{"name":"sub","type":{"type":"array","items":"T"}},{"name":"m","type":{"type":"map","values":["null","bytes","T"]}}]}`)
	choice := compile(t, `{"type":"array","items":["null","string",`+suitSchema+`,{"type":"long","logicalType":"timestamp-millis"},"double",`+
		`{"type":"record","name":"A","fields":[{"name":"m","type":["null",{"type":"map","values":`+decimalSchema+`}]}]},{"type":"record","name":"B","fields":[{"name":"b","type":"int"}]}]}`)
	nested := []byte(`{"v":1.5,"sub":[{"v":1,"sub":[],"m":{}},{"m":{"\u0061":null,"b":{"bytes":"\u00ff\n"}},"sub":[],"v":2}],"m":{"x":{"T":{"v":0.1,"sub":[],"m":{}}}}}`)
	record := testkit.AvroCitations(t, true)[2]
	for _, c := range []struct {
		name string
		s    *Schema
		text []byte
		d    codec.Dialect
	}{
		{"in order", s, record, codec.Tagged},
		{"reversed", s, reversed(t, record), codec.Tagged},
		{"nested", tree, nested, codec.Tagged},
		{"plain", s, testkit.AvroCitations(t, false)[2], codec.Plain},
		{"plain, choosing", choice, []byte(`["x",1.5,{"m":{"a":-12345678901234567890.12}},{"b":1},null]`), codec.Plain},
	} {
		dst := make([]byte, 0, 4096)
		b, err := c.s.AppendEncoded(nil, c.text, c.d, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if n := testing.AllocsPerRun(200, func() {
			if _, err := c.s.AppendEncoded(dst, c.text, c.d, nil); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations to encode", c.name, n)
		}
		if n := testing.AllocsPerRun(200, func() {
			if _, err := c.s.AppendDecoded(dst, b, c.d); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations to decode", c.name, n)
		}
	}
}
