package batch

import (
	"time"

	"millrace/internal/kafka"
)

// Settings of the produce side.
type Settings struct {
	// BufferBytes bounds the memory held for requests that Kafka has not acked
	// (producer.buffer.memory). A request that would exceed it is refused at once.
	BufferBytes int64
	// Linger is the longest that a request waits for others to share a batch with
	// (producer.linger.ms). It waits only while records are in flight.
	Linger time.Duration
	// BatchBytes bounds one record batch before compression, its header included. 0 is the larger
	// of producer.batch.size and producer.max.request.size: records that fit a request need not
	// wait for the next.
	BatchBytes int
	// Timeout is how long a request waits for Kafka before it is answered
	// with 504. Its records may still be written after that.
	Timeout time.Duration
}

// settings are those of the produce side together with those of Kafka's producer.
type settings struct {
	Settings
	kafka.Producer
	BatchBytes  int // of Settings
	StickyBytes int // of keyless records that go to one partition: BatchBytes of Producer
}

func (s Settings) with(k kafka.Producer) settings {
	all := settings{Settings: s, Producer: k.WithDefaults(), BatchBytes: s.BatchBytes}
	all.StickyBytes = all.Producer.BatchBytes
	if all.BatchBytes <= 0 {
		all.BatchBytes = max(all.Producer.BatchBytes, all.MaxRequestBytes)
	}
	return all
}
