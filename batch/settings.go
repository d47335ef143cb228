package batch

import "time"

// Settings of the produce side.
type Settings struct {
	// BufferBytes bounds the memory held for requests that Kafka has not
	// answered (producer.buffer.memory). A request that would exceed it is
	// refused at once.
	BufferBytes int64
	// Timeout is how long a request waits for Kafka before it is answered
	// with 504. Its records may still be written after that.
	Timeout time.Duration
}
