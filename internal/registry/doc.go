// Package registry is the schema registry inside `millrace dev`, for development and tests:
// Confluent's REST API over one process, real checks of Avro, JSON Schema and Protobuf, and no
// access control.
//
// Its state is in the compacted topic _schemas of its broker, in the records of Confluent's own
// registry. [Start] reads the topic from its beginning into the store; a change is in the topic
// before it is in the store, and in the store before the response is sent. One registry writes a
// topic: a second one would not see what the first has written since its start.
//
// One mutex, Registry.writing, orders all changes from their checks to their end; look-ups only
// take the store's lock, for as long as they copy pointers. A *version never changes, so that the
// result of a look-up needs no lock.
//
// The node's codecs decide which schemas are valid, so that this registry accepts the schemas
// that millrace accepts. Package codec/avro decides which Avro schemas are compatible, by the
// rules of Java's library. For Protobuf, protobuf_compat.go has the rules of Confluent's
// registry. For JSON Schema, jsonschema_compat.go decides whether the new schema takes every
// value of the old one, which it can for the keywords of data types, and counts a change of any
// other (pattern, not, if, tuples, ...) as incompatible. Normalisation rewrites the texts of JSON
// Schema only; those of the two others are kept as sent, and compared in normalised form.
//
// franz-go's srfake, which has the same API, is an oracle of the tests and not the base of this
// package: it cannot put a known id at a given version, so that nothing but the log of a topic
// without compaction and deletions could be replayed into it; a subject that was deleted can
// never be registered again; every schema is compatible; and members of a request that it does
// not know are errors.
//
// It has one context, ".": a subject named :.ctx:name is a subject of that name. Rule sets and
// metadata of schemas are kept and shown, not enforced.
//
// Read next: register.go, then store.go and topic.go; routes.go is the API.
package registry
