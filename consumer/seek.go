package consumer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// placing is how long a seek waits for the Kafka client to start with a
// partition that the group has just assigned, and between two looks.
const (
	placing     = 5 * time.Second
	placingLook = 2 * time.Millisecond
)

// Seek moves the positions of partitions: to an offset, or to the first record that is not
// older than a timestamp, the end where there is none. Of two entries for a partition the later
// one counts, timestamps after offsets. Records fetched from the old positions are dropped.
// Metadata has no meaning here. A first assignment that the group has yet to make is waited
// for. Errors: [apierr.IllegalState] for a partition that is not assigned,
// [apierr.Unprocessable] for a negative offset; then nothing was moved.
func (i *Instance) Seek(ctx context.Context, offsets []Offset, times []Timestamp) error {
	to := make(map[TopicPartition]int64, len(offsets)+len(times))
	for _, o := range offsets {
		if o.Offset < 0 {
			return apierr.Unprocessable.New("The offset %d of partition %d of topic %s is negative.", o.Offset, o.Partition, o.Topic)
		}
		to[o.TopicPartition] = o.Offset
	}
	at := make(map[TopicPartition]int64, len(times))
	for _, t := range times {
		at[t.TopicPartition] = max(t.At.UnixMilli(), 0) // negative ones have a meaning of their own
		delete(to, t.TopicPartition)
	}
	return i.seek(ctx, to, at)
}

// SeekToBeginning moves partitions to their first record; all that are
// assigned when there are none in tps. Errors as of [Instance.Seek].
func (i *Instance) SeekToBeginning(ctx context.Context, tps []TopicPartition) error {
	return i.seekToEdge(ctx, tps, kafka.StartOfLog)
}

// SeekToEnd moves partitions past their last record of now; all that are
// assigned when there are none in tps. Errors as of [Instance.Seek].
func (i *Instance) SeekToEnd(ctx context.Context, tps []TopicPartition) error {
	return i.seekToEdge(ctx, tps, kafka.EndOfLog)
}

func (i *Instance) seekToEdge(ctx context.Context, tps []TopicPartition, edge int64) error {
	if len(tps) == 0 {
		waiting, cancel := i.bound(ctx, kafkaTimeout)
		defer cancel()
		err := i.awaitAssignment(waiting, nil)
		if err != nil {
			return i.explain(err)
		}
		if tps, err = i.Assignment(); err != nil {
			return err
		}
	}
	at := make(map[TopicPartition]int64, len(tps))
	for _, tp := range tps {
		at[tp] = edge
	}
	return i.seek(ctx, make(map[TopicPartition]int64), at)
}

// seek moves partitions to the offsets in to, which it takes, and to those
// that at asks for by time.
func (i *Instance) seek(ctx context.Context, to, at map[TopicPartition]int64) error {
	if err := i.m.admitMoves(to, at); err != nil {
		return err
	}
	if err := i.beginCall(); err != nil {
		return err
	}
	defer i.endCall()
	if len(to)+len(at) == 0 {
		return nil
	}
	ctx, cancel := i.bound(ctx, kafkaTimeout)
	defer cancel()
	if err := i.awaitAssignment(ctx, slices.AppendSeq(slices.Collect(maps.Keys(to)), maps.Keys(at))); err != nil {
		return i.explain(err)
	}
	i.mu.Lock()
	s := i.session
	err := errors.Join(s.has(maps.Keys(to)), s.has(maps.Keys(at)))
	i.mu.Unlock()
	if err != nil {
		return apierr.From(err)
	}
	found, err := i.cluster().offsetsAt(ctx, i.opts.IsolationLevel, at)
	if err != nil {
		return i.explain(err)
	}
	maps.Copy(to, found)

	moved := maps.Clone(to) // move empties it
	i.mu.Lock()
	if err = s.move(ctx, to); err == nil {
		s.sought(moved)
	}
	i.commitSeq++
	seq := i.commitSeq
	i.mu.Unlock()
	if err != nil {
		return err
	}
	return i.recordSeek(ctx, moved, seq)
}

// TakeBack undoes the last answer, if that went by another node and is not
// known to have arrived: its records come again. A read that is going on, whose
// answer nobody will get, is waited for.
func (i *Instance) TakeBack(ctx context.Context) error {
	if err := i.beginCall(); err != nil {
		return err
	}
	defer i.endCall()
	ctx, cancel := i.bound(ctx, i.opts.RequestTimeout+kafkaTimeout)
	defer cancel()
	if err := acquire(ctx, i.lease); err != nil {
		return i.explain(err)
	}
	defer func() { <-i.lease }()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.session == nil || i.passage == nil || !i.isLost() {
		return nil
	}
	return i.session.takeBack(ctx)
}

