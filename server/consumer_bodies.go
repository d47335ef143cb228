package server

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"millrace/codec/json"
	"millrace/consumer"
	"millrace/internal/apierr"
)

// body reads one small JSON object whose members are known. Like the walker it
// goes on quietly after a fault, so that the loops over it end; err has the
// fault. Strings that it returns are copies.
type body struct {
	json.Walker
	err error
	now *field // the member that is being read
}

// readObject has member called for each member of the object that text is, one of
// known; it must step over the member's value.
func readObject(text []byte, known fields, member func(b *body, name string)) error {
	if len(text) == 0 {
		return apierr.Unprocessable.New("The request needs a body: a JSON object.")
	}
	if !utf8.Valid(text) {
		return apierr.BadRequest.New("The body is not valid UTF-8.")
	}
	b := &body{Walker: json.NewWalker(text)}
	if !b.Enter('{') {
		if b.Value(); b.Err() == nil {
			return apierr.BadRequest.New("The body must be a JSON object.")
		}
	}
	b.members(known, member)
	b.End()
	if b.err != nil {
		return b.err
	}
	if err := b.Err(); err != nil {
		return apierr.BadRequest.New("The body is not valid JSON: %s.", err.Error())
	}
	return nil
}

// members goes through the members of the object that was entered, which are
// some of known.
func (b *body) members(known fields, member func(b *body, name string)) {
	outer := b.now
	for n := 0; b.err == nil && b.Member(); n++ {
		name := b.Name()
		b.now = known.find(name)
		switch {
		case n == maxMembers:
			b.refuse(apierr.Unprocessable, "An object has too many members: it may have %d.", maxMembers)
		case longer(name, maxName):
			b.refuse(apierr.Unprocessable, "%s", tooLong("The name of a member", maxName).Message())
		case b.now == nil:
			b.refuse(apierr.Unprocessable, "Unrecognized field %q.", name)
		default:
			member(b, string(name))
		}
	}
	b.now = outer
}

func (b *body) refuse(k *apierr.Kind, format string, args ...any) {
	if b.err == nil && b.Err() == nil {
		b.err = k.New(format, args...)
	}
}

// scalar returns the text of a string, number or truth value; quoted tells a
// string. There is none for null, or after refusing anything else as kind k.
func (b *body) scalar(name string, k *apierr.Kind) (text string, quoted, some bool) {
	return b.scalarOf(name, k, b.now.max)
}

// scalarOf is scalar for a value of at most max characters.
func (b *body) scalarOf(name string, k *apierr.Kind, max int) (text string, quoted, some bool) {
	raw := b.Value()
	switch {
	case raw == nil || string(raw) == "null":
		return "", false, false
	case raw[0] != '{' && raw[0] != '[' && !b.checkLength(name, raw, max):
		return "", false, false
	case raw[0] == '"':
		return string(json.Unquote(raw)), true, true
	case raw[0] == '{' || raw[0] == '[':
		b.refuse(k, "%s must be a single value.", name)
		return "", false, false
	}
	return string(raw), false, true
}

// text reads a string, nil for null.
func (b *body) text(name string) *string { return b.textOf(name, b.now.max) }

// textOf is text for a string of at most max characters.
func (b *body) textOf(name string, max int) *string {
	text, quoted, some := b.scalarOf(name, apierr.BadRequest, max)
	if !some {
		return nil
	}
	if !quoted {
		b.refuse(apierr.BadRequest, "%s must be a string.", name)
	}
	return &text
}

