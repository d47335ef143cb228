package rest

import (
	"time"

	"millrace/codec"
)

// Settings of the v1 and v2 API.
type Settings struct {
	// MaxRecords bounds the records of one produce request.
	MaxRecords int
	// StreamHeartbeat is how long a stream may be silent (0: without a bound).
	StreamHeartbeat time.Duration
	// Avro is the default dialect of Avro's JSON, for media types without the parameter avro, as
	// in application/vnd.kafka.avro.v2+json; avro=plain (avro.dialect).
	Avro codec.Dialect
	// Strict responds as today's Confluent proxy where millrace is more helpful
	// (api.compatibility.strict).
	Strict bool
}
