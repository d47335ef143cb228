package metadata

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/kafka"
)

// A record batch taken by a broker that is not the leader in the view starts a refresh; a batch
// of the leader, or of a topic that is not cached, does not. A client that has old metadata, and
// repeats it with each batch, does not cause refreshes without end.
func TestBatchesTellWhoLeads(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.Ports(9092, 9093), kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{MaxAge: time.Hour}, dialer(network))
		leader := func() int32 {
			t.Helper()
			s, err := c.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s.Topics[0].Partitions[0].Leader
		}
		h := c.Hook().(kgo.HookProduceBatchWritten)
		written := func(topic string, partition, broker int32) {
			h.OnProduceBatchWritten(kgo.BrokerMetadata{NodeID: broker}, topic, partition, kgo.ProduceBatchMetrics{})
		}
		was := leader()
		next := 1 - was
		asked := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Observe: true, Count: -1})
		refreshes := func(want uint64, when string) {
			t.Helper()
			time.Sleep(3 * time.Second) // of the bubble: everything started has ended
			if got := c.Stats().Refreshed; got != want {
				t.Errorf("%s: %d refreshes, want %d; the broker saw %d requests", when, got, want, asked.Hits())
			}
		}
		first := c.Stats().Refreshed
		written("t", 0, was)
		written("t", 7, next)
		written("nowhere", 0, next)
		refreshes(first, "after batches that say nothing new")

		if err := cluster.MoveTopicPartition("t", 0, next); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			written("t", 0, next)
		}
		refreshes(first+1, "after the move")
		if got := leader(); got != next {
			t.Errorf("the leader is %d, not %d", got, next)
		}
		for range 100 {
			written("t", 0, was)
		}
		refreshes(first+2, "after batches of a client that is behind")
	})
}

// Where replicas are read from, the broker of a fetched batch is not taken for the leader;
// OnLeader still is.
func TestReplicasDoNotTellWhoLeads(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.Ports(9092, 9093), kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{MaxAge: time.Hour}, dialer(network))
		s, err := c.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := 1 - s.Topics[0].Partitions[0].Leader
		h := c.ReplicaHook()
		if _, ok := h.(kgo.HookFetchBatchRead); ok {
			t.Error("the hook listens to who gives batches")
		}
		time.Sleep(3 * time.Second) // of the bubble: a refresh in flight would be joined
		first := c.Stats().Refreshed
		h.(kafka.LeaderHook).OnLeader("t", 0, other)
		time.Sleep(3 * time.Second) // of the bubble: everything started has ended
		if got := c.Stats().Refreshed; got != first+1 {
			t.Errorf("after another leader: %d refreshes, want one", got-first)
		}
	})
}
