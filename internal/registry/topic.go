package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// topicName is the topic of Confluent's registry too.
const topicName = "_schemas"

// topic is the compacted topic with the state. It is created with the first record, so that a
// cluster without schemas does not get the topic. One goroutine at a time may append.
type topic struct {
	client *kgo.Client
	exists bool
}

func openTopic(brokers []string, log *slog.Logger) (*topic, error) {
	client, err := kafka.NewAdmin(kafka.Settings{Brokers: brokers, ClientID: "millrace-schema-registry", Logger: log},
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	return &topic{client: client}, nil
}

// create creates the topic with the settings of Confluent's registry.
func (t *topic) create(ctx context.Context) error {
	compact := "compact"
	_, err := kadm.NewClient(t.client).CreateTopic(ctx, 1, -1, map[string]*string{"cleanup.policy": &compact}, topicName)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("cannot create the topic %s: %w", topicName, err)
	}
	t.exists = true
	return nil
}

func (t *topic) close() { t.client.Close() }

// replay calls f with each record that is in the topic now, in order.
func (t *topic) replay(ctx context.Context, f func(*kgo.Record)) error {
	adm := kadm.NewClient(t.client)
	starts, err := adm.ListStartOffsets(ctx, topicName)
	if err == nil {
		err = starts.Error()
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot find the start of %s: %w", topicName, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topicName)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("cannot find the end of %s: %w", topicName, err)
	}
	t.exists = true
	start, _ := starts.Lookup(topicName, 0)
	end, _ := ends.Lookup(topicName, 0)
	if start.Offset >= end.Offset {
		return nil
	}
	t.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topicName: {0: kgo.NewOffset().At(start.Offset)}})
	defer t.client.PurgeTopicsFromConsuming(topicName)
	// Compaction leaves the last record alone: next gets to the end.
	for next := start.Offset; next < end.Offset; {
		fetches := t.client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("cannot read %s: %w", topicName, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			f(r)
			next = r.Offset + 1
		})
	}
	return nil
}

// append writes changes; they are in Kafka when it returns nil. After an error
// some of them may still get there.
func (t *topic) append(ctx context.Context, changes ...change) error {
	if !t.exists {
		if err := t.create(ctx); err != nil {
			return err
		}
	}
	records := make([]*kgo.Record, len(changes))
	for i, c := range changes {
		key, value, err := c.encode()
		if err != nil {
			return fmt.Errorf("cannot encode a %s record: %w", c.key.Kind, err)
		}
		records[i] = &kgo.Record{Topic: topicName, Key: key, Value: value}
	}
	if err := t.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("cannot write to %s: %w", topicName, err)
	}
	return nil
}
