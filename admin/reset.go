package admin

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// Reset tells where the offsets of a group are to be moved.
type Reset struct {
	// To is one of the constants below.
	To ResetTo
	// Timestamp is in milliseconds, for ToTimestamp. Shift is what is added, for ByShift.
	Timestamp, Shift int64
	// Topics bound the reset to these, with all their partitions; none: to the partitions where the
	// group has offsets.
	Topics []string
	// Offsets are the new ones, for ToOffsets.
	Offsets map[TopicPartition]int64
}

// ResetTo is a way to move offsets.
type ResetTo uint8

// The ways to move offsets.
const (
	ToEarliest  ResetTo = iota // to the first record
	ToLatest                   // to the end
	ToTimestamp                // to the first record at that time or later
	ByShift                    // by a number of offsets, within those that there are
	ToOffsets                  // to given ones
)

// Move is the change of a group's offset in one partition.
type Move struct {
	TopicPartition
	// From is the offset until now, -1 for none.
	From, To int64
}

// PlanReset returns how a reset would move the offsets of the group, sorted. It changes nothing.
func (a *Admin) PlanReset(ctx context.Context, g *Group, r Reset) ([]Move, error) {
	for _, topic := range r.Topics {
		if err := a.open(topic); err != nil {
			return nil, err
		}
	}
	current, err := a.GroupOffsets(ctx, g)
	if err != nil {
		return nil, err
	}
	targets, err := a.resetTargets(ctx, r, current)
	if err != nil {
		return nil, err
	}
	var all []Move
	for p, to := range targets {
		if _, has := current[p]; !has && r.To != ToOffsets && len(r.Topics) == 0 {
			continue
		}
		if err := a.open(p.Topic); err != nil {
			return nil, err
		}
		from, ok := current[p]
		if !ok {
			from = -1
		}
		all = append(all, Move{p, from, to})
	}
	if len(all) == 0 {
		return nil, apierr.NotFound.New("There are no offsets of group %s to move: name topics that exist.", g.ID)
	}
	slices.SortFunc(all, func(a, b Move) int { return a.Compare(b.TopicPartition) })
	return all, nil
}

// resetTargets returns the offset to move to in each partition.
func (a *Admin) resetTargets(ctx context.Context, r Reset, current map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	if r.To == ToOffsets {
		return r.Offsets, a.exist(ctx, slices.SortedFunc(maps.Keys(r.Offsets), TopicPartition.Compare))
	}
	topics := r.Topics
	if len(topics) == 0 {
		for p := range current {
			topics = append(topics, p.Topic)
		}
		slices.Sort(topics)
		topics = slices.Compact(topics)
	}
	if len(topics) == 0 {
		return nil, nil
	}
	list := func(of func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[TopicPartition]int64, error) {
		found, err := within(ctx, func() (kadm.ListedOffsets, error) { return of(ctx, topics...) })
		if err == nil {
			err = found.Error()
		}
		if err != nil {
			return nil, failed(err)
		}
		offsets := map[TopicPartition]int64{}
		found.Each(func(o kadm.ListedOffset) { offsets[TopicPartition{o.Topic, o.Partition}] = o.Offset })
		return offsets, nil
	}
	switch r.To {
	case ToEarliest:
		return list(a.kadm.ListStartOffsets)
	case ToLatest:
		return list(a.kadm.ListEndOffsets)
	case ToTimestamp:
		return list(func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return a.kadm.ListOffsetsAfterMilli(ctx, r.Timestamp, topics...)
		})
	}
	starts, err := list(a.kadm.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	ends, err := list(a.kadm.ListEndOffsets)
	if err != nil {
		return nil, err
	}
	shifted := map[TopicPartition]int64{}
	for p, from := range current {
		if slices.Contains(topics, p.Topic) {
			to := from + min(r.Shift, math.MaxInt64-from) // at most the greatest number
			shifted[p] = min(max(to, starts[p]), ends[p])
		}
	}
	return shifted, nil
}

