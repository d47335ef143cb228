package jsonschema

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Checkers made for validations side by side do not stay, and the size that the schema reports is
// near what it holds.
func TestCopiesDoNotStay(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"type":"object","properties":{`)
	for i := range 1000 {
		fmt.Fprintf(&text, `"p%d":{"type":"string"},`, i)
	}
	text.WriteString(`"last":{"type":"integer"}}}`)
	before := heap()
	s, err := Compile(text.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	alone := heap() - before
	if size := s.Size(); alone > 2*size || size > 2*alone {
		t.Errorf("it holds %d bytes, and says %d", alone, size)
	}
	var taken []*checker
	for range cap(s.slots) {
		c, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, c)
	}
	for _, c := range taken {
		s.give(c)
	}
	taken = nil
	if after := heap() - before; after > alone+alone/2 {
		t.Errorf("it holds %d bytes, and %d after %d validations side by side", alone, after, cap(s.slots))
	}
}

// heap returns how many bytes are in use; the contents of a sync.Pool survive one collection.
func heap() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
