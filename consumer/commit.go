package consumer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

// commit is a set of offsets on its way to Kafka, fixed at the time that it
// was asked for. seq orders the commits of one instance by that time: where
// one is overtaken on its way, its late offsets are left out (see sift), so
// that no commit undoes a later one.
type commit struct {
	session *session // nil when the instance had none
	seq     uint64
	entries []commitEntry
	revoked bool  // it is the session's last of its partitions, which move no sooner
	moved   error // an offset was left out that the client has named; nil: none
}

type commitEntry struct {
	TopicPartition
	part     *partition // nil when the session does not have it
	to       mark
	metadata string
	reading  bool // to is one of part's marks, and becomes its committed one
}

// Commit stores offsets in Kafka and returns when it has them. With nil
// offsets these are the positions past all that was answered; otherwise, as
// the v2 API has it, an offset N says that the record at N was processed, so
// that N+1 is what is stored. Errors: [apierr.Unprocessable] for an offset
// that is negative or has no next one, [apierr.TopicNotFound],
// [apierr.PartitionNotFound], what Kafka said, and [apierr.ArrivalUnknown] where
// nil cannot be answered because nobody knows what arrived (see [Passage]).
func (i *Instance) Commit(ctx context.Context, offsets []Offset) error {
	c, err := i.askCommit(ctx, offsets)
	if err != nil {
		return err
	}
	defer i.endCall()
	ctx, cancel := i.bound(ctx, kafkaTimeout)
	defer cancel()
	if err := i.issue(ctx, c); err != nil {
		return i.explain(err)
	}
	return nil
}

// CommitAsync is [Instance.Commit] that does not wait for Kafka: what that
// says of the offsets is only logged.
func (i *Instance) CommitAsync(offsets []Offset) error {
	c, err := i.askCommit(i.m.life, offsets)
	if err != nil {
		return err
	}
	started := i.m.spawn(func() {
		defer i.endCall()
		ctx, cancel := i.bound(i.m.life, kafkaTimeout)
		defer cancel()
		if err := i.issue(ctx, c); err != nil {
			i.m.log.Warn("cannot commit offsets asynchronously", "group", i.group, "instance", i.opts.Name, "err", err)
		}
	})
	if !started {
		i.endCall()
		return apierr.Draining.Err()
	}
	return nil
}

// Committed returns the offsets that the group has committed for the
// partitions, whoever committed them. Partitions without one are left out.
func (i *Instance) Committed(ctx context.Context, tps []TopicPartition) ([]Offset, error) {
	if err := i.m.admitPartitions(slices.Values(tps)); err != nil {
		return nil, err
	}
	if err := i.beginCall(); err != nil {
		return nil, err
	}
	defer i.endCall()
	ctx, cancel := i.bound(ctx, kafkaTimeout)
	defer cancel()
	found, err := i.cluster().committed(ctx, i.group, tps)
	if err != nil {
		return nil, i.explain(err)
	}
	list := make([]Offset, 0, len(found))
	for _, tp := range tps {
		if o, ok := found[tp]; ok {
			list = append(list, o)
			delete(found, tp) // asked for twice
		}
	}
	return list, nil
}

