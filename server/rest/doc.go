// Package rest holds the resources of the v1 and v2 API. Each resource is a struct of the parts
// that it uses, made by a New function, and returns its routes:
//
//   - [Produce] (produce.go) writes records.
//   - [Metadata] (metadata.go, changes.go) describes the Kafka cluster.
//   - [Consumers] (consumers.go, consumers_v1.go, consumer_bodies.go) manages consumer instances.
//   - [Direct] (direct.go) reads a partition without an instance.
//   - [Streams] (streams.go) reads topics without an end.
//
// All share one [Media] (media.go, media_records.go, media_cache.go), the media types of the two
// versions.
//
// A handler parses the request, calls a package that does the work (batch, consumer, metadata),
// and appends the response to the buffer of the connection. It holds no Kafka logic and writes no
// error: it returns one, and the edge renders it.
//
// A handler must not keep the RequestCtx, or a view of the request, after it returns. Only the
// body of a produce request outlives the handler: its ownership moves into its [batch.Job].
package rest
