// Package jsonschema validates JSON records against JSON Schema: drafts 4, 6, 7, 2019-09 and
// 2020-12, as "$schema" names them, and draft 7, as in Confluent's serializers, where it is
// missing or names no draft.
//
// A produced text is validated and then stored as it was sent, byte for byte. A fetched one must
// be JSON, and is returned without white space; it is not validated, as Confluent's deserializers
// do not by default: every stored JSON text can be read. Of members of one name the last one is
// validated, which is also the one that readers see.
//
// Formats are asserted up to draft 7 and are annotations afterwards, contentEncoding and
// contentMediaType are always annotations, and custom drafts are not supported. Of
// JSON-Schema-Test-Suite's cases for the five drafts hardly anything else differs.
//
// A schema comes from anyone who may produce, so nothing in it is trusted. No URL and no file is
// ever loaded: a $ref finds what is inside the schema, the references that came with it, and the
// meta-schemas of the drafts. Patterns are run by RE2, whose time is linear (pattern.go);
// look-around and back-references, which RE2 has not, are an error of the schema. Length, nesting
// and number of parts are bounded, and so is the work of one validation (limits.go), because a
// schema of a few lines can otherwise double its work at each level of a value.
//
// A [Schema] may be used by any number of goroutines. The library that validates works on values,
// so an encoded record costs a tree of them and a few allocations for each member; decoding costs
// none. One validation counts its steps within the compiled schema, so each concurrent validation
// has a compiled schema of its own, which is pooled for the next.
//
// Read next: schema.go, then compile.go; explain.go turns faults into messages.
package jsonschema
