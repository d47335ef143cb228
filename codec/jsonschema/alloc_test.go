//go:build !race

package jsonschema

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"millrace/codec"
	millrace "millrace/codec/json"
	"millrace/internal/testkit"
)

const record = `{"name":"abc","age":31,"tags":["x","y"],"nick":null,"id":7,"shape":{"r":1.5},"kind":"a","zip":"12345","friend":{"name":"def","age":29,"tags":[]}}`

func TestDecodeAllocs(t *testing.T) {
	s := compile(t, user)
	dst := make([]byte, 0, 1024)
	for _, payload := range []string{record, ` { "name" : "a b" } `} {
		b := []byte(payload)
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := s.AppendDecoded(dst, b, codec.Tagged); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%v allocations a record", allocs)
		}
	}
}

// A validated record allocates; this test holds how much.
func TestEncodeBudget(t *testing.T) {
	s := compile(t, user)
	text, dst := []byte(record), make([]byte, 0, 1024)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := s.AppendEncoded(dst, text, codec.Tagged, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations a record", allocs)
	if allocs > 200 {
		t.Errorf("%v allocations a record", allocs)
	}
}

// citation is a schema of the real records, whose members are strings.
func citation(b *testing.B, record []byte) *Schema {
	var members map[string]string
	if err := json.Unmarshal(record, &members); err != nil {
		b.Fatal(err)
	}
	properties := map[string]any{}
	for name := range members {
		properties[name] = map[string]string{"type": "string"}
	}
	text, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": slices.Sorted(maps.Keys(members))[:5]})
	if err != nil {
		b.Fatal(err)
	}
	return compile(b, string(text))
}

func BenchmarkEncode(b *testing.B) {
	b.Run("record=small", func(b *testing.B) {
		benchmark(b, [][]byte{[]byte(record)}, alone(compile(b, user)))
	})
	b.Run("record=citation", func(b *testing.B) {
		records := testkit.ParkingCitations(b)
		benchmark(b, records, alone(citation(b, records[0])))
	})
}

// BenchmarkTree has the part of an encoded record that makes a tree of it, beside the decoder of
// codec/json.
func BenchmarkTree(b *testing.B) {
	for name, records := range map[string][][]byte{"small": {[]byte(record)}, "citation": testkit.ParkingCitations(b)} {
		b.Run("record="+name+"/by=millrace", func(b *testing.B) {
			benchmark(b, records, func(dst, text []byte, _ codec.Dialect) ([]byte, error) {
				grow(text)
				return dst, nil
			})
		})
		b.Run("record="+name+"/by=sonic", func(b *testing.B) {
			benchmark(b, records, func(dst, text []byte, _ codec.Dialect) ([]byte, error) {
				var v any
				return dst, millrace.Unmarshal(text, &v)
			})
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	b.Run("record=citation", func(b *testing.B) {
		records := testkit.ParkingCitations(b)
		benchmark(b, records, citation(b, records[0]).AppendDecoded)
	})
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
		if _, err := Compile(user, nil); err != nil {
			b.Fatal(err)
		}
	}
}