// askCommit begins a call and fixes what it commits, once it is known what
// arrived. The caller must end it when there is no error.
func (i *Instance) askCommit(ctx context.Context, offsets []Offset) (*commit, error) {
	for _, o := range offsets {
		if err := i.m.admitTopic(o.Topic); err != nil {
			return nil, err
		}
		switch {
		case o.Offset < 0, o.Partition < 0:
			return nil, apierr.Unprocessable.New("The offset %d of partition %d of topic %s cannot be committed: neither may be negative.", o.Offset, o.Partition, o.Topic)
		case o.Offset == math.MaxInt64: // the next is negative, and would delete the group's
			return nil, apierr.Unprocessable.New("The offset %d of partition %d of topic %s cannot be committed: there is none after it.", o.Offset, o.Partition, o.Topic)
		}
	}
	if err := i.beginCall(); err != nil {
		return nil, err
	}
	if offsets == nil && !i.awaitPassage(ctx) {
		i.endCall()
		return nil, unsure()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if offsets == nil {
		return i.newCommit(i.session, i.answeredMark()), nil
	}
	i.commitSeq++
	c := &commit{session: i.session, seq: i.commitSeq}
	for _, o := range offsets {
		e := commitEntry{TopicPartition: o.TopicPartition, to: mark{offset: o.Offset + 1, epoch: -1}, metadata: o.Metadata}
		if i.session != nil {
			e.part = i.session.parts[e.TopicPartition]
		}
		if e.part != nil { // now, not when Kafka has it: a commit asked for meanwhile counts
			e.part.committed, e.part.override = noMark, c.seq
		}
		c.entries = append(c.entries, e)
	}
	return c, nil
}

// newCommit fixes what which says of each partition and Kafka does not have
// yet. The caller holds i.mu.
func (i *Instance) newCommit(s *session, which func(*partition) mark) *commit {
	i.commitSeq++
	c := &commit{session: s, seq: i.commitSeq}
	if s != nil {
		for _, p := range s.parts {
			c.add(p, which(p))
		}
	}
	return c
}

func (c *commit) add(p *partition, to mark) {
	if to.offset >= 0 && to != p.committed && !p.outlived {
		c.entries = append(c.entries, commitEntry{TopicPartition: p.TopicPartition, part: p, to: to, reading: true})
	}
}

// issue sends c to Kafka after the commits before it and waits for the answer.
// Positions that it makes void are void in the directory too when it returns:
// who adopted the instance would go back to them.
func (i *Instance) issue(ctx context.Context, c *commit) error {
	err := i.afterJoin(ctx, c, func() error {
		if err := acquire(ctx, i.commits); err != nil {
			return err
		}
		defer func() { <-i.commits }()
		return i.send(ctx, c)
	})
	if err == nil {
		err = i.record(ctx)
	}
	if err != nil {
		return err
	}
	return c.moved
}

// send does the work of issue. The caller holds i.commits.
func (i *Instance) send(ctx context.Context, c *commit) error {
	i.mu.Lock()
	err := c.sift()
	late := c.session != nil && c.session.left
	i.mu.Unlock()
	if err != nil || len(c.entries) == 0 {
		return err
	}
	if late {
		return apierr.IllegalState.New("The subscription or assignment was replaced before its offsets were committed.")
	}
	if c.session != nil && c.session.subscribed() {
		err = i.commitAsMember(ctx, c)
	} else {
		err = i.commitAlone(ctx, c.entries)
	}
	if err != nil {
		i.m.counts.commitsFailed.Add(1)
		return i.cluster().missing(ctx, c.partitions(), err)
	}
	i.m.counts.committed.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, e := range c.entries {
		i.committedAt(e.TopicPartition, e.to.offset, c.seq)
		if e.part != nil {
			e.part.stored, e.part.commitSeq = e.to.offset, c.seq
		}
		switch {
		case e.reading && c.seq > e.part.override:
			e.part.committed = e.to
		case e.part != nil:
			e.part.committed = noMark
		}
	}
	return nil
}

// commitAlone commits without a membership that Kafka could tell this node
// by from one that has taken the instance over: so only while it may act for
// the instance, and not a moment longer.
func (i *Instance) commitAlone(ctx context.Context, entries []commitEntry) error {
	if d := i.m.deps.Directory; d != nil {
		until, err := d.Lease(i.group, i.opts.Name)
		if err != nil {
			return err
		}
		var cancel func()
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	err := i.cluster().commit(ctx, i.group, entries)
	if needsRejoin(err) {
		return apierr.IllegalState.Wrap(err, "The group %s has members, so Kafka takes its offsets from them only. Subscribe this consumer instance, or use another group.", i.group)
	}
	return err
}

func (c *commit) partitions() []TopicPartition {
	tps := make([]TopicPartition, len(c.entries))
	for n, e := range c.entries {
		tps[n] = e.TopicPartition
	}
	return tps
}

// sift leaves out the offsets of partitions for which a commit that was asked
// for later went first, and of those that the group has taken from the session
// since: whoever has them now, or had them in between, may be further on. The error
// says that the group has yet to say who has them. The caller holds the instance's mu.
func (c *commit) sift() error {
	if err := c.settle(); err != nil {
		return err
	}
	c.entries = slices.DeleteFunc(c.entries, func(e commitEntry) bool {
		return e.part != nil && e.part.commitSeq > c.seq
	})
	return nil
}

// settle does the part of sift that is about what the group has assigned since.
func (c *commit) settle() error {
	s := c.session
	if s == nil || !s.subscribed() || c.revoked {
		return nil
	}
	for _, e := range c.entries {
		now := s.parts[e.TopicPartition]
		again := now != nil && now != e.part
		if e.part != nil && !s.ended && (now == nil && (s.between || !s.joined) || again && !now.placed) {
			return fmt.Errorf("cannot commit the offset of %s: %w", e.TopicPartition, kerr.RebalanceInProgress)
		}
	}
	c.entries = slices.DeleteFunc(c.entries, func(e commitEntry) bool {
		return e.part != nil && c.hasMoved(e)
	})
	for n, e := range c.entries {
		if e.part != nil {
			c.entries[n].part = s.parts[e.TopicPartition]
		}
	}
	return nil
}

// hasMoved reports whether another member has, or had, the partition of an entry since the
// commit was asked for. If the group has what it had then, nobody else has come further.
func (c *commit) hasMoved(e commitEntry) bool {
	now := c.session.parts[e.TopicPartition]
	if now != nil && (now == e.part || now.stored <= e.to.offset || now.stored == e.part.stored) {
		return false
	}
	if !e.reading {
		c.moved = apierr.IllegalState.New("Partition %d of topic %s went to another member of the group before its offset was committed.", e.Partition, e.Topic)
	}
	return true
}

// commitAsMember commits with the membership of c's session in its group.
func (i *Instance) commitAsMember(ctx context.Context, c *commit) error {
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	for _, e := range c.entries {
		if offsets[e.Topic] == nil {
			offsets[e.Topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[e.Topic][e.Partition] = kgo.EpochOffset{Offset: e.to.offset, Epoch: e.to.epoch}
	}
	// The library has waited for a join by now, and lets none begin before the answer. And it would
	// store its member id as every offset's metadata.
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		i.mu.Lock()
		defer i.mu.Unlock()
		if err := c.sift(); err != nil {
			return err
		}
		c.fill(req)
		return nil
	})
	var failed error
	c.session.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if failed = err; err != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					failed = fmt.Errorf("partition %d of topic %s: %w", p.Partition, t.Topic, err)
				}
			}
		}
	})
	if failed != nil {
		return fmt.Errorf("cannot commit offsets: %w", failed)
	}
	return nil
}

