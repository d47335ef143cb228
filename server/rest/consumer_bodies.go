package rest

import (
	"math"
	"strconv"
	"strings"
	"time"

	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/reader"
	"millrace/server"
)

// place is one element of a list of partitions, offsets or timestamps; a missing member is nil.
type place struct {
	topic     *string
	partition *int64
	offset    *int64
	metadata  *string
	timestamp *string
}

// readPlaceList reads a list of objects, each with a topic and a partition.
func readPlaceList(b *server.ObjectReader, name string) []place {
	known := b.Field().Of
	list := []place{}
	isList := b.List(name, func(b *server.ObjectReader) {
		if !b.Enter('{') {
			b.Value()
			b.Refuse(apierr.BadRequest, "The elements of %s must be objects.", name)
			return
		}
		var p place
		b.Members(known, func(b *server.ObjectReader, member string) { readPlaceMember(b, &p, member) })
		if p.topic == nil || *p.topic == "" || p.partition == nil {
			b.Refuse(apierr.Unprocessable, "Each element of %s needs a topic and a partition.", name)
			return
		}
		list = append(list, p)
	})
	if !isList {
		return nil
	}
	return list
}

func readPlaceMember(b *server.ObjectReader, p *place, member string) {
	switch member {
	case "topic":
		p.topic = b.Text(member)
	case "partition":
		p.partition = b.Integer(member, math.MaxInt32)
	case "offset":
		p.offset = b.Integer(member, math.MaxInt64)
	case "metadata":
		p.metadata = b.Text(member)
	case "timestamp":
		p.timestamp = b.Text(member)
	}
}

func (p place) where() consumer.TopicPartition {
	return consumer.TopicPartition{Topic: *p.topic, Partition: int32(*p.partition)}
}

// readPartitions reads {"partitions":[{"topic","partition"}…]}.
func readPartitions(text []byte) ([]consumer.TopicPartition, error) {
	var list []place
	err := server.ReadObject(text, partitionsFields, func(b *server.ObjectReader, name string) { list = readPlaceList(b, name) })
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

// readOffsets reads {"offsets":[{"topic","partition","offset","metadata"}…]}. Without the list
// nothing is committed: only a request without a body commits all that was read.
func readOffsets(text []byte) ([]consumer.Offset, error) {
	offsets, _, err := readPlaces(text, offsetsFields)
	if err == nil && offsets == nil {
		err = apierr.Unprocessable.New("The body needs a list of offsets. Send no body to commit all that was read.")
	}
	return offsets, err
}

// readPositions reads {"offsets":[…],"timestamps":[{"topic","partition","timestamp"}…]}.
func readPositions(text []byte) ([]consumer.Offset, []consumer.Timestamp, error) {
	return readPlaces(text, positionsFields)
}

func readPlaces(text []byte, known server.Fields) ([]consumer.Offset, []consumer.Timestamp, error) {
	var at, since []place
	err := server.ReadObject(text, known, func(b *server.ObjectReader, name string) {
		switch name {
		case "offsets":
			at = readPlaceList(b, name)
		case "timestamps":
			since = readPlaceList(b, name)
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
		at, ok := server.ParseISO8601(*p.timestamp)
		if !ok {
			return nil, nil, apierr.BadRequest.New("%q is not an ISO-8601 time such as 2026-01-31T12:00:00Z.", *p.timestamp)
		}
		times = append(times, consumer.Timestamp{TopicPartition: p.where(), At: at})
	}
	return offsets, times, nil
}

// readSubscription reads {"topics":[…]} or {"topic_pattern":"…"}; a missing member is nil.
func readSubscription(text []byte) (topics []string, pattern *string, err error) {
	err = server.ReadObject(text, subscriptionFields, func(b *server.ObjectReader, name string) {
		switch name {
		case "topics":
			topics = nil
			list := []string{}
			if b.List(name, func(b *server.ObjectReader) {
				topic := b.TextOf("A topic", b.Field().Each)
				if topic == nil {
					b.Refuse(apierr.Unprocessable, "A topic must not be null.")
					return
				}
				list = append(list, *topic)
			}) {
				topics = list
			}
		case "topic_pattern":
			pattern = b.Text(name)
		}
	})
	return topics, pattern, err
}

// readInstanceOptions reads the body of a create request, which may be absent,
// over the defaults in o. Numbers and truth values may stand in quotes.
func readInstanceOptions(text []byte, o *consumer.InstanceOptions) error {
	if server.IsAbsent(text) {
		return nil
	}
	var format *string
	err := server.ReadObject(text, instanceFields, func(b *server.ObjectReader, name string) {
		switch name {
		case "name", "id": // id is the former name
			if v, quoted, some := b.Scalar(name, apierr.InvalidConsumerConf); some {
				if !quoted {
					b.Refuse(apierr.InvalidConsumerConf, "%s must be a string.", name)
				}
				o.Name = v
			}
		case "format":
			if v, _, some := b.Scalar(name, apierr.Unprocessable); some {
				format = &v
			}
		case "auto.offset.reset":
			readSetting(b, name, &o.OffsetReset)
		case "isolation.level":
			readSetting(b, name, &o.IsolationLevel)
		case "auto.commit.enable":
			var v string
			if !readSetting(b, name, &v) {
				return
			}
			v = strings.ToLower(v) // as Java reads it
			if v != "true" && v != "false" {
				b.Refuse(apierr.InvalidConsumerConf, "%s must be true or false, not %q.", name, v)
			}
			o.AutoCommit = v == "true"
		case "fetch.min.bytes":
			readNumber(b, name, func(n int) { o.FetchMinBytes = n })
		case "consumer.request.timeout.ms":
			readNumber(b, name, func(n int) { o.RequestTimeout = time.Duration(n) * time.Millisecond })
		case "on.decode.error":
			var v string
			if !readSetting(b, name, &v) {
				return
			}
			var err error
			if o.Undecodable, err = reader.ParseUndecodables(v); err != nil {
				b.Refuse(apierr.InvalidConsumerConf, "%s must be fail, skip or base64, not %q.", name, v)
			}
		}
	})
	if err != nil || format == nil {
		return err
	}
	o.Format, err = reader.ParseFormat(*format)
	return err
}

// readSetting reads the value of a consumer setting; null leaves it unchanged. It reports whether
// there was a value.
func readSetting(b *server.ObjectReader, name string, to *string) bool {
	v, _, some := b.Scalar(name, apierr.InvalidConsumerConf)
	if some {
		*to = v
	}
	return some
}

// readNumber reads a numeric consumer setting. One too large for an int32 stays
// out of every range that package consumer checks.
func readNumber(b *server.ObjectReader, name string, set func(int)) {
	var v string
	if !readSetting(b, name, &v) {
		return
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil {
		b.Refuse(apierr.InvalidConsumerConf, "%s must be a whole number, not %q.", name, v)
		return
	}
	set(int(max(min(n, math.MaxInt32+1), math.MinInt32)))
}
