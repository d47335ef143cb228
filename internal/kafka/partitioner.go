package kafka

// AnyPartition in [kgo.Record.Partition] leaves the choice to the producer.
const AnyPartition = -1

// KeyPartition returns the partition, of n, that Kafka's Java producer gives a record with a key:
// by the hash of the key over all partitions, whether or not they have a leader.
func KeyPartition(key []byte, n int) int32 { return int32(int(murmur2(key)&0x7fffffff) % n) }

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
