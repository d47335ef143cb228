package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/bounded"
)

var (
	// ErrNoPartition means that a topic exists and has no such partition.
	ErrNoPartition = errors.New("the topic has no such partition")
	// ErrRecreated means that the topic of that name is not the requested one.
	ErrRecreated = errors.New("the topic was deleted and created again")
	// errSilent says that a broker was not asked, or that its connection was ended.
	errSilent = errors.New("it did not answer of late")
)

const (
	// silentFor is how long a broker that let a fetch time out is not asked by
	// those that have no patience, which would wait for it once for each partition.
	// After so long without any answer its connection is given up.
	silentFor = 5 * time.Second
	// replicaTimeout bounds a fetch from a replica that is not the leader, since the leader can
	// be asked in its place.
	replicaTimeout = time.Second
)

// LeaderHook is a hook of [Settings.Hooks] that a [Reader] notifies of the broker that answered
// for a partition. Clients of the library report it by [kgo.HookProduceBatchWritten] and
// [kgo.HookFetchBatchRead].
type LeaderHook interface {
	// OnLeader is called with each response. It must not block.
	OnLeader(topic string, partition, leader int32)
}

// Reader fetches from any offset of any partition, without a consumer: each [Reader.Fetch] is one
// request to the partition's leader, or a nearer replica, over connections that all fetches
// share. It may be used concurrently.
//
// A broker answers the requests of a connection one after another, so a fetch never waits at the
// broker for records: it would delay all others on the connection.
type Reader struct {
	client         *kgo.Client
	contact        *Contact
	decompressor   kgo.Decompressor
	partitionBytes int
	hooks          []kgo.Hook // Settings.Hooks
	rack           string
	reserved       Reserved
	open           context.Context // ends with Close
	end            context.CancelFunc

	mu     sync.Mutex
	topics *bounded.Map[string, *route]
	lines  map[int32]*line
}

// PartitionRead is the position and size of a fetch.
type PartitionRead struct {
	Topic string
	// TopicID is that of the requested topic; zero: any topic of that name.
	TopicID   [16]byte
	Partition int32
	// Offset of the first record.
	Offset int64
	// MaxBytes bounds the record batches as Kafka stores them, but for the
	// first one; at most one partition's share of a fetch.
	MaxBytes int
	// ReadCommitted leaves out the records of open and aborted transactions.
	ReadCommitted bool
	// Impatient fails at once where a retry would have to wait: at a partition that has no
	// leader, and at a broker that has just let a fetch time out.
	Impatient bool
}

