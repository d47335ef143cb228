package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// The timestamps that ask ListOffsets for the ends of a partition.
const (
	startOfLog = -2
	endOfLog   = -1
)

// cluster asks Kafka what needs no membership in a group: offsets of the log,
// offsets of a group, commits of an instance that has an assignment, records
// of any place. All instances and direct reads share its clients.
type cluster struct {
	base kafka.Settings
	conf kafka.Consumer

	mu     sync.Mutex
	client *kgo.Client   // nil until first used
	direct *kafka.Reader // the same
	closed bool          // nothing new is built
}

func (c *cluster) get() (*kgo.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, kgo.ErrClientClosed
	}
	if c.client == nil {
		client, err := kafka.NewAdmin(c.base)
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	return c.client, nil
}

// reader returns what direct reads fetch with.
func (c *cluster) reader() (*kafka.Reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, kgo.ErrClientClosed
	}
	if c.direct == nil {
		reader, err := kafka.NewReader(c.base, c.conf)
		if err != nil {
			return nil, err
		}
		c.direct = reader
	}
	return c.direct, nil
}

func (c *cluster) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.client != nil {
		c.client.Close()
	}
	if c.direct != nil {
		c.direct.Close()
	}
}

// exists returns an error unless there is a topic of that name.
func (c *cluster) exists(ctx context.Context, topic string) error {
	client, err := c.get()
	if err != nil {
		return err
	}
	details, err := kadm.NewClient(client).ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return fmt.Errorf("cannot look up topic %s: %w", topic, err)
	}
	switch err := details[topic].Err; {
	case !details.Has(topic), errors.Is(err, kerr.UnknownTopicOrPartition):
		return apierr.TopicNotFound.New("Topic %s does not exist.", topic)
	case err != nil && !errors.Is(err, kerr.LeaderNotAvailable): // in creation
		return fmt.Errorf("cannot look up topic %s: %w", topic, err)
	}
	return nil
}

// offsetsAt returns, for each partition, the offset of the first record that
// is not older than the time asked for (ms since 1970, or one of the ends). A
// time after the last record gives the end. With the isolation level
// read_committed the end is that of the last finished transaction.
func (c *cluster) offsetsAt(ctx context.Context, isolation string, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	found, err := c.listOffsets(ctx, isolation, at)
	if err != nil {
		return nil, err
	}
	past := make(map[TopicPartition]int64)
	for tp, offset := range found {
		if offset < 0 {
			past[tp] = endOfLog
		}
	}
	ends, err := c.listOffsets(ctx, isolation, past)
	if err != nil {
		return nil, err
	}
	for tp, offset := range ends {
		found[tp] = offset
	}
	return found, nil
}

// listOffsets is one ListOffsets request; -1 stands for "no such record".
func (c *cluster) listOffsets(ctx context.Context, isolation string, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	found := make(map[TopicPartition]int64, len(at))
	if len(at) == 0 {
		return found, nil
	}
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	topics := make(map[string][]kmsg.ListOffsetsRequestTopicPartition)
	for tp, ms := range at {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.Partition, ms
		topics[tp.Topic] = append(topics[tp.Topic], p)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if isolation == readCommitted {
		req.IsolationLevel = 1
	}
	for name, partitions := range topics {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic, t.Partitions = name, partitions
		req.Topics = append(req.Topics, t)
	}
	asked := slices.Collect(maps.Keys(at))
	for _, shard := range client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, c.missing(ctx, asked, fmt.Errorf("cannot list offsets: %w", shard.Err))
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				tp := TopicPartition{t.Topic, p.Partition}
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, c.missing(ctx, asked, fmt.Errorf("cannot list the offsets of %s: %w", tp, err))
				}
				found[tp] = p.Offset
			}
		}
	}
	for tp := range at {
		if _, ok := found[tp]; !ok {
			return nil, fmt.Errorf("cannot list offsets: the broker did not answer for %s", tp)
		}
	}
	return found, nil
}