// exist returns an error if one of partitions, which are sorted, does not exist: Kafka would refuse
// its offset and move the others.
func (a *Admin) exist(ctx context.Context, partitions []TopicPartition) error {
	var names []string
	for _, p := range partitions {
		if err := a.open(p.Topic); err != nil {
			return err
		}
		names = append(names, p.Topic)
	}
	described, err := a.describe(ctx, slices.Compact(names), false)
	if err != nil {
		return err
	}
	topics := map[string]*Topic{}
	for i := range described {
		if name := described[i].Topic; name != nil {
			if topics[*name], err = newTopic(*name, &described[i]); err != nil {
				return err
			}
		}
	}
	for _, p := range partitions {
		t := topics[p.Topic]
		if t == nil {
			return failed(kerr.UnknownServerError)
		}
		if _, err := t.Partition(p.Partition); err != nil {
			return err
		}
	}
	return nil
}

// MoveOffsets moves the offsets of a group, which must have no members: their next commit would
// undo it. Kafka refuses it otherwise.
func (a *Admin) MoveOffsets(ctx context.Context, g *Group, moves []Move) error {
	if len(g.Members) > 0 {
		return apierr.KafkaInvalid.New("Group %s has %d members. Its offsets can be moved when they have left.", g.ID, len(g.Members))
	}
	var offsets kadm.Offsets
	for _, m := range moves {
		offsets.AddOffset(m.Topic, m.Partition, m.To, -1)
	}
	if g.Type == Share {
		answer, err := within(ctx, func() (kadm.AlterShareGroupOffsetsResponses, error) {
			return a.kadm.AlterShareGroupOffsets(ctx, g.ID, offsets)
		})
		if err == nil {
			err = answer.Error()
		}
		return failed(err)
	}
	answer, err := within(ctx, func() (kadm.OffsetResponses, error) { return a.kadm.CommitOffsets(ctx, g.ID, offsets) })
	if err == nil {
		err = answer.Error()
	}
	return failed(err)
}

// DeleteGroup deletes a group that has no members, with its offsets.
func (a *Admin) DeleteGroup(ctx context.Context, id string) error {
	answer, err := within(ctx, func() (kadm.DeleteGroupResponses, error) { return a.kadm.DeleteGroups(ctx, id) })
	if err != nil {
		return failed(err)
	}
	switch g := answer[id]; g.Err {
	case nil:
		return nil
	case kerr.GroupIDNotFound:
		return apierr.NotFound.Wrap(g.Err, "Consumer group %s cannot be found.", id)
	case kerr.NonEmptyGroup:
		return apierr.KafkaInvalid.Wrap(g.Err, "Group %s has members. It can be deleted when they have left.", id)
	default:
		return apierr.FromKafka(g.Err, g.ErrMessage)
	}
}

// DeleteOffsets deletes the offsets of a group in a topic: in all partitions where it has one, or
// in one that is not negative.
func (a *Admin) DeleteOffsets(ctx context.Context, g *Group, topic string, partition int32) error {
	if err := a.open(topic); err != nil {
		return err
	}
	if g.Type == Share && partition >= 0 {
		return apierr.KafkaInvalid.New("Kafka deletes the offsets of a share group by topic, not by partition: DELETE the offsets of %s.", topic)
	}
	if g.Type == Share {
		answer, err := within(ctx, func() (kadm.DeleteShareGroupOffsetsResponses, error) {
			return a.kadm.DeleteShareGroupOffsets(ctx, g.ID, topic)
		})
		if err == nil {
			err = answer.Error()
		}
		return failed(err)
	}
	current, err := a.GroupOffsets(ctx, g)
	if err != nil {
		return err
	}
	var set kadm.TopicsSet
	for p := range current {
		if p.Topic == topic && (partition < 0 || partition == p.Partition) {
			set.Add(p.Topic, p.Partition)
		}
	}
	if len(set) == 0 {
		return apierr.NotFound.New("Group %s has no such offset in topic %s.", g.ID, topic)
	}
	answer, err := within(ctx, func() (kadm.DeleteOffsetsResponses, error) { return a.kadm.DeleteOffsets(ctx, g.ID, set) })
	if err == nil {
		err = answer.Error()
	}
	return failed(err)
}

// ParseResetTo returns the way of that name.
func ParseResetTo(name string) (ResetTo, bool) {
	at := slices.Index([]string{"earliest", "latest", "timestamp", "shift", "offsets"}, strings.ToLower(name))
	return ResetTo(max(0, at)), at >= 0
}
