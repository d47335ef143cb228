package metadata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"millrace/internal/apierr"
)

// The special times of a ListOffsets request.
const (
	latestOffset   = -1
	earliestOffset = -2
)

// offsetRange is what the log of a partition holds: from beginning to before end.
type offsetRange struct{ beginning, end int64 }

// Offsets asks the partition's leader for the offset of its first record and
// for the one that its next record will get (the high watermark: records of
// open transactions count). Nothing is cached, but whoever asks about the same
// partition at the same time shares the answer.
//
// Errors: TopicNotFound, PartitionNotFound, at once; Unauthorized,
// KafkaRetriable (no leader), BrokersAway, KafkaTimedOut.
func (c *Cache) Offsets(ctx context.Context, name string, partition int32) (beginning, end int64, err error) {
	t, err := c.partition(ctx, name, partition)
	if err != nil {
		return 0, 0, err
	}
	key := flightKey{what: "offsets", topic: t.Name, partition: partition}
	r, err := fly(ctx, c, key, func(ctx context.Context) (r offsetRange, err error) {
		// Kafka refuses a request that names a partition twice, so it takes two.
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() (err error) {
			r.beginning, err = c.askOffset(ctx, t.Name, partition, earliestOffset)
			return err
		})
		group.Go(func() (err error) {
			r.end, err = c.askOffset(ctx, t.Name, partition, latestOffset)
			return err
		})
		err = group.Wait()
		return r, err
	})
	return r.beginning, r.end, err
}

// electionTime is how long a partition whose leader has just changed, or is new
// and has not taken office, is asked again.
const electionTime = time.Second

// askOffset asks the leader of a partition for one offset, and again while
// Kafka says that it cannot tell yet.
func (c *Cache) askOffset(ctx context.Context, topic string, partition int32, at int64) (int64, error) {
	pause := firstPause
	for began := time.Now(); ; pause = min(2*pause, maxPause) {
		offset, err := c.askOffsetOnce(ctx, topic, partition, at)
		if !kerr.IsRetriable(err) || time.Since(began) > electionTime {
			return offset, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, err
		}
	}
}

func (c *Cache) askOffsetOnce(ctx context.Context, topic string, partition int32, at int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1 // a client
	asked := kmsg.NewListOffsetsRequestTopicPartition()
	asked.Partition, asked.Timestamp = partition, at
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	t.Partitions = append(t.Partitions, asked)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.brokers)
	if err == nil && (len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1) {
		err = errors.New("the answer is about something else")
	}
	if err == nil {
		c.answered()
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		c.Invalidate() // deleted since the view was taken
		return 0, apierr.TopicNotFound.Wrap(err, "Topic %s not found.", topic)
	case err != nil:
		return 0, fmt.Errorf("cannot read the offsets of %s/%d: %w", topic, partition, err)
	}
	return resp.Topics[0].Partitions[0].Offset, nil
}