// fill has a request commit the metadata of the entries, and nothing that is none of them.
func (c *commit) fill(req *kmsg.OffsetCommitRequest) {
	metadata := make(map[TopicPartition]string, len(c.entries))
	for _, e := range c.entries {
		metadata[e.TopicPartition] = e.metadata
	}
	topics := req.Topics[:0]
	for _, t := range req.Topics {
		kept := t.Partitions[:0]
		for _, p := range t.Partitions {
			if text, ok := metadata[TopicPartition{Topic: t.Topic, Partition: p.Partition}]; ok {
				p.Metadata = kmsg.StringPtr(text)
				kept = append(kept, p)
			}
		}
		if t.Partitions = kept; len(kept) > 0 {
			topics = append(topics, t)
		}
	}
	req.Topics = topics
}

// autoCommitDue reports whether auto-commit shall look at the instance now.
func (i *Instance) autoCommitDue(now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.opts.AutoCommit || i.closed != nil || i.session == nil || now.Sub(i.lastCommit) < i.m.settings.AutoCommitInterval {
		return false
	}
	i.lastCommit = now
	return true
}

// autoCommit commits what was confirmed since the last time. A commit that
// fails is tried again an interval later, with what is newer by then.
func (i *Instance) autoCommit() {
	i.mu.Lock()
	c := i.newCommit(i.session, (*partition).confirmedMark)
	i.mu.Unlock()
	if len(c.entries) == 0 {
		return
	}
	ctx, cancel := i.bound(i.m.life, kafkaTimeout)
	defer cancel()
	if err := i.issue(ctx, c); err != nil && i.life.Err() == nil {
		i.m.log.Warn("cannot auto-commit offsets", "group", i.group, "instance", i.opts.Name, "err", err)
	}
}
