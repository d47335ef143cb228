package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrNoPartition says that a topic exists and has no such partition.
var ErrNoPartition = errors.New("the topic has no such partition")

// maxRoutes bounds the topics that a [Reader] remembers the leaders of.
const maxRoutes = 10_000

// LeaderHook is a hook of [Settings.Hooks] that a [Reader] tells which broker
// answered for a partition. Clients of the library say it by
// [kgo.HookProduceBatchWritten] and [kgo.HookFetchBatchRead].
type LeaderHook interface {
	// OnLeader is called with each answer. It must not block.
	OnLeader(topic string, partition, leader int32)
}

// Reader fetches from any place of any partition, without a consumer: each
// [Reader.Fetch] is one request to the partition's leader over connections that
// all of them share. It may be used concurrently.
//
// A broker answers the requests of a connection one after another, so a fetch
// never waits at the broker for records to come: it would hold up all others.
type Reader struct {
	client         *kgo.Client
	decompressor   kgo.Decompressor
	partitionBytes int
	hooks          []kgo.Hook      // Settings.Hooks
	open           context.Context // ends with Close
	end            context.CancelFunc

	mu     sync.Mutex
	topics map[string]*route
}

// route says where the partitions of a topic are. It is immutable; what proves
// wrong is asked for again.
type route struct {
	id      [16]byte // Kafka's, zero before it had any
	leaders []int32  // by partition, -1 for none
}

// Place is where and how much a [Reader] fetches.
type Place struct {
	Topic     string
	Partition int32
	// Offset of the first record.
	Offset int64
	// MaxBytes bounds the record batches as Kafka stores them, but for the
	// first one; at most one partition's share of a fetch.
	MaxBytes int
	// ReadCommitted leaves out the records of open and aborted transactions.
	ReadCommitted bool
}

// NewReader builds a reader with the connections, fetch sizes and memory of the
// consumers. Nothing connects before the first fetch. The caller closes it.
func NewReader(base Settings, c Consumer) (*Reader, error) {
	opts, err := ConsumerOpts(base, c)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka client for direct reads: %w", err)
	}
	r := &Reader{
		client: client,
		// The client's own, since only that is bounded by maxBatchBytes.
		decompressor:   client.OptValue(kgo.WithDecompressor).(kgo.Decompressor),
		partitionBytes: orElse(c.MaxPartitionBytes, defaultPartitionBytes),
		hooks:          base.Hooks,
		topics:         make(map[string]*route),
	}
	r.open, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Close closes the connections. Fetches that go on fail with [kgo.ErrClientClosed].
func (r *Reader) Close() {
	r.end()
	r.client.Close()
}

// Fetch returns what the log holds from the place on, at once, even if that is
// nothing, and the offset to go on from. That may be past the last record:
// offsets of transaction marks and of compacted records count. The caller owns
// the records and calls [kgo.Record.Recycle] on each.
//
// A leader that moved is followed, and a broker that fails asked again, until
// ctx ends. Errors: those of Kafka ([kerr.Error]), a topic that does not exist
// among them, [ErrNoPartition], and what became of the connection. Where a
// later batch cannot be read, the records before it come without an error.
func (r *Reader) Fetch(ctx context.Context, at Place) (kgo.FetchPartition, int64, error) {
	var last error
	for fails := 0; ; fails++ {
		part, next, err := r.try(ctx, at, fails > 0)
		switch {
		case err == nil:
			return part, next, nil
		case r.open.Err() != nil: // the library tells it in many ways
			return part, next, kgo.ErrClientClosed
		case ctx.Err() != nil && last != nil: // it says more than that time is up
			return part, next, last
		case ctx.Err() != nil, !passing(err):
			return part, next, err
		}
		last = err
		if fails == 0 {
			continue // with fresh metadata, which most often is all that it takes
		}
		select {
		case <-time.After(backoff(fails)):
		case <-r.open.Done():
			return part, next, kgo.ErrClientClosed
		case <-ctx.Done():
			return part, next, err
		}
	}
}

// final marks an error that asking again does not cure.
type final struct{ error }

// Unwrap gives the error itself.
func (f final) Unwrap() error { return f.error }

// passing reports whether a fetch may succeed when it is made again.
func passing(err error) bool {
	var end final
	var code *kerr.Error
	switch {
	case errors.As(err, &end):
		return false
	case errors.As(err, &code):
		return code.Retriable
	}
	return true // a connection
}