// integer reads a whole number, which may stand in quotes, nil for null.
func (b *body) integer(name string, limit int64) *int64 {
	text, _, some := b.scalar(name, apierr.BadRequest)
	if !some {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > limit || n < -limit {
		b.refuse(apierr.BadRequest, "%s must be a whole number up to %d.", name, limit)
	}
	return &n
}

// list has element called for each element of a list; null is an empty one. It
// returns whether there was a list.
func (b *body) list(name string, element func(b *body)) bool {
	if !b.Enter('[') {
		if raw := b.Value(); raw != nil && string(raw) != "null" {
			b.refuse(apierr.BadRequest, "%s must be a list.", name)
		}
		return false
	}
	limit := b.now.max
	for n := 0; b.err == nil && b.Element(); n++ {
		if n == limit {
			b.refuse(apierr.Unprocessable, "%s is too long: it may have %d elements. Send several requests.", name, limit)
			break
		}
		element(b)
	}
	return true
}

// place is one element of a list of partitions, offsets or timestamps; what
// the request left out is nil.
type place struct {
	topic     *string
	partition *int64
	offset    *int64
	metadata  *string
	timestamp *string
}

// places reads a list of objects, each with a topic and a partition.
func (b *body) places(name string) []place {
	known := b.now.of
	list := []place{}
	isList := b.list(name, func(b *body) {
		if !b.Enter('{') {
			b.Value()
			b.refuse(apierr.BadRequest, "The elements of %s must be objects.", name)
			return
		}
		var p place
		b.members(known, func(b *body, member string) { b.placeMember(&p, member) })
		if p.topic == nil || *p.topic == "" || p.partition == nil {
			b.refuse(apierr.Unprocessable, "Each element of %s needs a topic and a partition.", name)
			return
		}
		list = append(list, p)
	})
	if !isList {
		return nil
	}
	return list
}

func (b *body) placeMember(p *place, member string) {
	switch member {
	case "topic":
		p.topic = b.text(member)
	case "partition":
		p.partition = b.integer(member, math.MaxInt32)
	case "offset":
		p.offset = b.integer(member, math.MaxInt64)
	case "metadata":
		p.metadata = b.text(member)
	case "timestamp":
		p.timestamp = b.text(member)
	}
}

func (p place) where() consumer.TopicPartition {
	return consumer.TopicPartition{Topic: *p.topic, Partition: int32(*p.partition)}
}

// readPartitions reads {"partitions":[{"topic","partition"}…]}.
func readPartitions(text []byte) ([]consumer.TopicPartition, error) {
	var list []place
	err := readObject(text, partitionsFields, func(b *body, name string) { list = b.places(name) })
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, apierr.Unprocessable.New("The request needs a list of partitions.")
	}
	tps := make([]consumer.TopicPartition, len(list))
	for n, p := range list {
		tps[n] = p.where()
	}
	return tps, nil
}

// readOffsets reads {"offsets":[{"topic","partition","offset","metadata"}…]};
// nil when that member is missing.
func readOffsets(text []byte) ([]consumer.Offset, error) {
	offsets, _, err := readPlaces(text, offsetsFields)
	return offsets, err
}

// readPositions reads {"offsets":[…],"timestamps":[{"topic","partition","timestamp"}…]}.
func readPositions(text []byte) ([]consumer.Offset, []consumer.Timestamp, error) {
	return readPlaces(text, positionsFields)
}

