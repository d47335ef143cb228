package rest

import "millrace/server"

// The bounds of what clients ask for in one call.
const (
	// maxPattern bounds a topic_pattern. The compiled form has a bound too, which package consumer
	// holds.
	maxPattern = 4 << 10
	// maxMetadata bounds what is stored beside an offset: Kafka's default of
	// offset.metadata.max.bytes.
	maxMetadata = 4 << 10
	// maxTopics bounds the topics of a subscription, maxPartitions the
	// partitions, offsets and timestamps of one call.
	maxTopics, maxPartitions = 2000, 5000
	// maxKeys bounds the keys that a stream is filtered by, maxKey each of them.
	maxKeys, maxKey = 1000, 4 << 10
)

// The bodies of requests that are not records. Those of records are bounded by
// package codec.
var (
	instanceFields = server.Fields{
		{Name: "name", Max: server.MaxName},
		{Name: "id", Max: server.MaxName},
		{Name: "format", Max: server.MaxWord},
		{Name: "auto.offset.reset", Max: server.MaxWord},
		{Name: "isolation.level", Max: server.MaxWord},
		{Name: "auto.commit.enable", Max: server.MaxWord},
		{Name: "fetch.min.bytes", Max: server.MaxWord},
		{Name: "consumer.request.timeout.ms", Max: server.MaxWord},
		{Name: "on.decode.error", Max: server.MaxWord},
	}
	subscriptionFields = server.Fields{{Name: "topics", Max: maxTopics, Each: server.MaxName}, {Name: "topic_pattern", Max: maxPattern}}
	partitionFields    = server.Fields{{Name: "topic", Max: server.MaxName}, {Name: "partition", Max: server.MaxWord}}
	partitionsFields   = server.Fields{{Name: "partitions", Max: maxPartitions, Of: partitionFields}}
	offsetFields       = append(partitionFields[:2:2], server.Field{Name: "offset", Max: server.MaxWord}, server.Field{Name: "metadata", Max: maxMetadata})
	timestampFields    = append(partitionFields[:2:2], server.Field{Name: "timestamp", Max: server.MaxWord})
	offsetsFields      = server.Fields{{Name: "offsets", Max: maxPartitions, Of: offsetFields}}
	positionsFields    = append(offsetsFields[:1:1], server.Field{Name: "timestamps", Max: maxPartitions, Of: timestampFields})
)
