package batch

import "time"

// Settings of the produce side.
type Settings struct {
	// BufferBytes bounds the memory held for requests that Kafka has not acked
	// (producer.buffer.memory). A request that would exceed it is refused at once.
	BufferBytes int64
	// Linger is the longest that a request waits for others to share a batch with
	// (producer.linger.ms). It waits only while records are in flight.
	Linger time.Duration
	// BatchBytes is the number of waiting bytes that are flushed without waiting for more: the
	// size of one full batch.
	BatchBytes int
	// Timeout is how long a request waits for Kafka before it is answered
	// with 504. Its records may still be written after that.
	Timeout time.Duration
}
