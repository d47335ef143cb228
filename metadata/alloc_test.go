//go:build !race

package metadata

import (
	"testing"
	"time"

	"millrace/internal/apierr"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAnswerAllocations holds the budget of answers from the cache.
func TestAnswerAllocations(t *testing.T) {
	cluster := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(8, "t"), kfake.SeedTopics(1, "u"))
	c := newCache(t, cluster, Settings{MaxAge: time.Hour})
	ctx := testContext(t)
	const name = "t"
	const known, nowhere, bad = name, "nowhere", "no such/name"
	f := func(what string, answer func() error) {
		t.Helper()
		if err := answer(); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = answer() }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("topics", func() error { _, err := body(ctx, c, Query{Of: AllTopics}); return err })
	f("brokers", func() error { _, err := body(ctx, c, Query{Of: AllBrokers}); return err })
	f("topic", func() error { _, err := body(ctx, c, Query{Of: OneTopic, Topic: name}); return err })
	f("partitions", func() error { _, err := body(ctx, c, Query{Of: TopicPartitions, Topic: name}); return err })
	f("partition", func() error { _, err := body(ctx, c, Query{Of: OnePartition, Topic: name, Partition: 3}); return err })
	f("produce", func() error { _, err := c.Topic(ctx, known); return err })
	f("health", c.Healthy)

	h := hook{c}
	f("answer", func() error { h.OnBrokerRead(kgo.BrokerMetadata{}, 0, 0, 0, 0, nil); return nil })
	leader := kgo.BrokerMetadata{NodeID: cluster.LeaderFor(name, 0)}
	f("batch", func() error { h.OnProduceBatchWritten(leader, name, 0, kgo.ProduceBatchMetrics{}); return nil })
	f("batch of another leader", func() error { h.OnLeader(name, 1, 99); return nil })

	// Refusals are as cheap as answers: a client with a wrong name repeats it often.
	if _, err := c.Topic(ctx, nowhere); err == nil {
		t.Fatal("a topic that is nowhere was found")
	}
	c.missing.note("nowhere", true, apierr.TopicNotFound.Err())
	if a, ok := c.missing.names.Get("nowhere"); ok {
		a.until = time.Now().Add(time.Hour)
	}
	f("unknown topic", func() error { _, _ = c.Topic(ctx, nowhere); return nil })
	f("bad name", func() error { _, _ = c.Topic(ctx, bad); return nil })
}
