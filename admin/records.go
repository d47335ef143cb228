package admin

import (
	"cmp"
	"context"
	"slices"

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
	for partition := range before {
		if _, answered := answer[topic][partition]; !answered { // its broker has failed, or there is none
			all = append(all, Deleted{TopicPartition: TopicPartition{topic, partition}, Err: failed(cmp.Or(err, error(kerr.UnknownServerError)))})
		}
	}
	slices.SortFunc(all, func(a, b Deleted) int { return a.Compare(b.TopicPartition) })
	return all, nil
}