func readPlaces(text []byte, known fields) ([]consumer.Offset, []consumer.Timestamp, error) {
	var at, since []place
	err := readObject(text, known, func(b *body, name string) {
		switch name {
		case "offsets":
			at = b.places(name)
		case "timestamps":
			since = b.places(name)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	var offsets []consumer.Offset
	if at != nil {
		offsets = make([]consumer.Offset, 0, len(at)) // not nil even when empty
	}
	for _, p := range at {
		if p.offset == nil {
			return nil, nil, apierr.Unprocessable.New("Each element of offsets needs an offset.")
		}
		o := consumer.Offset{TopicPartition: p.where(), Offset: *p.offset}
		if p.metadata != nil {
			o.Metadata = *p.metadata
		}
		offsets = append(offsets, o)
	}
	times := make([]consumer.Timestamp, 0, len(since))
	for _, p := range since {
		if p.timestamp == nil {
			return nil, nil, apierr.Unprocessable.New("Each element of timestamps needs a timestamp.")
		}
		at, ok := parseISO8601(*p.timestamp)
		if !ok {
			return nil, nil, apierr.BadRequest.New("%q is not an ISO-8601 time such as 2026-01-31T12:00:00Z.", *p.timestamp)
		}
		times = append(times, consumer.Timestamp{TopicPartition: p.where(), At: at})
	}
	return offsets, times, nil
}

// isoLayouts are the forms of a time that are accepted; one without an offset
// is UTC. Fractions of a second are read where the layout has seconds.
var isoLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly,
}

func parseISO8601(text string) (time.Time, bool) {
	for _, layout := range isoLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// readSubscription reads {"topics":[…]} or {"topic_pattern":"…"}; what is not
// there is nil.
func readSubscription(text []byte) (topics []string, pattern *string, err error) {
	err = readObject(text, subscriptionFields, func(b *body, name string) {
		switch name {
		case "topics":
			topics = nil
			list := []string{}
			if b.list(name, func(b *body) {
				topic := b.textOf("A topic", b.now.each)
				if topic == nil {
					b.refuse(apierr.Unprocessable, "A topic must not be null.")
					return
				}
				list = append(list, *topic)
			}) {
				topics = list
			}
		case "topic_pattern":
			pattern = b.text(name)
		}
	})
	return topics, pattern, err
}

// readInstanceOptions reads the body of a create request, which may be empty,
// over the defaults in o. Numbers and truth values may stand in quotes.
func readInstanceOptions(text []byte, o *consumer.InstanceOptions) error {
	if len(text) == 0 {
		return nil
	}
	var format *string
	err := readObject(text, instanceFields, func(b *body, name string) {
		switch name {
		case "name", "id": // id is the old word
			if v, quoted, some := b.scalar(name, apierr.InvalidConsumerConf); some {
				if !quoted {
					b.refuse(apierr.InvalidConsumerConf, "%s must be a string.", name)
				}
				o.Name = v
			}
		case "format":
			if v, _, some := b.scalar(name, apierr.Unprocessable); some {
				format = &v
			}
		case "auto.offset.reset":
			b.setting(name, &o.OffsetReset)
		case "isolation.level":
			b.setting(name, &o.IsolationLevel)
		case "auto.commit.enable":
			var v string
			if !b.setting(name, &v) {
				return
			}
			v = strings.ToLower(v) // as Java reads it
			if v != "true" && v != "false" {
				b.refuse(apierr.InvalidConsumerConf, "%s must be true or false, not %q.", name, v)
			}
			o.AutoCommit = v == "true"
		case "fetch.min.bytes":
			b.number(name, func(n int) { o.FetchMinBytes = n })
		case "consumer.request.timeout.ms":
			b.number(name, func(n int) { o.RequestTimeout = time.Duration(n) * time.Millisecond })
		case "on.decode.error":
			var v string
			if !b.setting(name, &v) {
				return
			}
			var err error
			if o.Undecodable, err = consumer.ParseUndecodables(v); err != nil {
				b.refuse(apierr.InvalidConsumerConf, "%s must be fail, skip or base64, not %q.", name, v)
			}
		}
	})
	if err != nil || format == nil {
		return err
	}
	o.Format, err = consumer.ParseFormat(*format)
	return err
}

// setting reads the value of a consumer setting; null leaves it alone. It
// returns whether there was one.
func (b *body) setting(name string, to *string) bool {
	v, _, some := b.scalar(name, apierr.InvalidConsumerConf)
	if some {
		*to = v
	}
	return some
}

// number reads a numeric consumer setting. One too large for an int32 stays
// out of every range that package consumer checks.
func (b *body) number(name string, set func(int)) {
	var v string
	if !b.setting(name, &v) {
		return
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		b.refuse(apierr.InvalidConsumerConf, "%s must be a whole number, not %q.", name, v)
		return
	}
	set(int(max(min(n, math.MaxInt32+1), math.MinInt32)))
}