// notBelow returns an error if the offset comes before the first one, or that
// cannot be found out.
func (c *cluster) notBelow(ctx context.Context, tp TopicPartition, offset int64) error {
	first, err := c.offsetsAt(ctx, readUncommitted, map[TopicPartition]int64{tp: startOfLog})
	if err != nil || offset >= first[tp] {
		return err
	}
	end, err := c.offsetsAt(ctx, readUncommitted, map[TopicPartition]int64{tp: endOfLog})
	if err != nil {
		return err
	}
	return apierr.OffsetNotFound.New("Offset %d is below the start of partition %d of topic %s, which has the offsets from %d to before %d.",
		offset, tp.Partition, tp.Topic, first[tp], end[tp])
}

// missing makes of the error of a request about the partitions that says that
// something is unknown the answer that says what: the topic or just a
// partition of it. Other errors stay what they are.
func (c *cluster) missing(ctx context.Context, tps []TopicPartition, err error) error {
	api := apierr.From(err)
	if api.Kind != apierr.TopicNotFound {
		return api
	}
	absent, failed := c.absent(ctx, tps, err)
	switch {
	case failed != nil:
		return apierr.From(failed)
	case absent != nil:
		return absent
	}
	return api // it came into being since
}

// absent returns the error that names the first of the partitions that does not
// exist, caused by cause; nil if all do.
func (c *cluster) absent(ctx context.Context, tps []TopicPartition, cause error) (absent *apierr.Error, err error) {
	if len(tps) == 0 {
		return nil, nil // to Kafka no topics are all of them
	}
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	topics := make([]string, len(tps))
	for n, tp := range tps {
		topics[n] = tp.Topic
	}
	details, err := kadm.NewClient(client).ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		if !details.Has(tp.Topic) {
			return apierr.TopicNotFound.Wrap(cause, "Topic %s does not exist.", tp.Topic), nil
		}
		if _, ok := details[tp.Topic].Partitions[tp.Partition]; !ok {
			return apierr.PartitionNotFound.Wrap(cause, "Topic %s has no partition %d.", tp.Topic, tp.Partition), nil
		}
	}
	return nil, nil
}

// committed returns the offsets that the group has committed for the
// partitions; those without one are left out.
func (c *cluster) committed(ctx context.Context, group string, tps []TopicPartition) (map[TopicPartition]Offset, error) {
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	all, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil // so some brokers say that it has committed nothing yet
	}
	if err != nil {
		return nil, fmt.Errorf("cannot fetch the committed offsets of group %s: %w", group, err)
	}
	found := make(map[TopicPartition]Offset, len(tps))
	for _, tp := range tps {
		o, ok := all.Lookup(tp.Topic, tp.Partition)
		if !ok || o.Err == nil && o.At < 0 {
			continue
		}
		if o.Err != nil {
			return nil, fmt.Errorf("cannot fetch the committed offset of %s: %w", tp, o.Err)
		}
		found[tp] = Offset{TopicPartition: tp, Offset: o.At, Metadata: o.Metadata}
	}
	return found, nil
}

// commit stores offsets for a group that this server is no member of at the
// moment. Kafka refuses that while the group has members.
func (c *cluster) commit(ctx context.Context, group string, entries []commitEntry) error {
	client, err := c.get()
	if err != nil {
		return err
	}
	offsets := make(kadm.Offsets)
	for _, e := range entries {
		offsets.Add(kadm.Offset{Topic: e.Topic, Partition: e.Partition, At: e.to.offset, LeaderEpoch: e.to.epoch, Metadata: e.metadata})
	}
	done, err := kadm.NewClient(client).CommitOffsets(ctx, group, offsets)
	if err != nil {
		return fmt.Errorf("cannot commit offsets of group %s: %w", group, err)
	}
	for _, e := range entries {
		if o, ok := done.Lookup(e.Topic, e.Partition); ok && o.Err != nil {
			return fmt.Errorf("cannot commit the offset of %s: %w", e.TopicPartition, o.Err)
		}
	}
	return nil
}
