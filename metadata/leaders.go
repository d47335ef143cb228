package metadata

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// When a leader moves, the Kafka clients of the process hear of it first: a
// broker refuses them, they look up the new leader and go there, and tell
// nobody. What they do tell, by hooks, is which broker took or gave a record
// batch. Where that is not the leader that the view has, the view is wrong.

// doubtPause is how long one topic's leaders are not doubted again. A client
// may itself be behind, which the first doubt finds out.
const doubtPause = time.Second

// Hook returns a hook for other Kafka clients of the process. What they read
// from a broker is then a sign of life too: under load, no probe is sent, and
// a probe that starves cannot call brokers dead that answer produce requests.
// And the leaders that they find put right what the cache believes.
func (c *Cache) Hook() kgo.Hook { return hook{c} }

// ReplicaHook is [Cache.Hook] for clients that read from replicas too: from which
// broker a batch is says nothing of the leader then.
func (c *Cache) ReplicaHook() kgo.Hook { return replicaHook{hook{c}} }

type replicaHook struct{ h hook }

// OnBrokerRead implements [kgo.HookBrokerRead].
func (r replicaHook) OnBrokerRead(b kgo.BrokerMetadata, key int16, n int, wait, took time.Duration, err error) {
	r.h.OnBrokerRead(b, key, n, wait, took, err)
}

// OnLeader implements [kafka.LeaderHook].
func (r replicaHook) OnLeader(topic string, partition, leader int32) {
	r.h.OnLeader(topic, partition, leader)
}

type hook struct{ c *Cache }

var _, _ kafka.LeaderHook = hook{}, replicaHook{}

// OnBrokerRead implements [kgo.HookBrokerRead].
func (h hook) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		h.c.answered()
	}
}

// OnProduceBatchWritten implements [kgo.HookProduceBatchWritten].
func (h hook) OnProduceBatchWritten(b kgo.BrokerMetadata, topic string, partition int32, _ kgo.ProduceBatchMetrics) {
	h.OnLeader(topic, partition, b.NodeID)
}

// OnFetchBatchRead implements [kgo.HookFetchBatchRead].
func (h hook) OnFetchBatchRead(b kgo.BrokerMetadata, topic string, partition int32, _ kgo.FetchBatchMetrics) {
	h.OnLeader(topic, partition, b.NodeID)
}

// OnLeader implements [kafka.LeaderHook]. It runs once a record batch.
func (h hook) OnLeader(topic string, partition, leader int32) {
	t := h.c.view.Load().topic(topic)
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) || t.Partitions[partition].Leader == leader {
		return
	}
	last, now := t.doubted.Load(), int64(time.Since(h.c.started))
	if last == 0 || now-last > int64(doubtPause) {
		if t.doubted.CompareAndSwap(last, now) {
			h.c.Invalidate()
		}
	}
}
