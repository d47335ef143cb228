// Package schema is the client of the schema registry. It turns the schema of a produce request,
// a text or an id, into an encoder, and the id in front of a stored value into a decoder.
//
// It caches schemas, compiled: [Registry.Resolve] and [Registry.Cached] return a cached one
// without allocating. Only a miss asks the registry. Equal look-ups share one (singleflight), on
// a goroutine of its own, so that a request that gives up does not cancel the look-up of the
// others. A negative answer, that something does not exist or is not allowed, is cached too, for
// a short while; an outage of the registry is not. During an outage look-ups fail at once, and a
// probe now and then finds out whether the registry is back (a circuit breaker).
//
// The cache is bounded by number of entries and by their memory, which is estimated from the
// texts: a compiled schema is many times as large. A schema that many entries share, such as one
// text of many topics, is in memory once.
//
// The package never reads records, and formats without a schema do not use it. The [codec.Schema]
// values that it returns are immutable and may be held. Any number of goroutines may use a
// Registry.
//
// Read next: resolve.go for the order of the requests, cache.go for the cache, client.go for
// several URLs and outages, faults.go for the errors that a client sees, formats.go for the
// compilers.
package schema
