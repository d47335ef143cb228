//go:build !race

package protobuf

import (
	"testing"

	"millrace/codec"
	"millrace/internal/testkit"
)

const record = `{"name":"abc","age":31,"id":7,"tags":["x","y"],"isOk":true,"kind":"SOME","home":{"street":"Main","number":3},"counts":{"a":1},"raw":"AQID","at":"2024-02-29T12:00:00Z","d":1.5}`

// A record allocates, both ways; this test holds how much.
func TestBudget(t *testing.T) {
	s := compile(t, small)
	payload, err := s.AppendEncoded(nil, []byte(record), codec.Tagged, nil)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	f := func(way string, most float64, convert func() error) {
		t.Helper()
		allocs := testing.AllocsPerRun(1000, func() {
			if err := convert(); err != nil {
				t.Fatal(err)
			}
		})
		if t.Logf("%s: %v allocations a record", way, allocs); allocs > most {
			t.Errorf("%s: %v allocations a record, budget %v", way, allocs, most)
		}
	}
	f("encode", 200, func() error {
		_, err := s.AppendEncoded(dst, []byte(record), codec.Tagged, nil)
		return err
	})
	f("decode", 200, func() error {
		_, err := s.AppendDecoded(dst, payload, codec.Tagged)
		return err
	})
}

func BenchmarkEncode(b *testing.B) {
	b.Run("record=small", func(b *testing.B) {
		benchmark(b, [][]byte{[]byte(record)}, alone(compile(b, small)))
	})
	b.Run("record=citation", func(b *testing.B) {
		records := testkit.ParkingCitations(b)
		benchmark(b, records, alone(citation(b, records[0])))
	})
}

func BenchmarkDecode(b *testing.B) {
	b.Run("record=small", func(b *testing.B) {
		s := compile(b, small)
		benchmark(b, encoded(b, s, [][]byte{[]byte(record)}), s.AppendDecoded)
	})
	b.Run("record=citation", func(b *testing.B) {
		records := testkit.ParkingCitations(b)
		s := citation(b, records[0])
		benchmark(b, encoded(b, s, records), s.AppendDecoded)
	})
}

func encoded(b *testing.B, s *Schema, records [][]byte) [][]byte {
	payloads := make([][]byte, len(records))
	for i, r := range records {
		var err error
		if payloads[i], err = s.AppendEncoded(nil, r, codec.Tagged, nil); err != nil {
			b.Fatal(err)
		}
	}
	return payloads
}

// alone encodes a value that is a request on its own.
func alone(s *Schema) func(dst, text []byte, d codec.Dialect) ([]byte, error) {
	return func(dst, text []byte, d codec.Dialect) ([]byte, error) { return s.AppendEncoded(dst, text, d, nil) }
}

func benchmark(b *testing.B, records [][]byte, convert func(dst, text []byte, d codec.Dialect) ([]byte, error)) {
	dst := make([]byte, 0, 4096)
	size := 0
	for _, r := range records {
		size += len(r)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range records {
			if _, err := convert(dst, r, codec.Tagged); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(small, nil); err != nil {
			b.Fatal(err)
		}
	}
}
