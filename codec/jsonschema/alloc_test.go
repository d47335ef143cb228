//go:build !race

package jsonschema

import (
	"testing"

	"millrace/codec"
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

// A validated record allocates; this holds how much, so that it does not grow
// unseen.
func TestEncodeBudget(t *testing.T) {
	s := compile(t, user)
	text, dst := []byte(record), make([]byte, 0, 1024)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := s.AppendEncoded(dst, text, codec.Tagged); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations a record", allocs)
	if allocs > 200 {
		t.Errorf("%v allocations a record", allocs)
	}
}

func BenchmarkEncode(b *testing.B) {
	s := compile(b, user)
	text, dst := []byte(record), make([]byte, 0, 1024)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendEncoded(dst, text, codec.Tagged); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s := compile(b, user)
	text, dst := []byte(record), make([]byte, 0, 1024)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendDecoded(dst, text, codec.Tagged); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(user, nil); err != nil {
			b.Fatal(err)
		}
	}
}
