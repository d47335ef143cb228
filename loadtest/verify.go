package loadtest

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
	"millrace/internal/lab"
)

const (
	// readPatience ends the reading back when no record came for that long.
	readPatience = 20 * time.Second
	// prepareTimeout bounds what is asked of the brokers before a run.
	prepareTimeout = 15 * time.Second
)

// verifier reads the topics of a run back from the brokers.
type verifier struct {
	settings kafka.Settings
	client   *kgo.Client
	adm      *kadm.Client
	topics   []string
	starts   map[string]map[int32]int64 // ends of the partitions before the run
}

func newVerifier(s kafka.Settings, topics []string) (*verifier, error) {
	client, err := kafka.NewAdmin(s)
	if err != nil {
		return nil, err
	}
	return &verifier{settings: s, client: client, adm: kadm.NewClient(client), topics: topics, starts: map[string]map[int32]int64{}}, nil
}

func (v *verifier) close() { v.client.Close() }

// prepare creates the topics that do not exist, so that their creation is not
// part of the load, and notes where all of them end.
func (v *verifier) prepare(ctx context.Context, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	found, err := v.adm.ListTopics(ctx, v.topics...)
	if err != nil {
		return fmt.Errorf("cannot reach the brokers: %w", err)
	}
	for _, topic := range v.topics {
		if found.Has(topic) {
			continue
		}
		// -1 is the cluster's default. Where we may not create topics the
		// proxy's first request might.
		_, _ = v.adm.CreateTopic(ctx, int32(partitions), -1, nil, topic)
	}
	spans, err := v.extent(ctx)
	for _, s := range spans {
		if v.starts[s.Topic] == nil {
			v.starts[s.Topic] = map[int32]int64{}
		}
		v.starts[s.Topic][s.Partition] = max(s.To, 0)
	}
	return err
}

// place has a consumer group begin where the topic ended in prepare, so that
// whatever it is not given from there on was kept from it. It must be new.
func (v *verifier) place(ctx context.Context, group, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	var at kadm.Offsets
	for partition, offset := range v.starts[topic] {
		at.AddOffset(topic, partition, offset, -1)
	}
	done, err := v.adm.CommitOffsets(ctx, group, at)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("cannot have consumer group %s begin at the end of topic %s: %w", group, topic, err)
	}
	return nil
}

// extent looks up what the topics hold, waiting for leaders of new partitions.
func (v *verifier) extent(ctx context.Context) ([]lab.Span, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	return lab.AwaitExtent(ctx, v.adm, v.topics...)
}

// read compares all that came to the topics since prepare with the ledgers.
// The error says why the comparison is not complete.
func (v *verifier) read(ctx context.Context, c *comparison) error {
	spans, err := v.extent(ctx)
	if err != nil {
		return err
	}
	for i := range spans {
		s := &spans[i]
		if start := v.starts[s.Topic][s.Partition]; s.From > start {
			c.expiredBelow[topicPartition{s.Topic, s.Partition}] = s.From
		} else {
			s.From = start
		}
	}
	back := lab.ReadBack{Patience: readPatience, Dial: func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kafka.NewAdmin(v.settings, opts...)
	}}
	return back.Read(ctx, spans, func(r *kgo.Record) bool {
		c.record(r)
		return true
	})
}
