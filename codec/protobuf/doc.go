// Package protobuf converts between JSON and Protobuf messages whose schema, the text of a .proto
// file, is known at run time only: proto2, proto3 and edition 2023.
//
// A payload is what Confluent's serializers write behind the schema's id: which message of the
// file it is, as a path of indexes, then the message (indexes.go). Records are encoded as the
// first message of the file, because the API has no means to name another; any message is
// decoded.
//
// The JSON is proto3's mapping, by the official library, as the Confluent proxy has it: names in
// lowerCamelCase (requests may also have them as declared); 64-bit integers as strings; bytes as
// base64; fields that cannot be absent are written even with their default value; a member that
// the message does not have is an error. Decoded fields that the schema does not have are left
// out. An Any can hold the messages of the schema's own files. The library writes white space at
// random, so that clients cannot rely on it; this package removes it.
//
// A schema comes from anyone who may produce, so it is bounded before it is parsed (limits.go),
// and nothing is loaded: imports find the references that came with it, google/protobuf/*.proto,
// and those in the folder known, which Confluent's registry has too. It may also be a descriptor
// in base64, or have its maps written out, which registries hand out (serialized.go). Nesting of
// messages is bounded by 100, both ways, as in Java, and the JSON of a decoded message by 64 MiB.
//
// A [Schema] is immutable and may be used by any number of goroutines. The library works by
// reflection on messages, so a record costs a message and a few allocations for each of its
// fields, both ways.
//
// Read next: schema.go; compile.go compiles schemas, descriptor.go converts descriptors to text,
// mismatch.go explains values that do not fit.
package protobuf