// NewReader builds a reader with the connections, fetch sizes and memory of the
// consumers. Nothing connects before the first fetch. The caller closes it.
func NewReader(base Settings, c Consumer) (*Reader, error) {
	opts, err := ConsumerOpts(base, c)
	if err != nil {
		return nil, err
	}
	contact := new(Contact)
	client, err := kgo.NewClient(append(opts, kgo.WithHooks(contact))...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka client for direct reads: %w", err)
	}
	r := &Reader{
		client: client, contact: contact,
		// The client's own, since only that is bounded by maxBatchBytes.
		decompressor:   client.OptValue(kgo.WithDecompressor).(kgo.Decompressor),
		partitionBytes: orElse(c.MaxPartitionBytes, defaultPartitionBytes),
		hooks:          base.Hooks,
		rack:           c.Rack,
		reserved:       base.Reserved,
		topics:         bounded.New[string, *route](maxRoutes, nil),
		lines:          make(map[int32]*line),
	}
	r.open, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Close closes the connections. Fetches in flight fail with [kgo.ErrClientClosed].
func (r *Reader) Close() {
	r.end()
	r.client.Close()
}

// OffsetsAt is [OffsetsAt] over the reader's connections.
func (r *Reader) OffsetsAt(ctx context.Context, committed bool, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	return OffsetsAt(ctx, r.client, committed, at)
}

// Fetch returns the records of the log from the offset, at once, even if there are none, and the
// offset to continue from. That may be past the last record: offsets of transaction marks and of
// compacted records count. The caller owns the records and calls [kgo.Record.Recycle] on each.
//
// Fetch retries at a leader that moved, and after a broker that failed, until ctx ends; an
// impatient read retries just once. Errors: those of Kafka ([kerr.Error]), a topic that does not
// exist among them, [ErrNoPartition], [ErrRecreated], and those of the connection. Where a later
// batch cannot be read, the records before it are returned without an error.
func (r *Reader) Fetch(ctx context.Context, at PartitionRead) (kgo.FetchPartition, int64, error) {
	var last error
	for fails := 0; ; fails++ {
		part, next, err := r.try(ctx, at, fails > 0)
		switch {
		case err == nil:
			return part, next, nil
		case r.open.Err() != nil: // the library reports it in many forms
			return part, next, kgo.ErrClientClosed
		case r.contact.Lost() != nil: // no retry cures wrong credentials, and for brokers clients retry
			return part, next, fmt.Errorf("cannot reach Kafka: %w", r.contact.Lost())
		case ctx.Err() != nil && last != nil: // Kafka's error tells more than that time is up
			return part, next, last
		case ctx.Err() != nil, !passing(err):
			return part, next, err
		}
		last = err
		if fails == 0 {
			continue // with fresh metadata, which most often is enough
		}
		if at.Impatient {
			return part, next, err
		}
		select {
		case <-time.After(Backoff(fails)):
		case <-r.open.Done():
			return part, next, kgo.ErrClientClosed
		case <-ctx.Done():
			return part, next, err
		}
	}
}

// final marks an error that no retry cures.
type final struct{ error }

// Unwrap returns the error itself.
func (f final) Unwrap() error { return f.error }

// passing reports whether a retry of a fetch may succeed.
func passing(err error) bool {
	var end final
	var code *kerr.Error
	switch {
	case errors.As(err, &end):
		return false
	case errors.As(err, &code):
		return code.Retriable
	}
	return true // an error of the connection
}

// try makes one fetch, from the leader or from the replica that it named as the nearest. fresh
// makes it look the leader up again.
func (r *Reader) try(ctx context.Context, at PartitionRead, fresh bool) (kgo.FetchPartition, int64, error) {
	none := kgo.FetchPartition{Partition: at.Partition}
	route, err := r.route(ctx, at, fresh)
	if err != nil {
		return none, at.Offset, err
	}
	if err := route.check(at); err != nil {
		return none, at.Offset, err
	}
	leader := route.leaders[at.Partition]
	if leader < 0 {
		return none, at.Offset, fmt.Errorf("cannot fetch: %w", kerr.LeaderNotAvailable)
	}
	for {
		broker, rack := route.source(at.Partition, r.rack)
		raw, err := r.ask(ctx, at, route, broker, rack)
		switch {
		case broker != leader && err != nil && ctx.Err() == nil:
			route.refused(at.Partition) // the leader reports the error, if it persists
		case err != nil:
			return none, at.Offset, fmt.Errorf("cannot fetch from broker %d: %w", broker, err)
		case broker == leader && rack != "" && raw.PreferredReadReplica >= 0 && raw.PreferredReadReplica != leader:
			route.named(at.Partition, raw.PreferredReadReplica)
		default:
			return r.decode(at, broker, raw)
		}
	}
}

// ask sends one request to one of the brokers that have the partition.
func (r *Reader) ask(ctx context.Context, at PartitionRead, route *route, broker int32, rack string) (*kmsg.FetchResponseTopicPartition, error) {
	if at.Impatient && r.isSilent(broker) {
		return nil, errSilent
	}
	leads := broker == route.leaders[at.Partition]
	if !leads {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, replicaTimeout)
		defer cancel()
	}
	answer, err := r.send(ctx, broker, r.request(at, route.id, rack))
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return nil, err
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return nil, kerr.UnknownServerError
	}
	raw := &answer.Topics[0].Partitions[0]
	err = kerr.ErrorForCode(raw.ErrorCode)
	if leads && (err == nil || errors.Is(err, kerr.OffsetOutOfRange)) { // only the leader can answer these
		r.tell(at, broker)
	}
	return raw, err
}

// decode makes records of what a broker has answered.
func (r *Reader) decode(at PartitionRead, broker int32, raw *kmsg.FetchResponseTopicPartition) (kgo.FetchPartition, int64, error) {
	opts := kgo.ProcessFetchPartitionOpts{
		Offset: at.Offset, Topic: at.Topic, Partition: at.Partition, Pools: []kgo.Pool{fetchPools},
	}
	if at.ReadCommitted {
		opts.IsolationLevel = kgo.ReadCommitted()
	}
	part, next := kgo.ProcessFetchPartition(opts, raw, r.decompressor, r.counted(at, broker))
	if part.Err != nil && len(part.Records) == 0 {
		return part, at.Offset, final{fmt.Errorf("cannot read the batch at offset %d: %w", at.Offset, part.Err)}
	}
	return part, next, nil
}

// tell notifies the hooks of the broker that answered for the partition.
func (r *Reader) tell(at PartitionRead, leader int32) {
	for _, h := range r.hooks {
		if h, ok := h.(LeaderHook); ok {
			h.OnLeader(at.Topic, at.Partition, leader)
		}
	}
}

// counted returns the function that notifies the hooks of each batch, as the library does for
// clients that poll.
func (r *Reader) counted(at PartitionRead, broker int32) func(kgo.FetchBatchMetrics) {
	return func(m kgo.FetchBatchMetrics) {
		for _, h := range r.hooks {
			if h, ok := h.(kgo.HookFetchBatchRead); ok {
				h.OnFetchBatchRead(kgo.BrokerMetadata{NodeID: broker}, at.Topic, at.Partition, m)
			}
		}
	}
}

func (r *Reader) request(at PartitionRead, id [16]byte, rack string) *kmsg.FetchRequest {
	size := int32(max(min(at.MaxBytes, r.partitionBytes), 1))
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = at.Partition, at.Offset, size
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = at.Topic, id // which of them is sent depends on the broker's version
	t.Partitions = append(t.Partitions, p)
	req := kmsg.NewPtrFetchRequest() // no fetch session, and no bound but that of its one partition
	req.Topics = append(req.Topics, t)
	req.Rack = rack
	if at.ReadCommitted {
		req.IsolationLevel = 1
	}
	return req
}
