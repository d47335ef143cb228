package metadata

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BenchmarkTopic is the cost for a produce request to find its topic.
func BenchmarkTopic(b *testing.B) {
	c := newCache(b, newCluster(b, kfake.SeedTopics(3, "t")), Settings{})
	const name = "t"
	if _, err := c.Topic(b.Context(), name); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Topic(b.Context(), name); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRefresh is one refresh of a large cluster, broker and network included.
func BenchmarkRefresh(b *testing.B) {
	for _, topics := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			names := make([]string, topics)
			for i := range names {
				names[i] = fmt.Sprintf("telemetry.device-%05d", i)
			}
			c := newCache(b, newCluster(b, kfake.SeedTopics(4, names...)), Settings{MaxAge: time.Nanosecond})
			b.ReportAllocs()
			for b.Loop() {
				s, err := c.Snapshot(b.Context())
				if err != nil || len(s.Topics) != topics {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTopics is GET /topics from the cache.
func BenchmarkTopics(b *testing.B) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("telemetry.device-%05d", i)
	}
	c := newCache(b, newCluster(b, kfake.SeedTopics(1, names...)), Settings{MaxAge: time.Hour})
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = body(b.Context(), c, Query{Of: AllTopics}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(out)))
}
