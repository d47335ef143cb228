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
	// NullsAreTombstones stores a null as a null of Kafka although the request names a schema
	// (null.request.body.always.publishes.empty.record). Without it the schema encodes the null, or
	// refuses it.
	NullsAreTombstones bool
	// Strict responds as today's Confluent proxy where millrace is more helpful
	// (api.compatibility.strict).
	Strict bool
}
