// Package avro converts between JSON text and Avro binary. A schema is compiled
// once ([Compile]); its [Schema] implements codec.Schema and is shared by all.
//
// Encoding walks the JSON text once and appends binary; decoding walks binary once
// and appends JSON. Neither builds values, uses reflection or allocates; only an
// error does. The library that parses schemas is used in compile.go alone, so that
// it can be changed.
//
// The dialect codec.Tagged is Avro's own JSON encoding as Java's JsonDecoder and
// JsonEncoder (1.12) have it, so that it can stand in for the Confluent proxy. Where
// the two part, it is on purpose:
//
//   - Members that the schema does not have are ignored wherever they stand; Java
//     wants them behind the others. A member that comes twice counts where it comes
//     last, as in the proxy.
//   - Numbers are exact or refused: Java rounds 1.00000001 to the int 1, and makes
//     Infinity of 1e400. What is whole is an integer: 1.0, 1e3.
//   - "NaN", "Infinity" and "-Infinity", which Java writes, can be read again.
//   - A character past U+00FF in bytes or fixed is refused; Java stores '?'.
//   - Half of a surrogate pair becomes U+FFFD; Java stores '?'.
//   - The members of a map keep their order, also those of the same name.
//   - A value in a tag stands alone: {"string":"a","int":1} is refused.
//   - Binary is checked: texts must be UTF-8, booleans 0 or 1, ints 32 bits, and
//     nothing may follow the value.
//
// Fields that have a default must come all the same: Java's decoder has no defaults.
// A schema that is just bytes (of any logical type) has no length before its
// bytes, as Confluent's serializers write and read it.
//
// What comes from outside is bounded: nesting ([json.MaxDepth]), values that take no
// bytes (an array of 2^40 nulls is two bytes of a block), bytes moved to bring members
// into order. Nothing is allocated for a length or a count that is only claimed.
//
// Read next: encode.go and record.go, then decode.go.
package avro
