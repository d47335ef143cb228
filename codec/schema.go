package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"millrace/internal/apierr"
	"millrace/pool"
)

// Dialect says how values that JSON has no type for are written.
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

// Schema converts between the JSON of requests and answers and the bytes that
// stand behind a schema's id in Kafka. An implementation is immutable and may be
// used by any number of goroutines. Avro's allocates nothing for a record that
// fits; those of JSON Schema and Protobuf rest on libraries that do.
type Schema interface {
	// AppendEncoded appends the bytes of text to dst. The text is one valid
	// JSON value without insignificant white space, as [json.Walker.Value]
	// returns it; it is borrowed. What does not fit the schema is a [*Mismatch];
	// dst's contents behind its length are undefined then.
	AppendEncoded(dst, text []byte, d Dialect) ([]byte, error)
	// AppendDecoded appends the JSON text of payload, which is borrowed, to
	// dst: valid, compact JSON. Bytes that are not of this schema, or go on
	// behind its value, are an error.
	AppendDecoded(dst, payload []byte, d Dialect) ([]byte, error)
}

// Registered is a schema with the id under which its records are written. The
// zero value stands for "none".
type Registered struct {
	ID int32
	Schema
}

// UnknownSchema says that a schema must be asked for before a record can be
// decoded: a look-up that must not wait returns it. It says nothing of the record.
type UnknownSchema struct{ ID int32 }

// Error implements error.
func (e *UnknownSchema) Error() string { return fmt.Sprintf("schema %d is not in the cache", e.ID) }

// Mismatch says where a value is not what its schema wants.
type Mismatch struct {
	// Path leads from the value to the fault, such as ".user.tags[2]"; it is
	// empty for the value itself.
	Path string
	// Problem is a phrase such as `expected int, got "x"`. It may quote a
	// little of the value.
	Problem string
}

// Error implements error.
func (m *Mismatch) Error() string {
	if m.Path == "" {
		return m.Problem
	}
	return m.Path + ": " + m.Problem
}

// ShortPath cuts the beginning of a path that is too long for a message.
func ShortPath(path string) string {
	const most = 400
	if len(path) <= most {
		return path
	}
	cut := len(path) - most
	for cut < len(path) && path[cut] != '.' && path[cut] != '[' {
		cut++
	}
	return "…" + path[cut:]
}

// The frame around a value with a schema, as Confluent's serializers write it:
// a zero byte and the schema's id, big-endian. Then follows the payload.
const (
	frameMagic = 0
	frameSize  = 5
)

// AppendFrame appends what stands before the payload of a value whose schema
// has this id.
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

// EncodeRecords makes of the keys and values in slab, JSON texts as
// [DecodeProduce] leaves them, the bytes that Kafka shall hold: frame and
// payload, appended to arena, which it takes and returns grown. The records have
// views of it then. Nulls stay nil and need no schema. Errors are
// [apierr.Error] values that name the record; the slab is undefined after one.
func EncodeRecords(slab *pool.Slab, arena []byte, key, value Registered, d Dialect) ([]byte, error) {
	var err error
	for i := range slab.Records {
		r := &slab.Records[i]
		if r.Key != nil {
			if key.Schema == nil {
				return arena, apierr.KeySchemaMissing.New("records[%d] has a key, which needs a schema: send key_schema or key_schema_id.", i)
			}
			if arena, r.Key, err = key.appendRecord(arena, r.Key, d); err != nil {
				return arena, misfit(i, "key", err)
			}
		}
		if r.Value != nil {
			if value.Schema == nil {
				return arena, apierr.ValueSchemaMissing.New("records[%d] has a value, which needs a schema: send value_schema or value_schema_id.", i)
			}
			if arena, r.Value, err = value.appendRecord(arena, r.Value, d); err != nil {
				return arena, misfit(i, "value", err)
			}
		}
	}
	return arena, nil
}

// appendRecord returns the arena and the view of what it appended. When the
// arena moves, older views keep its old memory alive: they stay true.
func (s Registered) appendRecord(arena, text []byte, d Dialect) (grown, view []byte, err error) {
	start := len(arena)
	grown, err = s.AppendEncoded(AppendFrame(arena, s.ID), text, d)
	if err != nil {
		return arena, nil, err
	}
	return grown, grown[start:len(grown):len(grown)], nil
}

func misfit(i int, half string, err error) error {
	var m *Mismatch
	if !errors.As(err, &m) {
		return apierr.From(fmt.Errorf("cannot encode records[%d].%s: %w", i, half, err))
	}
	return apierr.BadRequest.New("records[%d].%s%s: %s", i, half, m.Path, m.Problem)
}
