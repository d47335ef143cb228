package admin

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// Deleted is a partition whose first records were deleted.
type Deleted struct {
	TopicPartition
	// Low is the offset of the first record that is left.
	Low int64
	Err error
}

// DeleteRecords deletes the records of partitions of a topic before an offset, [Latest] for all of
// them.
func (a *Admin) DeleteRecords(ctx context.Context, topic string, before map[int32]int64) ([]Deleted, error) {
	if err := a.open(topic); err != nil {
		return nil, err
	}
	var offsets kadm.Offsets
	for partition, offset := range before {
		offsets.AddOffset(topic, partition, offset, -1)
	}
	answer, err := within(ctx, func() (kadm.DeleteRecordsResponses, error) { return a.kadm.DeleteRecords(ctx, offsets) })
	if err != nil && len(answer) == 0 {
		return nil, failed(err)
	}
	var all []Deleted
	for _, r := range answer.Sorted() {
		d := Deleted{TopicPartition: TopicPartition{r.Topic, r.Partition}, Low: r.LowWatermark}
		switch {
		case r.Err == kerr.OffsetOutOfRange:
			d.Err = apierr.KafkaInvalid.Wrap(r.Err, "The offset is not one of partition %d of topic %s.", r.Partition, r.Topic)
		case r.Err != nil:
			d.Err = failed(r.Err)
		}
		all = append(all, d)
	}
	return all, nil
}

// ElectLeaders has the preferred replica of each partition become its leader, or with unclean any
// replica that is left, which may lose records. Nil: of all partitions. It returns the partitions
// that were not elected for; those whose leader is right already are not among them.
func (a *Admin) ElectLeaders(ctx context.Context, of map[string][]int32, unclean bool) (map[TopicPartition]error, error) {
	how := kadm.ElectPreferredReplica
	if unclean {
		how = kadm.ElectLiveReplica
	}
	var set kadm.TopicsSet
	for topic, partitions := range of {
		if err := a.open(topic); err != nil {
			return nil, err
		}
		set.Add(topic, partitions...)
	}
	results, err := within(ctx, func() (kadm.ElectLeadersResults, error) { return a.kadm.ElectLeaders(ctx, how, set) })
	if err != nil {
		return nil, failed(err)
	}
	failures := map[TopicPartition]error{}
	for topic, partitions := range results {
		for id, r := range partitions {
			if r.Err != nil && r.Err != kerr.ElectionNotNeeded {
				failures[TopicPartition{topic, id}] = apierr.FromKafka(r.Err, r.ErrMessage)
			}
		}
	}
	a.changed()
	return failures, nil
}

// Reassign moves a partition to other brokers, the preferred leader first; nil cancels what is
// under way.
func (a *Admin) Reassign(ctx context.Context, p TopicPartition, brokers []int32) error {
	if err := a.open(p.Topic); err != nil {
		return err
	}
	var req kadm.AlterPartitionAssignmentsReq
	if brokers == nil {
		req.CancelAssign(p.Topic, p.Partition)
	} else {
		req.Assign(p.Topic, p.Partition, brokers)
	}
	answer, err := within(ctx, func() (kadm.AlterPartitionAssignmentsResponses, error) {
		return a.kadm.AlterPartitionAssignments(ctx, req)
	})
	if err != nil {
		return failed(err)
	}
	r := answer[p.Topic][p.Partition]
	a.changed()
	return apierr.FromKafka(r.Err, r.ErrMessage)
}
