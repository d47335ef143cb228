package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
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
	ends, err := v.ends(ctx)
	if err != nil {
		return err
	}
	ends.Each(func(o kadm.ListedOffset) {
		if v.starts[o.Topic] == nil {
			v.starts[o.Topic] = map[int32]int64{}
		}
		v.starts[o.Topic][o.Partition] = max(o.Offset, 0)
	})
	return nil
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

// ends lists where the topics end, waiting for leaders of new partitions.
func (v *verifier) ends(ctx context.Context) (kadm.ListedOffsets, error) {
	for {
		ends, err := v.adm.ListEndOffsets(ctx, v.topics...)
		if err == nil {
			err = ends.Error()
		}
		if err == nil {
			return ends, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot list the offsets of the topics: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// read compares all that came to the topics since prepare with the ledgers.
// The error says why the comparison is not complete.
func (v *verifier) read(ctx context.Context, c *comparison) error {
	bounded, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	ends, err := v.ends(bounded)
	if err != nil {
		return err
	}
	logStarts, err := v.adm.ListStartOffsets(bounded, v.topics...)
	if err != nil {
		return fmt.Errorf("cannot list the offsets of the topics: %w", err)
	}
	from := map[string]map[int32]kgo.Offset{}
	left := map[topicPartition]int64{} // the offset to read up to
	ends.Each(func(end kadm.ListedOffset) {
		at := topicPartition{end.Topic, end.Partition}
		start := v.starts[end.Topic][end.Partition]
		if s, ok := logStarts.Lookup(end.Topic, end.Partition); ok && s.Offset > start {
			start = s.Offset
			c.expiredBelow[at] = start
		}
		if end.Offset <= start {
			return
		}
		if from[end.Topic] == nil {
			from[end.Topic] = map[int32]kgo.Offset{}
		}
		from[end.Topic][end.Partition] = kgo.NewOffset().At(start)
		left[at] = end.Offset
	})
	if len(left) == 0 {
		return nil
	}
	reader, err := kafka.NewAdmin(v.settings,
		kgo.ConsumePartitions(from),
		kgo.FetchMaxWait(250*time.Millisecond),
		kgo.KeepControlRecords()) // they take offsets too
	if err != nil {
		return err
	}
	defer reader.Close()
	return readUpTo(ctx, reader, left, c)
}

// readUpTo reads until every partition has reached its offset in left.
func readUpTo(ctx context.Context, reader *kgo.Client, left map[topicPartition]int64, c *comparison) error {
	for len(left) > 0 {
		poll, cancel := context.WithTimeout(ctx, readPatience)
		fetches := reader.PollFetches(poll)
		cancel()
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, context.DeadlineExceeded) {
				return fmt.Errorf("cannot read the topics back: no record for %v, %d partitions not at their end", readPatience, len(left))
			}
			return fmt.Errorf("cannot read topic %s back: %w", e.Topic, e.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at := topicPartition{r.Topic, r.Partition}
			end, wanted := left[at]
			if !wanted {
				return // came after we looked where the end is
			}
			if r.Offset+1 >= end {
				delete(left, at)
			}
			if !r.Attrs.IsControl() {
				c.record(r)
			}
		})
	}
	return nil
}
