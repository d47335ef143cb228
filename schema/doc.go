// Package schema is the client of the schema registry: it turns what a produce
// request says of its schemas, text or an id, into something that encodes, and
// the id in front of a stored value into something that decodes.
//
// What it has found out it keeps, compiled: [Registry.Resolve] and
// [Registry.Cached] answer from memory without allocating. Only what is not
// there asks the registry, one look-up at a time for the same question, on a
// goroutine of its own, so that a request which gives up takes nobody's answer
// away. That something does not exist, or is not allowed, is remembered too, for
// a short while; that the registry did not answer is not. While it is away,
// questions fail at once and one of them now and then finds out whether it is
// back.
//
// What is kept is bounded by number and by the memory that it takes, which is told
// from the texts: a compiled schema is many times as large. A schema that many
// answers share, such as one text of many topics, is in memory once.
//
// It never looks at records, and nothing of it is used by the formats that need
// no schema. The [codec.Schema] values that it returns are immutable and may be
// kept. Any number of goroutines may use a Registry.
//
// Read next: resolve.go for what is asked in which order, cache.go for what is
// remembered, client.go for several URLs and outages, faults.go for what of all
// that a client of ours sees, formats.go for who compiles.
package schema
