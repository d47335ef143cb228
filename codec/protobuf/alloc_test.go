//go:build !race

package protobuf

import (
	"testing"

	"millrace/codec"
)

const record = `{"name":"abc","age":31,"id":7,"tags":["x","y"],"isOk":true,"kind":"SOME","home":{"street":"Main","number":3},"counts":{"a":1},"raw":"AQID","at":"2024-02-29T12:00:00Z","d":1.5}`

// A record allocates, both ways; this holds how much, so that it does not grow
// unseen.
func TestBudget(t *testing.T) {
	s := compile(t, small)
	payload, err := s.AppendEncoded(nil, []byte(record), codec.Tagged)
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
		_, err := s.AppendEncoded(dst, []byte(record), codec.Tagged)
		return err
	})
	f("decode", 200, func() error {
		_, err := s.AppendDecoded(dst, payload, codec.Tagged)
		return err
	})
}

func BenchmarkEncode(b *testing.B) {
	s := compile(b, small)
	text, dst := []byte(record), make([]byte, 0, 4096)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendEncoded(dst, text, codec.Tagged); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s := compile(b, small)
	dst := make([]byte, 0, 4096)
	payload, err := s.AppendEncoded(nil, []byte(record), codec.Tagged)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendDecoded(dst, payload, codec.Tagged); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(small, nil); err != nil {
			b.Fatal(err)
		}
	}
}
