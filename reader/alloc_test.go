//go:build !race

package reader

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/codec/avro"
	"millrace/internal/testkit"
)

const pageRecords = 1000

// TestDirectPageDoesNotAllocate holds the budget of a direct read: nothing a record, and
// nothing a page either.
func TestDirectPageDoesNotAllocate(t *testing.T) {
	schema, err := avro.Compile(testkit.CitationSchema, nil)
	ok(t, err)
	var stored [][]byte
	for _, text := range testkit.AvroCitations(t, true) {
		b, err := schema.AppendEncoded(codec.AppendFrame(nil, 1), text, codec.Tagged, nil)
		ok(t, err)
		stored = append(stored, b)
	}
	texts := testkit.AvroCitations(t, false)
	schemas := func(codec.Format, codec.SchemaID) (codec.Schema, error) { return schema, nil }
	f := func(format codec.Format, values [][]byte, x codec.Extras) {
		t.Helper()
		var records []*kgo.Record
		for n := range pageRecords {
			records = append(records, &kgo.Record{Topic: "t", Value: values[n%len(values)], Offset: int64(n)})
		}
		dst := make([]byte, 0, 4<<20)
		if allocs := testing.AllocsPerRun(50, func() {
			p := page{limit: 4 << 20, most: 4 << 20, count: MaxPageRecords, format: format, extras: x}
			if out, err := p.fill(dst, records); err != nil || len(out) < pageRecords*50 || p.n != pageRecords {
				t.Fatalf("%d bytes of %d records, %v", len(out), p.n, err)
			}
		}); allocs != 0 {
			t.Errorf("%s: a page of %d records allocates %v times", format, pageRecords, allocs)
		}
	}
	f(codec.JSON, texts, codec.Extras{})
	f(codec.Binary, texts, codec.Extras{})
	f(codec.Avro, stored, codec.Extras{Schemas: schemas})
	f(codec.Avro, stored, codec.Extras{Schemas: schemas, Dialect: codec.Plain})
}
