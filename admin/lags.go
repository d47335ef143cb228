package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// Lag is how far a group is behind the end of one partition.
type Lag struct {
	TopicPartition
	// Member has the partition; nil: nobody.
	Member *Member
	// Current is the offset that the group has committed, or a share group's start; End is that
	// after the last record that is not part of an open transaction.
	Current, End int64
}

// Behind returns how many offsets the group is behind.
func (l *Lag) Behind() int64 { return max(0, l.End-l.Current) }

// Lags returns the lag of a group in each partition where it has an offset, sorted. It takes one
// request to the coordinator, and one to each broker that leads a partition.
func (a *Admin) Lags(ctx context.Context, g *Group) ([]Lag, error) {
	offsets, err := a.GroupOffsets(ctx, g)
	if err != nil {
		return nil, err
	}
	if len(offsets) == 0 {
		return nil, apierr.NotFound.New("Consumer group %s has no offsets.", g.ID)
	}
	var topics []string
	for p := range offsets {
		if !slices.Contains(topics, p.Topic) {
			topics = append(topics, p.Topic)
		}
	}
	ends, err := within(ctx, func() (kadm.ListedOffsets, error) { return a.kadm.ListCommittedOffsets(ctx, topics...) })
	if err != nil && len(ends) == 0 {
		return nil, failed(err)
	}
	has := map[TopicPartition]*Member{}
	for i := range g.Members {
		for _, p := range g.Members[i].Assigned {
			has[p] = &g.Members[i]
		}
	}
	var all []Lag
	for p, current := range offsets {
		end, ok := ends.Lookup(p.Topic, p.Partition)
		if !ok && err != nil && !aboutPartitions(err) {
			return nil, failed(err)
		}
		if !ok || end.Err != nil { // a topic that was deleted, or a partition without a leader
			continue
		}
		all = append(all, Lag{p, has[p], current, end.Offset})
	}
	slices.SortFunc(all, func(a, b Lag) int { return a.Compare(b.TopicPartition) })
	return all, nil
}

// aboutPartitions reports whether an error is only about partitions that are not there or have no
// leader, and no broker has failed.
func aboutPartitions(err error) bool {
	var shards *kadm.ShardErrors
	return errors.As(err, &shards) && !slices.ContainsFunc(shards.Errs, func(s kadm.ShardError) bool {
		return !errors.Is(s.Err, kerr.LeaderNotAvailable) && !errors.Is(s.Err, kerr.UnknownTopicOrPartition)
	})
}

// GroupOffsets returns the offsets that a group has committed, or at which a share group starts.
func (a *Admin) GroupOffsets(ctx context.Context, g *Group) (map[TopicPartition]int64, error) {
	all := map[TopicPartition]int64{}
	put := func(topic string, partition int32, offset int64, err error) {
		if err == nil && offset >= 0 && a.open(topic) == nil {
			all[TopicPartition{topic, partition}] = offset
		}
	}
	if g.Type == Share {
		found, err := within(ctx, func() (kadm.DescribedShareGroupsOffsets, error) {
			return a.kadm.DescribeShareGroupOffsets(ctx, g.ID)
		})
		if err == nil {
			err = found[g.ID].Err
		}
		if err != nil {
			return nil, failed(err)
		}
		for _, partitions := range found[g.ID].Offsets {
			for _, o := range partitions {
				put(o.Topic, o.Partition, o.StartOffset, o.Err)
			}
		}
		return all, nil
	}
	found, err := within(ctx, func() (kadm.OffsetResponses, error) { return a.kadm.FetchOffsets(ctx, g.ID) })
	if err != nil {
		return nil, failed(err)
	}
	found.Each(func(o kadm.OffsetResponse) { put(o.Topic, o.Partition, o.At, o.Err) })
	return all, nil
}
