package server

import (
	"bytes"
	"unicode/utf8"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// The bounds of what clients name. They are checked while a request is parsed,
// before anything is done with it or kept of it.
const (
	// maxName bounds the names of groups, instances, topics and settings, in
	// characters. Kafka bounds topics and group.instance.id so.
	maxName = 249
	// maxPattern bounds a topic_pattern. What it compiles to has a bound too,
	// which package consumer holds.
	maxPattern = 4 << 10
	// maxMetadata bounds what is stored beside an offset: Kafka's default of
	// offset.metadata.max.bytes.
	maxMetadata = 4 << 10
	// maxTopics bounds the topics of a subscription, maxPartitions the
	// partitions, offsets and timestamps of one call.
	maxTopics, maxPartitions = 2000, 5000
	// maxWord bounds a number, a time, or one of a few words.
	maxWord = 64
	// maxMembers bounds the members of one object, repeated ones too.
	maxMembers = 1000
	// maxKeys bounds the keys that a stream is filtered by, maxKey each of them.
	maxKeys, maxKey = 1000, 4 << 10
	// maxSetting bounds the value of a setting in PUT /admin/config.
	maxSetting = 16 << 10
)

// field is one member that a body may have, with its bound.
type field struct {
	// name of the member; empty means that any name is a member.
	name string
	// max bounds the characters of a single value, or the elements of a list.
	max int
	// each bounds the characters of the elements of a list of strings.
	each int
	// of are the members of the elements of a list of objects.
	of fields
}

// fields are all members that an object in a body may have. A member that is
// not among them is refused, so none can be read without a bound.
type fields []field

// The bodies of requests that are not records. Those of records are bounded by
// package codec.
var (
	instanceFields = fields{
		{name: "name", max: maxName},
		{name: "id", max: maxName},
		{name: "format", max: maxWord},
		{name: "auto.offset.reset", max: maxWord},
		{name: "isolation.level", max: maxWord},
		{name: "auto.commit.enable", max: maxWord},
		{name: "fetch.min.bytes", max: maxWord},
		{name: "consumer.request.timeout.ms", max: maxWord},
		{name: "on.decode.error", max: maxWord},
	}
	subscriptionFields = fields{{name: "topics", max: maxTopics, each: maxName}, {name: "topic_pattern", max: maxPattern}}
	partitionFields    = fields{{name: "topic", max: maxName}, {name: "partition", max: maxWord}}
	partitionsFields   = fields{{name: "partitions", max: maxPartitions, of: partitionFields}}
	offsetFields       = append(partitionFields[:2:2], field{name: "offset", max: maxWord}, field{name: "metadata", max: maxMetadata})
	timestampFields    = append(partitionFields[:2:2], field{name: "timestamp", max: maxWord})
	offsetsFields      = fields{{name: "offsets", max: maxPartitions, of: offsetFields}}
	positionsFields    = append(offsetsFields[:1:1], field{name: "timestamps", max: maxPartitions, of: timestampFields})
	settingsFields     = fields{{name: "", max: maxSetting}}
)

// find returns the member of that name, nil if there is none.
func (f fields) find(name []byte) *field {
	for n := range f {
		if f[n].name == "" || f[n].name == string(name) {
			return &f[n]
		}
	}
	return nil
}

// longer reports whether a text has more than max characters. It looks at no
// more of the text than it must.
func longer[T string | []byte](text T, max int) bool {
	return len(text) > utf8.UTFMax*max || len(text) > max && utf8.RuneCount([]byte(text)) > max
}

// tooLong is the refusal of a text with more than max characters.
func tooLong(name string, max int) *apierr.Error {
	return apierr.Unprocessable.New("%s is too long: it may have %d characters.", name, max)
}

// checkLength refuses a value, as it stands in the body, that is longer than the
// member may be. An escape is at most six bytes for each byte of its character.
func (b *body) checkLength(name string, raw []byte, max int) bool {
	text := raw
	if raw[0] == '"' {
		if len(raw) <= 6*utf8.UTFMax*max && bytes.IndexByte(raw, '\\') >= 0 {
			text = json.Unquote(bytes.Clone(raw))
		} else {
			text = raw[1 : len(raw)-1]
		}
	}
	if longer(text, max) {
		b.refuse(apierr.Unprocessable, "%s", tooLong(name, max).Message())
		return false
	}
	return true
}
