package kafka

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestShelf(t *testing.T) {
	s := &shelf[byte]{smallest: 16, limit: 100}
	f := func(n, want int) []byte {
		t.Helper()
		b := s.get(n)
		if len(b) != 0 || cap(b) != want {
			t.Errorf("get(%d) has length %d, capacity %d, want %d", n, len(b), cap(b), want)
		}
		return b
	}
	f(0, 16)
	f(16, 16)
	b := f(17, 64)
	f(64, 64)
	f(16<<10, 16<<10)
	f(16<<10+1, 16<<10+1) // larger than all classes

	s.put(b[:1])
	if again := f(40, 64); &again[:1][0] != &b[:1][0] {
		t.Error("a slice that was put back is not lent again")
	}
	s.put(make([]byte, 15)) // too small
	s.put(make([]byte, 64<<10))
	s.put(make([]byte, 101)) // over the limit
	if s.kept != 0 {
		t.Errorf("kept %d, want nothing", s.kept)
	}
	s.put(make([]byte, 63)) // reaches the minimum of class 16
	s.put(make([]byte, 30))
	s.put(make([]byte, 30)) // no room left
	if s.kept != 93 {
		t.Errorf("kept %d, want 93", s.kept)
	}
	f(17, 64)
	f(1, 30)
	f(1, 63)
	f(1, 16)
	if s.kept != 0 {
		t.Errorf("kept %d after all was lent", s.kept)
	}
}

// TestPoolsClear checks that a record that was decoded and dropped does not
// keep its batch alive from inside the pool.
func TestPoolsClear(t *testing.T) {
	p := newPools(1<<20, 1<<20)
	rs := p.GetRecords(3)[:3]
	rs[1].Value = []byte("v")
	p.PutRecords(rs)
	if again := p.GetRecords(3)[:3]; &again[0] != &rs[0] || again[1].Value != nil {
		t.Errorf("the pool holds %v", again)
	}
}

// TestPoolsLent reads compressed and plain batches and checks that recycling all records returns
// the memory, and that no record changes before.
func TestPoolsLent(t *testing.T) {
	_, settings := newCluster(t, kfake.SeedTopics(1, "p"))
	ctx := testContext(t)
	const count = 300
	for _, codec := range Codecs {
		producer := newProducer(t, settings, newCompressor(t, codec, 0))
		for i := range count {
			producer.Produce(ctx, &kgo.Record{Topic: "p", Partition: 0, Value: fmt.Appendf(nil, "%s %d %0100d", codec, i, i)}, nil)
		}
		if err := producer.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	opts, err := ConsumerOpts(settings, DefaultConsumer())
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := kgo.NewClient(append(opts, kgo.ConsumeTopics("p"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	var read []*kgo.Record
	for len(read) < count*len(Codecs) {
		fetches := consumer.PollRecords(ctx, 100)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			codec, i := Codecs[len(read)/count], len(read)%count
			if want := fmt.Appendf(nil, "%s %d %0100d", codec, i, i); !bytes.Equal(r.Value, want) {
				t.Fatalf("record %d is %q, want %q", len(read), r.Value, want)
			}
			read = append(read, r)
		}
	}
	before := fetchPools.records.held()
	for _, r := range read {
		r.Recycle()
	}
	if after := fetchPools.records.held(); after <= before {
		t.Errorf("recycling brought nothing back: %d records before, %d after", before, after)
	}
}

func (s *shelf[T]) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}