// try is one fetch. fresh has it ask for the leader again.
func (r *Reader) try(ctx context.Context, at Place, fresh bool) (kgo.FetchPartition, int64, error) {
	none := kgo.FetchPartition{Partition: at.Partition}
	route, err := r.route(ctx, at, fresh)
	if err != nil {
		return none, at.Offset, err
	}
	leader := route.leaders[at.Partition]
	if leader < 0 {
		return none, at.Offset, fmt.Errorf("cannot fetch: %w", kerr.LeaderNotAvailable)
	}
	resp, err := r.client.Broker(int(leader)).Request(ctx, r.request(at, route.id))
	if err != nil {
		return none, at.Offset, fmt.Errorf("cannot fetch from broker %d: %w", leader, err)
	}
	answer := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return none, at.Offset, fmt.Errorf("cannot fetch from broker %d: %w", leader, err)
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return none, at.Offset, fmt.Errorf("cannot fetch from broker %d: %w", leader, kerr.UnknownServerError)
	}
	raw := &answer.Topics[0].Partitions[0]
	err = kerr.ErrorForCode(raw.ErrorCode)
	if err == nil || errors.Is(err, kerr.OffsetOutOfRange) { // as only the leader can know
		r.tell(at, leader)
	}
	if err != nil {
		return none, at.Offset, fmt.Errorf("cannot fetch from broker %d: %w", leader, err)
	}
	opts := kgo.ProcessFetchPartitionOpts{
		Offset: at.Offset, Topic: at.Topic, Partition: at.Partition, Pools: []kgo.Pool{fetchPools},
	}
	if at.ReadCommitted {
		opts.IsolationLevel = kgo.ReadCommitted()
	}
	part, next := kgo.ProcessFetchPartition(opts, raw, r.decompressor, r.counted(at, leader))
	if part.Err != nil && len(part.Records) == 0 {
		return part, at.Offset, final{fmt.Errorf("cannot read the batch at offset %d: %w", at.Offset, part.Err)}
	}
	return part, next, nil
}

// tell says which broker answered for the partition.
func (r *Reader) tell(at Place, leader int32) {
	for _, h := range r.hooks {
		if h, ok := h.(LeaderHook); ok {
			h.OnLeader(at.Topic, at.Partition, leader)
		}
	}
}

// counted returns what tells of each batch that was read, as the library does
// for clients that poll.
func (r *Reader) counted(at Place, leader int32) func(kgo.FetchBatchMetrics) {
	return func(m kgo.FetchBatchMetrics) {
		for _, h := range r.hooks {
			if h, ok := h.(kgo.HookFetchBatchRead); ok {
				h.OnFetchBatchRead(kgo.BrokerMetadata{NodeID: leader}, at.Topic, at.Partition, m)
			}
		}
	}
}

func (r *Reader) request(at Place, id [16]byte) *kmsg.FetchRequest {
	size := int32(max(min(at.MaxBytes, r.partitionBytes), 1))
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = at.Partition, at.Offset, size
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = at.Topic, id // which of them is sent depends on the broker's version
	t.Partitions = append(t.Partitions, p)
	req := kmsg.NewPtrFetchRequest() // it wants no fetch session, and no bound but that of its one partition
	req.Topics = append(req.Topics, t)
	if at.ReadCommitted {
		req.IsolationLevel = 1
	}
	return req
}

// route returns where the topic is. A partition that is not known may have
// been added since, so it is asked for.
func (r *Reader) route(ctx context.Context, at Place, fresh bool) (*route, error) {
	r.mu.Lock()
	known := r.topics[at.Topic]
	r.mu.Unlock()
	if known != nil && !fresh && int(at.Partition) < len(known.leaders) {
		return known, nil
	}
	found, err := r.locate(ctx, at.Topic)
	if err != nil {
		r.mu.Lock()
		delete(r.topics, at.Topic)
		r.mu.Unlock()
		return nil, err
	}
	r.mu.Lock()
	if len(r.topics) >= maxRoutes {
		clear(r.topics)
	}
	r.topics[at.Topic] = found
	r.mu.Unlock()
	if int(at.Partition) >= len(found.leaders) {
		return nil, final{ErrNoPartition}
	}
	return found, nil
}

// Partitions asks how many partitions the topic has. Errors: those of Kafka, a
// topic that does not exist among them, and what became of the connection.
func (r *Reader) Partitions(ctx context.Context, topic string) (int, error) {
	found, err := r.route(ctx, Place{Topic: topic}, true)
	if err != nil {
		return 0, err
	}
	return len(found.leaders), nil
}

// locate asks any broker about the topic.
func (r *Reader) locate(ctx context.Context, name string) (*route, error) {
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(name)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, t)
	resp, err := r.client.Request(ctx, req) // the client learns the brokers' addresses from it
	if err != nil {
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, err)
	}
	answer := resp.(*kmsg.MetadataResponse)
	if len(answer.Topics) != 1 {
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, kerr.UnknownServerError)
	}
	topic := &answer.Topics[0]
	switch err := kerr.ErrorForCode(topic.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return nil, final{fmt.Errorf("cannot look up topic %s: %w", name, err)}
	case err != nil:
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, err)
	case len(topic.Partitions) == 0: // it is being created
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, kerr.LeaderNotAvailable)
	}
	found := &route{id: topic.TopicID}
	for _, p := range topic.Partitions {
		if missing := int(p.Partition) + 1 - len(found.leaders); missing > 0 {
			found.leaders = append(found.leaders, slices.Repeat([]int32{-1}, missing)...)
		}
		if p.Partition >= 0 {
			found.leaders[p.Partition] = p.Leader
		}
	}
	return found, nil
}
