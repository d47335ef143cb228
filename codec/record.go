package codec

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec/binary"
	"millrace/codec/json"
	"millrace/internal/apierr"
)

// Layout says where the topic stands among the members of a record.
type Layout uint8

// The layouts.
const (
	TopicFirst Layout = iota // v2: {"topic":"t","key":…,"value":…,"partition":0,"offset":0}
	TopicLast                // consumers of v1: {"key":…,"value":…,"partition":0,"offset":0,"topic":"t"}
	NoTopic                  // the simple consumer of v1, where the path has it
)

// Extras are how the records of an answer differ from those of the plain v2 one.
type Extras struct {
	// Layout is the order of the members.
	Layout Layout
	// Headers adds "headers":[{"key":"…","value":"base64"}].
	Headers bool
	// Timestamp adds "timestamp":ms since 1970.
	Timestamp bool
}

// AppendRecord appends r as one element of an answer, such as
//
//	{"topic":"t","key":…,"value":…,"partition":0,"offset":0}
//
// to dst, with key and value in format f. When they are not in that format it
// returns dst as it was and an [apierr.Undecodable] error that says which
// record and which half of it. It borrows r and dst.
func AppendRecord(dst []byte, r *kgo.Record, f Format, x Extras) ([]byte, error) {
	start := len(dst)
	dst = append(dst, '{')
	if x.Layout == TopicFirst {
		dst = append(dst, `"topic":"`...)
		dst = append(dst, r.Topic...) // Kafka's topic names need no escapes
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"key":`...)
	dst, ok := appendDatum(dst, r.Key, f)
	if !ok {
		return dst[:start], undecodable(r, "key", f)
	}
	dst = append(dst, `,"value":`...)
	if dst, ok = appendDatum(dst, r.Value, f); !ok {
		return dst[:start], undecodable(r, "value", f)
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

// appendDatum appends one key or value; ok is false when b is not in format f.
func appendDatum(dst, b []byte, f Format) (_ []byte, ok bool) {
	switch {
	case b == nil:
		return append(dst, "null"...), true
	case f == Binary:
		return binary.Append(dst, b), true
	default:
		if !json.Valid(b) {
			return dst, false
		}
		return append(dst, b...), true
	}
}

func appendHeaders(dst []byte, headers []kgo.RecordHeader) []byte {
	dst = append(dst, `,"headers":[`...)
	for i := range headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"key":`...)
		dst = apierr.AppendJSONString(dst, headers[i].Key)
		dst = append(dst, `,"value":`...)
		dst, _ = appendDatum(dst, headers[i].Value, Binary)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func undecodable(r *kgo.Record, half string, f Format) error {
	return apierr.Undecodable.New("The %s of the record at offset %d of partition %d of topic %s is not %s. Seek past it to read on.",
		half, r.Offset, r.Partition, r.Topic, f)
}
