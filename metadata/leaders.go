package metadata

import (
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// When a leader moves, the Kafka clients of the process learn of it first: a broker refuses their
// request, and they look up the new leader and go there. They do not report that. By hooks they
// do report which broker took or returned a record batch. When that broker is not the leader in
// the view, the view is wrong.

// doubtPause is how long one topic's leaders are not doubted again. A client may itself have old
// metadata, which the refresh for the first doubt shows. The limit is an atomic and no
// rate.Limiter: it is read for each record batch.
const doubtPause = time.Second

// Hook returns a hook for other Kafka clients of the process. It takes each response that they
// read as a sign of life: under load no probe is sent, and a delayed probe cannot report brokers
// dead that respond to produce requests. The leaders that the clients find correct the cached
// ones.
func (c *Cache) Hook() kgo.Hook { return hook{c} }

// ReplicaHook is [Cache.Hook] for clients that read from replicas too: the broker of a fetched
// batch does not show the leader then.
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

// OnBrokerDisconnect implements [kgo.HookBrokerDisconnect].
func (r replicaHook) OnBrokerDisconnect(b kgo.BrokerMetadata, conn net.Conn) {
	r.h.OnBrokerDisconnect(b, conn)
}

type hook struct{ c *Cache }

var _, _ kafka.LeaderHook = hook{}, replicaHook{}

// OnBrokerRead implements [kgo.HookBrokerRead].
func (h hook) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		h.c.answered()
	}
}

// OnBrokerDisconnect implements [kgo.HookBrokerDisconnect]. A connection that ends may be the
// first sign that a broker has died; to look costs one small request.
func (h hook) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { h.c.suspect() }

// OnProduceBatchWritten implements [kgo.HookProduceBatchWritten].
func (h hook) OnProduceBatchWritten(b kgo.BrokerMetadata, topic string, partition int32, _ kgo.ProduceBatchMetrics) {
	h.OnLeader(topic, partition, b.NodeID)
}

// OnFetchBatchRead implements [kgo.HookFetchBatchRead].
func (h hook) OnFetchBatchRead(b kgo.BrokerMetadata, topic string, partition int32, _ kgo.FetchBatchMetrics) {
	h.OnLeader(topic, partition, b.NodeID)
}

// OnLeader implements [kafka.LeaderHook]. It runs once per record batch.
func (h hook) OnLeader(topic string, partition, leader int32) {
	t := h.c.view.Load().topic(topic)
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) || t.Partitions[partition].Leader == leader {
		return
	}
	h.c.doubt(t)
}

// doubt has the leaders of the topic looked up again, at most once per doubtPause.
func (c *Cache) doubt(t *Topic) {
	last, now := t.doubted.Load(), int64(time.Since(c.started))
	if last == 0 || now-last > int64(doubtPause) {
		if t.doubted.CompareAndSwap(last, now) {
			c.Invalidate()
		}
	}
}
