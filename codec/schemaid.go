package codec

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// SchemaID identifies the schema of a stored value: by the number that a registry gave it, or,
// where that is 0, by its GUID, which is the same in all registries.
type SchemaID struct {
	Number int32
	GUID   [guidSize]byte
}

// String returns the number, or the GUID as RFC 9562 writes it.
func (id SchemaID) String() string {
	if id.GUID == ([guidSize]byte{}) {
		return strconv.Itoa(int(id.Number))
	}
	b := hex.AppendEncode(make([]byte, 0, 36), id.GUID[:4])
	for _, part := range [...][]byte{id.GUID[4:6], id.GUID[6:8], id.GUID[8:10], id.GUID[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return string(b)
}

// UnknownSchema reports that a schema must be looked up before a record can be decoded: a look-up
// that must not wait returns it. It does not mean that the record is undecodable.
type UnknownSchema struct{ ID SchemaID }

// Error implements error.
func (e *UnknownSchema) Error() string { return fmt.Sprintf("schema %s is not in the cache", e.ID) }

// The frame around a value with a schema, as Confluent's serializers write it, is a zero byte and
// the number of the schema, big-endian. The payload follows. Their readers also take a one and a
// GUID. Serializers that write no frame put either of the two into a header.
const (
	frameMagic = 0
	frameSize  = 5
	guidMagic  = 1
	guidSize   = 16
)

// The headers that say the schema of a key and of a value, as HeaderSchemaIdSerializer of
// Confluent's clients writes them.
const (
	keySchemaHeader   = "__key_schema_id"
	valueSchemaHeader = "__value_schema_id"
)

// These errors tell why the schema of stored bytes is not known.
var (
	errNoFrame  = errors.New("it does not begin with a zero byte and a schema id")
	errNoHeader = errors.New("its header with the schema id has neither a zero byte and a number nor a one and a GUID")
)

// AppendFrame appends the frame that precedes the payload of a value whose schema has this id.
func AppendFrame(dst []byte, id int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, frameMagic), uint32(id))
}

// cutSchemaID returns the schema id that b begins with, and the rest of b.
func cutSchemaID(b []byte) (id SchemaID, rest []byte, ok bool) {
	switch {
	case len(b) >= frameSize && b[0] == frameMagic:
		return SchemaID{Number: int32(binary.BigEndian.Uint32(b[1:]))}, b[frameSize:], true
	case len(b) > guidSize && b[0] == guidMagic:
		return SchemaID{GUID: [guidSize]byte(b[1:])}, b[1+guidSize:], true
	}
	return SchemaID{}, nil, false
}

// framed are the parts of a stored key or value, which are views of its record.
type framed struct {
	id SchemaID
	// kind says which type of the schema the payload is, if that stands in a header; else the
	// payload says it.
	kind, payload []byte
}

// cutDatum finds the schema of b, the key or the value of r. The last header of the name counts, as
// in Java; one that is null does not.
func cutDatum(r *kgo.Record, b []byte, header string) (f framed, err error) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		h := &r.Headers[i]
		if h.Key != header {
			continue
		}
		if h.Value == nil {
			break
		}
		var ok bool
		if f.id, f.kind, ok = cutSchemaID(h.Value); !ok {
			return f, errNoHeader
		}
		f.payload = b
		return f, nil
	}
	var ok bool
	if f.id, f.payload, ok = cutSchemaID(b); !ok {
		return f, errNoFrame
	}
	return f, nil
}

// appendDecoded appends the JSON text of f, by its schema.
func (f *framed) appendDecoded(dst []byte, s Schema, d Dialect) ([]byte, error) {
	if split, ok := s.(SplitSchema); ok && f.kind != nil {
		return split.AppendSplit(dst, f.kind, f.payload)
	}
	return s.AppendDecoded(dst, f.payload, d)
}
