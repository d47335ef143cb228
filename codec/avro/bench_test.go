package avro

import (
	"bytes"
	"testing"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/testkit"
	"millrace/pool"
)

// BenchmarkEncode and BenchmarkDecode stand beside BenchmarkScan, which is what
// the same records cost as JSON.
func BenchmarkEncode(b *testing.B) {
	for _, c := range []struct {
		name string
		d    codec.Dialect
	}{{"tagged", codec.Tagged}, {"plain", codec.Plain}} {
		b.Run("dialect="+c.name, func(b *testing.B) {
			s := compile(b, testkit.CitationSchema)
			texts := testkit.AvroCitations(b, c.d == codec.Tagged)
			perRecord(b, texts, func(dst, text []byte) ([]byte, error) { return s.AppendEncoded(dst, text, c.d, nil) })
		})
	}
	b.Run("order=reversed", func(b *testing.B) {
		s := compile(b, testkit.CitationSchema)
		texts := testkit.AvroCitations(b, true)
		for i := range texts {
			texts[i] = reversed(b, texts[i])
		}
		perRecord(b, texts, func(dst, text []byte) ([]byte, error) { return s.AppendEncoded(dst, text, codec.Tagged, nil) })
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		d    codec.Dialect
	}{{"tagged", codec.Tagged}, {"plain", codec.Plain}} {
		b.Run("dialect="+c.name, func(b *testing.B) {
			s := compile(b, testkit.CitationSchema)
			texts := testkit.AvroCitations(b, true)
			for i := range texts {
				var err error
				if texts[i], err = s.AppendEncoded(nil, texts[i], codec.Tagged, nil); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, texts, func(dst, text []byte) ([]byte, error) { return s.AppendDecoded(dst, text, c.d) })
		})
	}
}

func BenchmarkScan(b *testing.B) {
	perRecord(b, testkit.ParkingCitations(b), func(dst, text []byte) ([]byte, error) {
		_, _, err := json.Scan(text, 0)
		return dst, err
	})
}

func perRecord(b *testing.B, inputs [][]byte, f func(dst, input []byte) ([]byte, error)) {
	size := 0
	for _, t := range inputs {
		size += len(t)
	}
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(size / len(inputs)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := f(dst, inputs[i%len(inputs)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// reversed is a record with its members in the opposite order.
func reversed(t testing.TB, text []byte) []byte {
	t.Helper()
	members := bytes.Split(text[1:len(text)-1], []byte(`,"`))
	var out []byte
	for i := len(members) - 1; i >= 0; i-- {
		m := members[i]
		if i > 0 {
			m = append([]byte{'"'}, m...)
		}
		out = append(append(out, ','), m...)
	}
	out[0] = '{'
	return append(out, '}')
}

// BenchmarkProduce is the codec's part of a produce request of 100 records: the walk
// over the envelope, and for avro the encoding behind it.
func BenchmarkProduce(b *testing.B) {
	const records = 100
	body := func(texts [][]byte) []byte {
		out := []byte(`{"records":[`)
		for i := range records {
			out = append(append(append(out, `{"value":`...), texts[i]...), `},`...)
		}
		return append(out[:len(out)-1], `]}`...)
	}
	value := codec.Registered{ID: 1, Schema: compile(b, testkit.CitationSchema)}
	for _, c := range []struct {
		format string
		f      codec.Format
		body   []byte
	}{
		{"json", codec.JSON, body(testkit.ParkingCitations(b))},
		{"avro", codec.Avro, body(testkit.AvroCitations(b, true))},
	} {
		b.Run("format="+c.format, func(b *testing.B) {
			text := bytes.Clone(c.body)
			arena := make([]byte, 0, len(text))
			var slab pool.Slab
			var budget codec.Budget
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				copy(text, c.body)
				if _, err := codec.DecodeProduce(text, c.f, &slab, records); err != nil {
					b.Fatal(err)
				}
				if c.f == codec.Avro {
					budget.Begin(1 << 30)
					if _, err := codec.EncodeRecords(&slab, arena, codec.Encoding{Value: value, Budget: &budget}); err != nil {
						b.Fatal(err)
					}
				}
				slab.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
		})
	}
}
