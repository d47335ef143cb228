//go:build !race

package metrics

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// perRequest writes all the metrics of a produce request; other requests write fewer.
func perRequest(m *Metrics) func() {
	r, f := m.Route("POST", "/topics/{topic}"), m.Format("json")
	took := time.Duration(0)
	return func() {
		m.InFlight.Add(1)
		f.Produced.Add(100)
		took = (took + 17*time.Microsecond) % time.Second
		r.Done(200, took, 20_000, 5000)
		m.InFlight.Add(-1)
	}
}

func TestRequestsAllocateNothing(t *testing.T) {
	m := New(Settings{Topics: 10}, Build{})
	request := perRequest(m)
	for range 100_000 { // so that every bucket of the native histogram exists
		request()
	}
	failure := m.Failure("overloaded", 50301)
	m.Topics().Consumed("topic", 1, 1)
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("request", request)
	f("failure", func() { failure.Requests.Add(1) })
	f("read of a topic", func() { m.Topics().Consumed("topic", 100, 1000) })
	hook := m.clients[ProducerClient]
	f("record batch", func() {
		hook.OnProduceBatchWritten(kgo.BrokerMetadata{}, "topic", 0, kgo.ProduceBatchMetrics{NumRecords: 1000, UncompressedBytes: 100_000})
	})
}

func BenchmarkRequest(b *testing.B) {
	request := perRequest(New(Settings{}, Build{}))
	b.ReportAllocs()
	for b.Loop() {
		request()
	}
}

// BenchmarkRequestParallel is the worst case: all cores on one route and status.
func BenchmarkRequestParallel(b *testing.B) {
	m := New(Settings{}, Build{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		request := perRequest(m)
		for pb.Next() {
			request()
		}
	})
}

func BenchmarkTopic(b *testing.B) {
	m := New(Settings{Topics: 10}, Build{})
	b.ReportAllocs()
	for b.Loop() {
		m.Topics().Consumed("some.topic", 100, 1000)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := full(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Write(discard{}, ""); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
