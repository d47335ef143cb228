package admin

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The offsets of a partition that [Admin.Offset] finds, beside that of a time in milliseconds.
const (
	Latest       int64 = -1
	Earliest     int64 = -2
	MaxTimestamp int64 = -3 // of the record with the latest timestamp (KIP-734)
)

// Offset is an offset of a partition, with the timestamp of its record if one was asked for by
// time; both are -1 if there is none.
type Offset struct{ Offset, Timestamp int64 }

// Offset returns the offset of the first record at that time or later, or one of the constants.
func (a *Admin) Offset(ctx context.Context, topic string, partition int32, at int64) (Offset, error) {
	if err := a.open(topic); err != nil {
		return Offset{}, err
	}
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, at
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return Offset{}, failed(err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return Offset{}, failed(kerr.UnknownServerError)
	}
	answer := &resp.Topics[0].Partitions[0]
	if err := refused(answer.ErrorCode, nil); err != nil {
		return Offset{}, err
	}
	return Offset{answer.Offset, answer.Timestamp}, nil
}
