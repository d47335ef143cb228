package avro

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/lab"
	"millrace/pool"
)

// patience is how much processor time something may take that should take about a
// second: it may be a slow machine, and -race.
var patience = 10 * time.Second

func init() {
	if pool.Checked { // with the race detector, which costs several times as much
		patience *= 4
	}
}

// repeated joins n texts.
func repeated(n int, text func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = text(i)
	}
	return strings.Join(parts, ",")
}

// measured returns the bytes that f allocates in all, and the processor time that it takes.
func measured(f func()) (bytes uint64, took time.Duration) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := lab.ProcessCPU()
	f()
	took = lab.ProcessCPU() - start
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, took
}

// request is a slab with the text as the value of each of n records.
func request(n int, text string) *pool.Slab {
	var slab pool.Slab
	for range n {
		slab.Add().Value = []byte(text)
	}
	return &slab
}

// The arena's growth is reported as it grows, and may be refused; at the end the records view one
// arena, however many were outgrown.
func TestArenaGrows(t *testing.T) {
	value := codec.Registered{ID: 1, Schema: compile(t, `"string"`)}
	told := 0
	b := codec.Budget{Grown: func(capacity int) error { told = capacity; return nil }}
	b.Begin(1 << 20)
	slab := request(1000, `"0123456789"`)
	slab.Records[7].Key = []byte(`"k"`)
	slab.Records[8].Value = nil
	arena, err := codec.EncodeRecords(slab, []byte("before"), codec.Encoding{Key: value, Value: value, Budget: &b})
	if err != nil || told != cap(arena) || b.Bytes != 1<<20-len(arena)+len("before") {
		t.Fatalf("%d bytes of %d, told %d, %d left, %v", len(arena), cap(arena), told, b.Bytes, err)
	}
	at := len("before")
	for i, r := range slab.Records {
		for _, half := range [][]byte{r.Key, r.Value} {
			if half == nil {
				continue
			}
			if &half[0] != &arena[at] || cap(half) != len(half) {
				t.Fatalf("record %d is not at %d of the arena", i, at)
			}
			at += len(half)
		}
		if want := "\x00\x00\x00\x00\x01\x140123456789"; i != 8 && string(r.Value) != want {
			t.Fatalf("record %d is %q", i, r.Value)
		}
	}
	if k := slab.Records[7].Key; string(k) != "\x00\x00\x00\x00\x01\x02k" || slab.Records[8].Value != nil {
		t.Errorf("got %q and %q", k, slab.Records[8].Value)
	}
	refused := apierr.Overloaded.Err()
	b = codec.Budget{Grown: func(int) error { return refused }}
	b.Begin(1 << 20)
	if _, err := codec.EncodeRecords(request(1, `"x"`), nil, codec.Encoding{Value: value, Budget: &b}); !apierr.Overloaded.Is(err) {
		t.Error(err)
	}
}

// Of many branches the tag is looked up, not compared with each.
func TestManyBranches(t *testing.T) {
	s := compile(t, "["+repeated(maxBranches, func(i int) string { return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A"]}`, i) })+"]")
	for _, at := range []int{0, fewBranches - 1, fewBranches, maxBranches - 1} {
		text := fmt.Sprintf(`{"E%d":"A"}`, at)
		for _, d := range []codec.Dialect{codec.Tagged, codec.Plain} {
			b, err := s.AppendEncoded(nil, []byte(text), d, nil)
			if want := append(appendLong(nil, int64(at)), 0); err != nil || string(b) != string(want) {
				t.Errorf("%s: got %x, %v, want %x", text, b, err, want)
			}
		}
	}
	if _, err := s.AppendEncoded(nil, []byte(`{"E500":"A"}`), codec.Tagged, nil); err == nil || !strings.HasSuffix(err.Error(), `got the branch "E500"`) {
		t.Error(err)
	}
}

// A schema's types are not called like primitive ones, nor by their aliases, as in Java.
func TestTypeNames(t *testing.T) {
	for _, c := range []struct{ schema, says string }{
		{`{"type":"record","name":"int","fields":[]}`, "a type cannot have the name int, which is that of a primitive type"},
		{`{"type":"enum","name":"string","symbols":["A"]}`, "a type cannot have the name string, which is that of a primitive type"},
		{`{"type":"fixed","name":"null","size":1}`, "a type cannot have the name null, which is that of a primitive type"},
		{`{"type":"record","name":"A","aliases":["B"],"fields":[{"name":"n","type":["null","B"]}]}`, "unknown type: B"},
	} {
		if _, err := Compile(c.schema, nil); err == nil || err.Error() != c.says {
			t.Errorf("%s: got %v, want %s", c.schema, err, c.says)
		}
	}
	compile(t, `{"type":"record","name":"n.int","fields":[{"name":"i","type":"int"}]}`)
	compile(t, `{"type":"record","name":"record","fields":[]}`)
}
