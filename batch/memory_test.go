//go:build !race

package batch

import (
	"bytes"
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// silent takes requests as the library does, which copies one at a time, and answers none.
type silent struct {
	*model
	mu    sync.Mutex
	buf   []byte
	ended chan struct{}
}

// Send implements [Client].
func (s *silent) Send(_ int32, req kmsg.Request) (kmsg.Response, error) {
	s.mu.Lock()
	req.SetVersion(maxProduce)
	s.buf = req.AppendTo(nil) // in place of the one before, which is written
	s.mu.Unlock()
	<-s.ended
	return nil, errNoAnswer
}

// Close implements [Client].
func (s *silent) Close() { close(s.ended) }

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the pools hold survives one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// While brokers are silent, a producer takes records until producer.buffer.memory is full. It then
// holds bodies, slabs, arenas, frames, compressed bytes and the library's copies, all within that
// limit but for one request, which is made of records that were admitted before.
func TestOutageMemoryBudget(t *testing.T) {
	const limit = 32 << 20
	const bound = limit + limit/requestShare*3/2 // a copy of a request, which append rounds up
	for _, c := range []struct {
		name                 string
		records, bytes, keys int
		codec                kafka.Codec
		arena                bool
	}{
		{"one small record", 1, 100, 1, kafka.None, false},
		{"many small records", 1000, 200, 1, kafka.None, false},
		{"empty records", 1000, 0, 1, kafka.None, false},
		{"large records", 1, 600 << 10, 1, kafka.None, false},
		{"large records, compressed", 1, 600 << 10, 1, kafka.Zstd, false},
		{"many records, compressed", 100, 1000, 1, kafka.LZ4, false},
		{"encoded records", 100, 1000, 1, kafka.None, true},
		{"encoded records, compressed", 100, 1000, 1, kafka.Zstd, true},
		{"small records over many partitions", 64, 100, 64, kafka.None, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &silent{model: newModel(), ended: make(chan struct{})}
			s.create("t", 64)
			compressor, err := kafka.NewCompressor(c.codec, 0)
			if err != nil {
				t.Fatal(err)
			}
			of := cluster
			of.Topic = func(context.Context, string) (string, int32, error) { return "t", 64, nil }
			p := New(s, compressor, of, Settings{BufferBytes: limit, Linger: time.Millisecond, Timeout: time.Microsecond, BatchBytes: 1 << 20}, kafka.DefaultProducer())
			defer func() {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_ = p.Close(ctx) // what is left fails
			}()
			noise := make([]byte, c.records*c.bytes)
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			before := heap()
			jobs := 0
			for err = nil; !apierr.Overloaded.Is(err); jobs++ {
				j := p.Acquire()
				receive(j, string(bytes.Repeat([]byte{'x'}, len(noise)+20*c.records)))
				from := j.Body
				if c.arena {
					j.Arena = append(j.Arena, noise...)
					from = j.Arena
				}
				copy(from, noise)
				for i := range c.records {
					r := j.Slab.Add()
					r.Value = from[i*c.bytes:][:c.bytes:c.bytes]
					if c.keys > 1 {
						r.Partition = int32(i % c.keys)
					}
				}
				if _, err = p.Produce(j, "t", AnyPartition, nil, offsets); err == nil {
					t.Fatal("a silent broker has answered")
				}
				if jobs > 1_000_000 {
					t.Fatal("no end")
				}
			}
			used := heap() - before
			for end := time.Now().Add(10 * time.Second); used > bound && time.Now().Before(end); {
				used = heap() - before // a compressor at work has memory of its own
			}
			if used > bound {
				t.Errorf("%d requests hold %.1f MiB; producer.buffer.memory is %d MiB", jobs, float64(used)/(1<<20), limit>>20)
			} else {
				t.Logf("%d requests hold %.1f MiB of %d", jobs, float64(used)/(1<<20), limit>>20)
			}
		})
	}
}
