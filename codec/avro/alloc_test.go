//go:build !race

package avro

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/testkit"
	"millrace/pool"
)

// TestEncodeRecordsAllocs: the records of a request together allocate nothing, once arena and
// slab have grown.
func TestEncodeRecordsAllocs(t *testing.T) {
	value := codec.Registered{ID: 1, Schema: compile(t, testkit.CitationSchema)}
	key := codec.Registered{ID: 2, Schema: compile(t, `"string"`)}
	for _, c := range []struct {
		tagged bool
		d      codec.Dialect
	}{{true, codec.Tagged}, {false, codec.Plain}} {
		body := []byte(`{"records":[`)
		texts := testkit.AvroCitations(t, c.tagged)
		const n = 300
		for i := range n {
			body = append(append(append(body, `{"key":"k","value":`...), texts[i%len(texts)]...), `},`...)
		}
		body = append(body[:len(body)-1], `]}`...)
		text, arena := bytes.Clone(body), make([]byte, 0, len(body))
		var slab pool.Slab
		var budget codec.Budget
		if allocs := testing.AllocsPerRun(50, func() {
			copy(text, body)
			if _, err := codec.DecodeProduce(text, codec.Avro, &slab, n); err != nil {
				t.Fatal(err)
			}
			budget.Begin(1 << 20)
			if _, err := codec.EncodeRecords(&slab, arena, codec.Encoding{Key: key, Value: value, Dialect: c.d, Budget: &budget}); err != nil {
				t.Fatal(err)
			}
			slab.Reset()
		}); allocs > 0 {
			t.Errorf("%d records cost %v allocations", n, allocs)
		}
	}
}

// TestAppendRecordAllocs: a record is written into a response without an allocation too.
func TestAppendRecordAllocs(t *testing.T) {
	s := compile(t, testkit.CitationSchema)
	stored, err := s.AppendEncoded(codec.AppendFrame(nil, 1), testkit.AvroCitations(t, true)[2], codec.Tagged, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := kgo.Record{Topic: "t", Value: stored}
	dst := make([]byte, 0, 4096)
	for _, d := range []codec.Dialect{codec.Tagged, codec.Plain} {
		x := codec.Extras{Dialect: d, Schemas: func(codec.Format, codec.SchemaID) (codec.Schema, error) { return s, nil }}
		if n := testing.AllocsPerRun(200, func() {
			if _, err := codec.AppendRecord(dst, &r, codec.Avro, x); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

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
