package kafka

import (
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
)

// AnyPartition in [kgo.Record.Partition] leaves the choice to [Partitioner].
const AnyPartition = -1

// recordOverhead is about the size of a record in a batch besides its bytes. It makes empty
// records count, so that they rotate over the partitions too.
const recordOverhead = 8

// Partitioner chooses partitions as Kafka's Java producer does:
//
//   - a record whose Partition is not negative goes there, or fails if the partition does not
//     exist ([ProduceError]);
//   - a key that is not nil, even an empty one, is hashed with murmur2 over all partitions,
//     whether or not they have a leader, so that keys are assigned as by Java;
//   - other records stay on one partition for stickyBytes and then move to the next that has a
//     leader (after KIP-794), which makes full batches and is even over time. The first partition
//     is random, so that many nodes do not start in step.
//
// It allocates nothing per record.
func Partitioner(stickyBytes int) kgo.Partitioner { return partitioner{stickyBytes} }

type partitioner struct{ stickyBytes int }

func (p partitioner) ForTopic(string) kgo.TopicPartitioner {
	return &topicPartitioner{stickyBytes: p.stickyBytes, sticky: int(rand.Uint32() >> 1)}
}

// topicPartitioner holds the choice for one topic. The client calls it under
// the topic's lock, so its fields need none. It must never implement
// kgo.TopicPartitionerOnNewBatch: the client would then hold that lock while
// it buffers, and all connections that produce to the topic would queue.
type topicPartitioner struct {
	stickyBytes int
	sticky      int // index of the current partition; modulo the count, which may change
	bytes       int // given to it so far
}

// RequiresConsistency makes the client offer all partitions, not only those
// that can be written to at the moment.
func (*topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || r.Key != nil
}

// Partition returns the index among the n offered partitions.
func (t *topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		asked := int(r.Partition)
		if asked >= n { // the client fails it with an untyped error; see ProduceError
			r.Partition = ^r.Partition
		}
		return asked
	}
	if r.Key != nil {
		return int(murmur2(r.Key)&0x7fffffff) % n
	}
	pick := t.sticky % n
	t.bytes += recordOverhead + len(r.Value)
	for i := range r.Headers {
		t.bytes += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	if t.bytes >= t.stickyBytes {
		t.sticky, t.bytes = pick+1, 0
	}
	return pick
}

// ProduceError returns the error of a produce promise: [ErrNoPartition] for a record whose
// requested partition its topic does not have, else err. The client's metadata may be older than
// the metadata cache's, so the partition may also have been added a moment ago.
//
// [Partitioner] has marked such a record, because the client's error has no type: the record's
// Partition is the complement of the requested one, and so below AnyPartition. Partition 0 needs
// no mark; each topic has it.
func ProduceError(r *kgo.Record, err error) error {
	if err != nil && r.Partition < AnyPartition {
		return ErrNoPartition
	}
	return err
}

// AskedPartition returns the partition that was requested for a record that failed with
// [ErrNoPartition].
func AskedPartition(r *kgo.Record) int32 { return ^r.Partition }

// murmur2 is Kafka's hash of a key (org.apache.kafka.common.utils.Utils), the
// 32-bit MurmurHash2 with the seed that Kafka chose.
func murmur2(key []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := uint32(key[0]) | uint32(key[1])<<8 | uint32(key[2])<<16 | uint32(key[3])<<24
		k *= m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
