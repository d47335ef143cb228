package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Defaults for the fields of [Consumer], as Kafka's Java consumer has them.
const (
	defaultFetchBytes     = 50 << 20
	defaultPartitionBytes = 1 << 20
	defaultSession        = 45 * time.Second
	// maxBatchBytes bounds the decompressed size of one fetched record batch. The library's 1 GiB
	// would let one small, hostile batch exhaust the process's memory; brokers hold batches of 1
	// MiB by default.
	maxBatchBytes = 256 << 20
	// replicaRecheck is how often a consumer with a rack asks the leader for
	// the nearest replica.
	replicaRecheck = 5 * time.Second
)

// DefaultConsumer returns the defaults of Kafka's Java consumer.
func DefaultConsumer() Consumer {
	return Consumer{
		FetchMaxBytes:     defaultFetchBytes,
		MaxPartitionBytes: defaultPartitionBytes,
		SessionTimeout:    defaultSession,
		GroupProtocol:     "classic",
	}
}

// ConsumerOpts returns the options that the clients of all consumer instances share: connections,
// fetch sizes, session, memory. Group, start offset, isolation, minimum fetch and auto-commit
// belong to the instance and are appended by package consumer. Fields of c that are zero mean
// their defaults. The slice may be used for any number of clients.
//
// Records come from a pool: the reader calls [kgo.Record.Recycle] on each one when its bytes have
// been copied out; a record that is never recycled is merely garbage.
func ConsumerOpts(base Settings, c Consumer) ([]kgo.Opt, error) {
	opts, err := baseOpts(base, c.ClientID)
	if err != nil {
		return nil, err
	}
	fetch := orElse(c.FetchMaxBytes, defaultFetchBytes)
	partition := orElse(c.MaxPartitionBytes, defaultPartitionBytes)
	if fetch < 0 || partition < 0 || fetch > 1<<29 || partition > 1<<29 {
		return nil, fmt.Errorf("cannot build Kafka consumers: fetches of %d bytes, %d a partition, are not between 1 and %d", fetch, partition, 1<<29)
	}
	session := orElse(c.SessionTimeout, defaultSession)
	opts = append(opts,
		kgo.FetchMaxBytes(int32(fetch)),
		kgo.FetchMaxPartitionBytes(int32(partition)),
		// A broker may exceed the fetch size by one batch of each partition.
		kgo.BrokerMaxReadBytes(int32(max(maxAnswerBytes, 2*fetch))),
		kgo.MaxDecompressBatchBytes(maxBatchBytes),
		// fetch.max.wait.ms of the Java consumer; the library's 5 s would
		// keep a paused instance's request at the broker that long.
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.SessionTimeout(session),
		// At most a third of the session timeout, as Kafka recommends.
		kgo.HeartbeatInterval(min(3*time.Second, session/3)),
		kgo.RebalanceTimeout(time.Minute),
		// There may be thousands of instances, each with a metadata loop
		// of its own that runs this often while a partition has no leader.
		kgo.MetadataMinAge(time.Second),
		kgo.WithPools(fetchPools),
	)
	if c.Rack != "" {
		// The library keeps reading from a replica that is gone until it asks the leader again,
		// by default after half an hour.
		opts = append(opts, kgo.Rack(c.Rack), kgo.RecheckPreferredReplicaInterval(replicaRecheck))
	}
	switch c.GroupProtocol {
	case "", "classic":
		return append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer())), nil
	case "consumer":
		// The broker assigns (KIP-848). The balancer names its algorithm,
		// and is the one used with brokers before 4.0.
		return append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()), kgo.WithHooks(new(pacer))), nil
	}
	return nil, fmt.Errorf("cannot build Kafka consumers: unknown group protocol %q, not classic or consumer", c.GroupProtocol)
}
