package codec

import (
	"encoding/binary"
	"fmt"
)

// Dialect is how values are written that JSON has no type for.
type Dialect uint8

const (
	// Tagged is each format's own JSON encoding, which every client of the
	// Confluent proxy knows: Avro unions as {"string":"s"}, bytes as Latin-1.
	Tagged Dialect = iota
	// Plain is what people write by hand: "s" where only one branch of a union
	// fits, decimals as numbers, times as ISO 8601. It differs for Avro only.
	Plain
)

// ParseDialect returns the dialect of that name, "tagged" or "plain".
func ParseDialect(name string) (d Dialect, ok bool) {
	switch name {
	case "tagged":
		return Tagged, true
	case "plain":
		return Plain, true
	}
	return 0, false
}

// Schema converts between the JSON of requests and responses and the bytes that stand behind a
// schema's id in Kafka. An implementation is immutable and may be used by any number of
// goroutines. Avro's allocates nothing for a record that fits the schema; those of JSON Schema
// and Protobuf use libraries that allocate.
type Schema interface {
	// AppendEncoded appends the bytes of text to dst. The text is one valid JSON value without
	// insignificant white space, as [json.Walker.Value] returns it; it is borrowed. A text that
	// does not fit the schema is a [*Mismatch]; one that costs more than b has left is
	// [ErrOverBudget]; dst's contents behind its length are undefined then. AppendEncoded spends
	// the effort of b; of the bytes it only sees to it that it appends not many more. b may be
	// nil, see [Budget.Left].
	AppendEncoded(dst, text []byte, d Dialect, b *Budget) ([]byte, error)
	// AppendDecoded appends the JSON text of payload, which is borrowed, to dst: valid, compact
	// JSON. Bytes that are not of this schema, and bytes behind its value, are an error.
	AppendDecoded(dst, payload []byte, d Dialect) ([]byte, error)
}

// Registered is a schema with the id under which its records are written. The
// zero value stands for "none".
type Registered struct {
	ID int32
	Schema
}

// UnknownSchema reports that a schema must be looked up before a record can be decoded: a look-up
// that must not wait returns it. It does not mean that the record is undecodable.
type UnknownSchema struct{ ID int32 }

// Error implements error.
func (e *UnknownSchema) Error() string { return fmt.Sprintf("schema %d is not in the cache", e.ID) }

// The frame around a value with a schema, as Confluent's serializers write it, is a zero byte and
// the schema's id, big-endian. The payload follows.
const (
	frameMagic = 0
	frameSize  = 5
)

// AppendFrame appends the frame that precedes the payload of a value whose schema has this id.
func AppendFrame(dst []byte, id int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, frameMagic), uint32(id))
}

// CutFrame returns the schema id and the payload of a stored value, a view; ok
// is false when it has no frame.
func CutFrame(b []byte) (id int32, payload []byte, ok bool) {
	if len(b) < frameSize || b[0] != frameMagic {
		return 0, nil, false
	}
	return int32(binary.BigEndian.Uint32(b[1:])), b[frameSize:], true
}
