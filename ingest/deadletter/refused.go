package deadletter

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// Refused is a record that Kafka refused when the spool sent it, as it is shown.
type Refused struct {
	Time  time.Time `json:"time"`
	Route string    `json:"route,omitempty"`
	Topic string    `json:"topic"`
	// Key is the record's as text, KeyBytes where it is none; so are Text and Bytes of the value.
	Key      string `json:"key,omitempty"`
	KeyBytes []byte `json:"key_base64,omitempty"`
	Text     string `json:"event,omitempty"`
	Bytes    []byte `json:"event_base64,omitempty"`
}

// RefusedOf returns a record of a route, refused at that time, as it is shown.
func RefusedOf(r *kgo.Record, route string, at time.Time) Refused {
	s := Refused{Time: at.UTC(), Route: route, Topic: r.Topic}
	if utf8.Valid(r.Key) {
		s.Key = string(r.Key)
	} else {
		s.KeyBytes = r.Key
	}
	if utf8.Valid(r.Value) {
		s.Text = string(r.Value)
	} else {
		s.Bytes = r.Value
	}
	return s
}

// Writer writes records to their topics again.
type Writer struct{ client *kgo.Client }

// NewWriter returns a writer to the brokers. The caller closes it.
func NewWriter(brokers kafka.Settings) (*Writer, error) {
	client, err := kafka.NewAdmin(brokers, kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}), kgo.ProducerLinger(0), kgo.RecordDeliveryTimeout(patience))
	if err != nil {
		return nil, err
	}
	return &Writer{client}, nil
}

// Write returns when all in-sync replicas have the record.
func (w *Writer) Write(ctx context.Context, r *kgo.Record) error {
	if err := w.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("cannot write to the topic %s: %w", r.Topic, err)
	}
	return nil
}

// Close ends the writer.
func (w *Writer) Close() { w.client.Close() }

// partitioner keeps the partition that a record names. Others go by their keys, as those of Java's
// producer.
type partitioner struct{ kgo.Partitioner }

// ForTopic implements [kgo.Partitioner].
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.Partitioner.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

// RequiresConsistency implements [kgo.TopicPartitioner].
func (p topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || p.TopicPartitioner.RequiresConsistency(r)
}

// Partition implements [kgo.TopicPartitioner].
func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 && int(r.Partition) < n {
		return int(r.Partition)
	}
	return p.TopicPartitioner.Partition(r, n)
}
