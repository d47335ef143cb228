package testkit

import (
	"context"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// EncodeBatch returns the bytes of a batch as a producer sends it. It sets the fields that all
// batches have alike, and those that follow from others: the length and the checksum.
func EncodeBatch(b kmsg.RecordBatch) []byte {
	const uncounted, unchecked = 12, 21 // bytes that the length and the checksum leave out
	b.PartitionLeaderEpoch, b.Magic = -1, 2
	b.Length = int32(len(b.AppendTo(nil)) - uncounted)
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[unchecked:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// ProduceRequest returns a request that writes a batch, see [EncodeBatch], for tests that mind what
// is in a batch: the library's producer decides that by itself. Its topic is named, so the client
// must not have a version of the request above 12.
func ProduceRequest(topic string, partition int32, batch []byte) *kmsg.ProduceRequest {
	to := kmsg.NewProduceRequestTopicPartition()
	to.Partition, to.Records = partition, batch
	of := kmsg.NewProduceRequestTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, to)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.Topics = -1, 10_000, append(req.Topics, of)
	return req
}

// SendProduce sends a request of [ProduceRequest] to the leader of its partition, and returns why
// the batch is not written.
func SendProduce(ctx context.Context, leader *kgo.Broker, req *kmsg.ProduceRequest) error {
	resp, err := req.RequestWith(ctx, leader)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
