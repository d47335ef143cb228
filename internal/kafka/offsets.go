package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The timestamps that ask ListOffsets for the ends of a partition (KIP-79).
const (
	StartOfLog int64 = -2
	EndOfLog   int64 = -1
)

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns topic[partition].
func (tp TopicPartition) String() string { return fmt.Sprintf("%s[%d]", tp.Topic, tp.Partition) }

// PartitionError is an error about one of the partitions that were asked about.
type PartitionError struct {
	TopicPartition
	// Err is [kerr.UnknownTopicOrPartition] or [ErrNoPartition].
	Err error
}

// Error names the partition.
func (e *PartitionError) Error() string { return e.TopicPartition.String() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *PartitionError) Unwrap() error { return e.Err }

// ListedOffset is a broker's result for one partition.
type ListedOffset struct {
	// Offset is -1 where no record is as young as the time asked for.
	Offset int64
	// Err is an error of Kafka, or of the connection to the partition's leader.
	Err error
}

// ListOffsets asks the leader of each partition for the offset of its first record that is not
// older than the given time, in ms since 1970, or for one of the ends: one request to each broker
// that leads some of them. With committed the end is that of the last finished transaction. Each
// requested partition is in the result.
func ListOffsets(ctx context.Context, client *kgo.Client, committed bool, at map[TopicPartition]int64) map[TopicPartition]ListedOffset {
	found := make(map[TopicPartition]ListedOffset, len(at))
	if len(at) == 0 {
		return found
	}
	for _, shard := range sharded(ctx, client, listOffsetsRequest(committed, at)) {
		if shard.Err != nil {
			for _, t := range shard.Req.(*kmsg.ListOffsetsRequest).Topics {
				for _, p := range t.Partitions {
					found[TopicPartition{t.Topic, p.Partition}] = ListedOffset{Offset: -1, Err: shard.Err}
				}
			}
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				found[TopicPartition{t.Topic, p.Partition}] = ListedOffset{Offset: p.Offset, Err: kerr.ErrorForCode(p.ErrorCode)}
			}
		}
	}
	for tp := range at {
		if _, ok := found[tp]; !ok {
			found[tp] = ListedOffset{Offset: -1, Err: errors.New("the broker did not answer for the partition")}
		}
	}
	return found
}

// sharded is RequestSharded over a shared connection.
func sharded(ctx context.Context, client *kgo.Client, req kmsg.Request) []kgo.ResponseShard {
	all, err := shared(ctx, func(ctx context.Context) []kgo.ResponseShard { return client.RequestSharded(ctx, req) })
	if err != nil {
		return []kgo.ResponseShard{{Req: req, Err: err}}
	}
	return all
}

func listOffsetsRequest(committed bool, at map[TopicPartition]int64) *kmsg.ListOffsetsRequest {
	topics := make(map[string][]kmsg.ListOffsetsRequestTopicPartition)
	for tp, ms := range at {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.Partition, ms
		topics[tp.Topic] = append(topics[tp.Topic], p)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1 // a client
	if committed {
		req.IsolationLevel = 1
	}
	for name, partitions := range topics {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic, t.Partitions = name, partitions
		req.Topics = append(req.Topics, t)
	}
	return req
}

// OffsetsAt returns, for each partition, the offset of the first record that is not older than
// the time asked for (see [ListOffsets]). A time after the last record gives the end. Errors:
// [PartitionError] for a partition that does not exist, those of Kafka, and those of the
// connection.
func OffsetsAt(ctx context.Context, client *kgo.Client, committed bool, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	found, err := listAll(ctx, client, committed, at)
	if err != nil {
		return nil, err
	}
	past := make(map[TopicPartition]int64)
	for tp, offset := range found {
		if offset < 0 {
			past[tp] = EndOfLog
		}
	}
	ends, err := listAll(ctx, client, committed, past)
	if err != nil {
		return nil, err
	}
	for tp, offset := range ends {
		found[tp] = offset
	}
	return found, nil
}

// listAll is ListOffsets, but fails if one partition fails.
func listAll(ctx context.Context, client *kgo.Client, committed bool, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	offsets := make(map[TopicPartition]int64, len(at))
	for tp, listed := range ListOffsets(ctx, client, committed, at) {
		if errors.Is(listed.Err, kerr.UnknownTopicOrPartition) {
			if err := Missing(ctx, client, slices.Collect(maps.Keys(at))); err != nil {
				return nil, err
			}
		}
		if listed.Err != nil {
			return nil, fmt.Errorf("cannot list the offsets of %s: %w", tp, listed.Err)
		}
		offsets[tp] = listed.Offset
	}
	return offsets, nil
}

// Missing determines what does not exist after Kafka's error for an unknown topic or partition,
// which does not distinguish the two. It returns the first of the partitions that lacks its topic
// ([kerr.UnknownTopicOrPartition]) or is missing in it ([ErrNoPartition]), nil where all exist by
// now, and the error of the look-up where that fails.
func Missing(ctx context.Context, client *kgo.Client, tps []TopicPartition) error {
	topics := make([]string, len(tps))
	for n, tp := range tps {
		topics[n] = tp.Topic
	}
	details, err := kadm.NewClient(client).ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return err
	}
	for _, tp := range tps {
		if !details.Has(tp.Topic) {
			return &PartitionError{tp, kerr.UnknownTopicOrPartition}
		}
		if _, ok := details[tp.Topic].Partitions[tp.Partition]; !ok {
			return &PartitionError{tp, ErrNoPartition}
		}
	}
	return nil
}
