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

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// cluster asks Kafka what needs no membership in a group: offsets of the log,
// offsets of a group, commits of an instance that has an assignment. All instances
// share its client.
type cluster struct {
	base kafka.Settings
	conf kafka.Consumer

	mu     sync.Mutex
	client *kgo.Client // nil until first used
	closed bool        // nothing new is built
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

func (c *cluster) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.client != nil {
		c.client.Close()
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

// offsetsAt is [kafka.OffsetsAt] with the errors that clients are told.
func (c *cluster) offsetsAt(ctx context.Context, isolation string, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	found, err := kafka.OffsetsAt(ctx, client, isolation == readCommitted, at)
	if err != nil {
		return nil, explainMissing(err)
	}
	return found, nil
}

// offsetsOfPresent is offsetsAt where topics that do not exist yet begin and end at 0.
func (c *cluster) offsetsOfPresent(ctx context.Context, isolation string, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	names := make(map[string]struct{})
	for tp := range at {
		names[tp.Topic] = struct{}{}
	}
	present, err := c.topicIDs(ctx, slices.Collect(maps.Keys(names)))
	if err != nil {
		return nil, err
	}
	asked, absent := make(map[TopicPartition]int64), make(map[TopicPartition]int64)
	for tp, time := range at {
		if _, ok := present[tp.Topic]; ok {
			asked[tp] = time
		} else {
			absent[tp] = 0
		}
	}
	found, err := c.offsetsAt(ctx, isolation, asked)
	maps.Copy(absent, found)
	return absent, err
}

// explainMissing names what does not exist in the words of the API.
func explainMissing(err error) *apierr.Error {
	var of *kafka.PartitionError
	switch {
	case !errors.As(err, &of):
		return apierr.From(err)
	case errors.Is(err, kafka.ErrNoPartition):
		return apierr.PartitionNotFound.Wrap(err, "Topic %s has no partition %d.", of.Topic, of.Partition)
	}
	return apierr.TopicNotFound.Wrap(err, "Topic %s does not exist.", of.Topic)
}

// missing makes of the error of a request about the partitions that says that
// something is unknown the one that says what: the topic or just a partition of it.
// Other errors stay what they are.
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
	if missing := kafka.Missing(ctx, client, tps); missing != nil {
		var of *kafka.PartitionError
		if !errors.As(missing, &of) {
			return nil, missing
		}
		return explainMissing(missing), nil
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

// commit stores offsets for a group that this node is no member of at the
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