// takeBack moves the positions to where they were before the last answer. The
// caller holds the lease and the instance's mu, which is released while waiting.
func (s *session) takeBack(ctx context.Context) error {
	s.inst.forgetLosses()
	to := make(map[TopicPartition]int64)
	s.unread(to)
	if len(to) == 0 {
		return nil
	}
	return s.move(ctx, to)
}

// unread empties the page and adds to to where its partitions are to be read
// again. The caller holds the instance's mu.
func (s *session) unread(to map[TopicPartition]int64) {
	for _, p := range s.page {
		p.onPage = false
		s.unreadOne(p, to)
	}
	s.page = s.page[:0]
}

func (s *session) unreadOne(p *partition, to map[TopicPartition]int64) {
	switch {
	case s.parts[p.TopicPartition] != p: // revoked since
	case p.confirmed.offset >= 0:
		to[p.TopicPartition] = p.confirmed.offset
	default:
		to[p.TopicPartition] = p.start
	}
}

// move sets the positions of partitions and has the Kafka client go on from
// there. The caller holds the instance's mu, which is released while waiting.
func (s *session) move(ctx context.Context, to map[TopicPartition]int64) error {
	i := s.inst
	i.holdPolls()
	defer i.releasePolls()
	if i.closed != nil {
		return i.closed
	}
	if s.ended {
		return apierr.IllegalState.New("The subscription or assignment was replaced during the seek.")
	}
	if err := s.has(maps.Keys(to)); err != nil { // a rebalance may have come in between
		return err
	}
	for tp, offset := range to {
		s.parts[tp].seek(offset)
	}
	s.backlog.drop(func(p *partition) bool { _, ok := to[p.TopicPartition]; return ok })
	s.failed = nil // it comes again unless the seek has cured it
	return s.placeClient(ctx, to)
}

// placeClient has the Kafka client go on with partitions at offsets. It takes
// to. The caller holds the polls, and the instance's mu, which is released while
// waiting.
func (s *session) placeClient(ctx context.Context, to map[TopicPartition]int64) error {
	switch {
	case s.subscribed():
		return s.setOffsets(ctx, to)
	case s.client != nil:
		// Not SetOffsets, which passes over partitions that the client has
		// not begun to read.
		remove := make(map[string][]int32)
		add := make(map[string]map[int32]kgo.Offset)
		for tp, offset := range to {
			remove[tp.Topic] = append(remove[tp.Topic], tp.Partition)
			addOffset(add, tp, offset)
		}
		s.client.RemoveConsumePartitions(remove)
		s.client.AddConsumePartitions(add)
	}
	return nil
}

// setOffsets sets the positions of partitions in the client of a subscription.
// The client skips a partition that the group is taking away, so setOffsets
// checks which ones it took, and waits until the others are revoked or set.
// Partitions not yet placed start where they were moved to. The caller holds
// the instance's mu, which is released while waiting.
func (s *session) setOffsets(ctx context.Context, to map[TopicPartition]int64) error {
	i := s.inst
	ctx, cancel := context.WithTimeout(ctx, placing)
	defer cancel()
	for {
		set := make(map[string]map[int32]kgo.EpochOffset)
		for tp, offset := range to {
			if p := s.parts[tp]; p == nil || !p.placed { // nil: revoked meanwhile, as after the seek
				delete(to, tp)
				continue
			}
			if set[tp.Topic] == nil {
				set[tp.Topic] = make(map[int32]kgo.EpochOffset)
			}
			set[tp.Topic][tp.Partition] = kgo.EpochOffset{Offset: offset, Epoch: -1}
		}
		s.client.SetOffsets(set)
		s.dropSet(to)
		if len(to) == 0 {
			return nil
		}
		i.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(placingLook):
		}
		i.mu.Lock()
		switch {
		case i.closed != nil:
			return i.closed
		case ctx.Err() != nil:
			return apierr.KafkaRetriable.Wrap(ctx.Err(), "The group is still assigning the partitions. Try again.")
		case s.ended:
			return nil
		}
	}
}

// dropSet removes from to the positions that the client of a subscription has
// taken. kgo (since 1.22.3) lists such a position as uncommitted, until the
// group has a commit of the same offset; then it lists it as committed. The
// order matters: a commit that completes between the two calls moves a position
// from the first list to the second, and the other order would miss it.
func (s *session) dropSet(to map[TopicPartition]int64) {
	uncommitted, committed := s.client.UncommittedOffsets(), s.client.CommittedOffsets()
	maps.DeleteFunc(to, func(tp TopicPartition, offset int64) bool {
		for _, listed := range []map[string]map[int32]kgo.EpochOffset{uncommitted, committed} {
			if at, ok := listed[tp.Topic][tp.Partition]; ok && at.Offset == offset {
				return true
			}
		}
		return false
	})
}
