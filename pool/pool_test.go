package pool

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestBufferClasses(t *testing.T) {
	f := func(n, atLeast int) {
		t.Helper()
		b := GetBuffer(n)
		if len(b.B) != 0 || cap(b.B) < atLeast {
			t.Errorf("GetBuffer(%d) has length %d, capacity %d", n, len(b.B), cap(b.B))
		}
		b.Release()
	}
	f(0, 1<<minClass)
	f(1, 1<<minClass)
	f(1024, 1024)
	f(1025, 2048)
	f(1<<maxClass, 1<<maxClass)
	f(1<<maxClass+1, 1<<maxClass+1)
}

// A grown buffer goes to the largest class whose minimum it reaches; one that outgrew all classes
// goes to the garbage collector.
func TestGrownBufferKeepsPromises(t *testing.T) {
	b := GetBuffer(10)
	b.B = append(b.B, make([]byte, 5000)...)
	b.Release()
	for range 100 {
		for _, n := range []int{1000, 3000, 5000, 100_000} {
			b := GetBuffer(n)
			if cap(b.B) < n {
				t.Fatalf("GetBuffer(%d) has capacity %d", n, cap(b.B))
			}
			b.Release()
		}
	}
	big := GetBuffer(10)
	big.B = make([]byte, 0, 1<<maxClass+1)
	big.Release()
	if got := GetBuffer(1 << maxClass); cap(got.B) > 1<<maxClass {
		t.Errorf("a buffer of %d bytes was kept", cap(got.B))
	}
}

// Gets, misses and buffers in use add up, also for buffers that no class holds.
func TestBufferStats(t *testing.T) {
	before := Buffers()
	huge := GetBuffer(1<<maxClass + 1) // none of these is in a pool
	const n = 100
	var all []*Buffer
	for range n {
		all = append(all, GetBuffer(2000))
	}
	s := Buffers()
	if s.Gets-before.Gets != n+1 || s.Out-before.Out != n+1 || s.Misses-before.Misses < n/2 || s.Misses-before.Misses > n+1 {
		t.Errorf("taken: %+v, before: %+v", s, before)
	}
	all[0].Abandon()
	for _, b := range all[1:] {
		b.Release()
	}
	huge.Release()
	if s = Buffers(); s.Out != before.Out {
		t.Errorf("given back: %+v, before: %+v", s, before)
	}
}

// Grow keeps the contents, in memory that goes back with its buffer.
func TestGrow(t *testing.T) {
	before := Buffers().Out
	b := GetBuffer(10)
	b.B = append(b.B, "content"...)
	if same := Grow(b.B, 100); &same[0] != &b.B[0] {
		t.Error("what has room was moved")
	}
	b.B = Grow(b.B, 5000)
	if string(b.B) != "content" || cap(b.B) < len(b.B)+5000 {
		t.Errorf("%q with a capacity of %d", b.B, cap(b.B))
	}
	if huge := Grow(b.B, 1<<maxClass); string(huge) != "content" || cap(huge) < 1<<maxClass {
		t.Errorf("%q with a capacity of %d", huge, cap(huge))
	}
	b.Release()
	if out := Buffers().Out; out != before {
		t.Errorf("%d buffers are out, %d were before", out, before)
	}
}

func TestSlab(t *testing.T) {
	var s Slab
	for i := range 100 {
		r := s.Add()
		if r.Partition != -1 {
			t.Fatalf("record %d starts with partition %d", i, r.Partition)
		}
		r.Offset = int64(i)
		for range i % 3 {
			s.AddHeader(r, "k", []byte{byte(i)})
		}
	}
	for i := range s.Records {
		r := &s.Records[i]
		if r.Offset != int64(i) || len(r.Headers) != i%3 || Index(s.Records, r) != i {
			t.Fatalf("record %d is %+v", i, r)
		}
		for _, h := range r.Headers {
			if h.Value[0] != byte(i) {
				t.Fatalf("record %d has the header of record %d", i, h.Value[0])
			}
		}
	}
	s.Reset()
	for _, r := range s.Records[:cap(s.Records)] {
		if r.Offset != 0 || r.Headers != nil || r.Partition != 0 {
			t.Fatalf("after Reset a record is %+v", r)
		}
	}
	s.Records = make([]kgo.Record, MaxPooledRecords+1)
	if s.Reset(); s.Records != nil {
		t.Error("a slab over the cap was kept")
	}
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

func TestIndexOfAForeigner(t *testing.T) {
	a, b := make([]kgo.Record, 3), make([]kgo.Record, 3)
	panics(t, "Index of another slice's element", func() { Index(a, &b[1]) })
}

// In checked builds misuse panics.
func TestChecks(t *testing.T) {
	if !Checked {
		t.Log("checks are not compiled in; go test -race or -tags checked has them")
		return
	}
	before := Outstanding()
	b := GetBuffer(100)
	b.B = append(b.B, "secret"...)
	view := b.B
	if Outstanding() != before+1 {
		t.Error("an acquired buffer is not counted")
	}
	b.Release()
	if string(view) == "secret" {
		t.Error("released bytes still read as before")
	}
	if Outstanding() != before {
		t.Error("a released buffer is still counted")
	}
	panics(t, "a second Release", b.Release)
	var l Life
	l.Begin()
	panics(t, "a second Begin", l.Begin)
	l.End()
}
