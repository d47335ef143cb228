//go:build !race

package batch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec"
	"millrace/internal/kafka"
	"millrace/pool"
)

// mirror answers each request of one batch with success, and allocates nothing.
type mirror struct {
	*model
	mu  sync.Mutex
	buf []byte
	ok  []byte
}

// Send implements [Client].
func (m *mirror) Send(_ int32, req kmsg.Request) (kmsg.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	req.SetVersion(maxProduce)
	m.buf = req.AppendTo(m.buf[:0])
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(m.ok)
}

func newMirror() *mirror {
	m := &mirror{model: newModel()}
	out := kmsg.NewPtrProduceResponse()
	of, p := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
	of.TopicID = m.create("t", 1).id
	of.Partitions = append(of.Partitions, p)
	out.Version = maxProduce
	out.Topics = append(out.Topics, of)
	m.ok = out.AppendTo(nil)
	return m
}

func startMirror(t testing.TB) *Producer {
	none, err := kafka.NewCompressor(kafka.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster
	c.Topic = func(context.Context, string) (string, int32, error) { return "t", 1, nil }
	p := New(newMirror(), none, c, Settings{BufferBytes: 1 << 30, Timeout: time.Minute, BatchBytes: 1 << 20}, kafka.DefaultProducer())
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// body is a request of n records.
func body(n int) string {
	return `{"records":[` + strings.Repeat(`{"value":{"event":"tap","n":12345}},`, n-1) + `{"key":"k","value":1}]}`
}

// Our own part of a produce request, up to the bytes of the request to the broker and from those
// of its response, allocates nothing: neither per record nor per request.
func TestProduceAllocs(t *testing.T) {
	for _, n := range []int{1, 100, 1000} {
		p, text, dst := startMirror(t), body(n), make([]byte, 0, 64<<10)
		once := func() {
			j := p.Acquire()
			receive(j, text)
			if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, n); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Produce(j, "t", AnyPartition, dst, offsets); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			once()
		}
		if allocs := testing.AllocsPerRun(50, once); allocs > 0 {
			t.Errorf("%d records: %v allocations a request", n, allocs)
		}
	}
}

// receive gives the job a body as the HTTP edge does: out of a pooled buffer.
func receive(j *Job, text string) {
	b := pool.GetBuffer(len(text))
	b.B = append(b.B, text...)
	j.Body, b.B = b.B, j.Body
	b.Release()
}

func offsets(dst []byte, j *Job) []byte {
	for i := range j.Len() {
		if _, _, err := j.Result(i); err != nil {
			panic(err)
		}
	}
	return dst
}

func BenchmarkProduce(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("format=json/records=%d", n), func(b *testing.B) {
			p, text := startMirror(b), body(n)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				j := p.Acquire()
				receive(j, text)
				if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, n); err != nil {
					b.Fatal(err)
				}
				if _, err := p.Produce(j, "t", AnyPartition, nil, offsets); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}
