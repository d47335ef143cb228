package codec

import (
	"errors"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec/binary"
	"millrace/codec/json"
	"millrace/internal/apierr"
)

// Layout is the position of the topic among the members of a record.
type Layout uint8

// The layouts.
const (
	TopicFirst Layout = iota // v2: {"topic":"t","key":…,"value":…,"partition":0,"offset":0}
	TopicLast                // consumers of v1: {"key":…,"value":…,"partition":0,"offset":0,"topic":…}
	NoTopic                  // the simple consumer of v1, which has the topic in its path
)

// Extras are the differences between the records of a response and those of the plain v2 one.
type Extras struct {
	// Layout is the order of the members.
	Layout Layout
	// Headers adds "headers":[{"key":"…","value":"base64"}].
	Headers bool
	// Timestamp adds "timestamp":ms since 1970.
	Timestamp bool
	// Dialect is how values with a schema are written.
	Dialect Dialect
	// Schemas returns the schema of an id for a format that needs one. It may wait for the
	// registry only where the caller may. A nil Schemas means that no schemas exist.
	Schemas func(f Format, id SchemaID) (Schema, error)
}

// AppendRecord appends r as one element of a response, such as
//
//	{"topic":"t","key":…,"value":…,"partition":0,"offset":0}
//
// to dst, with key and value in format f. When they are not in that format it returns dst as it
// was and an [apierr.Undecodable] error that names the record and which half of it. It borrows r
// and dst.
func AppendRecord(dst []byte, r *kgo.Record, f Format, x Extras) ([]byte, error) {
	start := len(dst)
	dst = append(dst, '{')
	if x.Layout == TopicFirst {
		dst = append(dst, `"topic":"`...)
		dst = append(dst, r.Topic...) // Kafka's topic names need no escapes
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"key":`...)
	dst, err := x.appendDatum(dst, r, r.Key, keySchemaHeader, f)
	if err != nil {
		return dst[:start], undecodable(r, "key", f, err)
	}
	dst = append(dst, `,"value":`...)
	if dst, err = x.appendDatum(dst, r, r.Value, valueSchemaHeader, f); err != nil {
		return dst[:start], undecodable(r, "value", f, err)
	}
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	if x.Layout == TopicLast {
		dst = append(dst, `,"topic":"`...)
		dst = append(dst, r.Topic...)
		dst = append(dst, '"')
	}
	if x.Headers {
		dst = appendHeaders(dst, r.Headers)
	}
	if x.Timestamp {
		dst = append(dst, `,"timestamp":`...)
		dst = strconv.AppendInt(dst, r.Timestamp.UnixMilli(), 10)
	}
	return append(dst, '}'), nil
}

// appendDatum appends b, the key or value of r; header is the one that may name its schema.
func (x *Extras) appendDatum(dst []byte, r *kgo.Record, b []byte, header string, f Format) ([]byte, error) {
	switch {
	case b == nil:
		return append(dst, "null"...), nil
	case f == Binary:
		return binary.Append(dst, b), nil
	case f == JSON:
		if !json.Valid(b) {
			return dst, errNotJSON
		}
		return append(dst, b...), nil
	}
	if x.Schemas == nil {
		return dst, errNoFrame
	}
	parts, err := cutDatum(r, b, header)
	if err != nil {
		return dst, err
	}
	schema, err := x.Schemas(f, parts.id)
	if err != nil {
		return dst, err
	}
	return parts.appendDecoded(dst, schema, x.Dialect)
}

var errNotJSON = errors.New("it is not JSON")

func appendHeaders(dst []byte, headers []kgo.RecordHeader) []byte {
	dst = append(dst, `,"headers":[`...)
	for i := range headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"key":`...)
		dst = json.AppendString(dst, headers[i].Key)
		dst = append(dst, `,"value":`...)
		if value := headers[i].Value; value == nil {
			dst = append(dst, "null"...)
		} else {
			dst = binary.Append(dst, value)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// undecodable reports which half of r cannot be decoded and why. An error of the schema's
// look-up, such as that of an unreachable registry, keeps its kind.
func undecodable(r *kgo.Record, half string, f Format, why error) error {
	var unknown *UnknownSchema
	if errors.As(why, &unknown) {
		return unknown
	}
	var known *apierr.Error
	if errors.As(why, &known) && known.Kind != apierr.Undecodable {
		return known
	}
	because := ""
	if known != nil {
		because = ": " + strings.TrimSuffix(known.Message(), ".")
	} else if f.NeedsSchema() {
		because = ": " + why.Error()
	}
	return apierr.Undecodable.Wrap(why, "The %s of the record at offset %d of partition %d of topic %s is not %s%s. Seek past it to read on.",
		half, r.Offset, r.Partition, r.Topic, f, because)
}
