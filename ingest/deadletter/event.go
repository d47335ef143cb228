package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// The headers of a dead letter.
const (
	// Route is the route, Topic the topic that the event was for, Index its place in the body.
	Route, Topic, Index = "millrace.dead.route", "millrace.dead.topic", "millrace.dead.index"
	// Reason is the name of the error, Message its text.
	Reason, Message = "millrace.dead.reason", "millrace.dead.message"
	// Partition is the partition that the record was for, where a rule chose one. Only records have
	// it that Kafka refused when the spool sent them.
	Partition = "millrace.dead.partition"
	// Type is the Content-Type of the request.
	Type = "millrace.dead.content-type"
	// Query and Header begin the names of the query parameters and the HTTP headers that the route
	// reads, as the request had them.
	Query, Header = "millrace.dead.query.", "millrace.dead.header."

	prefix = "millrace.dead."
)

// Event is a dead letter.
type Event struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`
	Route     string    `json:"route"`
	Topic     string    `json:"topic"`
	Index     string    `json:"index,omitempty"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	Type      string    `json:"content_type,omitempty"`
	// Text is the event as text, Bytes where it is none.
	Text  string `json:"event,omitempty"`
	Bytes []byte `json:"event_base64,omitempty"`

	value          []byte
	query, headers map[string]string
	made           *kgo.Record
}

// Made returns the record that was made of the event: Kafka refused it when the spool sent it, and
// the request that it was of is not known. It is nil for an event that its route refused.
func (e *Event) Made() *kgo.Record { return e.made }

// madeOf returns the record that a dead letter is of.
func (e *Event) madeOf(letter *kgo.Record) *kgo.Record {
	r := &kgo.Record{Topic: e.Topic, Partition: -1, Key: letter.Key, Value: letter.Value, Timestamp: letter.Timestamp}
	for _, h := range letter.Headers {
		if h.Key == Partition {
			if n, err := strconv.ParseInt(string(h.Value), 10, 32); err == nil {
				r.Partition = int32(n)
			}
		}
		if !strings.HasPrefix(h.Key, prefix) {
			r.Headers = append(r.Headers, h)
		}
	}
	return r
}

// eventOf reads a record of a dead-letter topic.
func eventOf(r *kgo.Record) Event {
	e := Event{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UTC(), value: r.Value, query: map[string]string{}, headers: map[string]string{}}
	texts := map[string]*string{Route: &e.Route, Topic: &e.Topic, Index: &e.Index, Reason: &e.Reason, Message: &e.Message, Type: &e.Type}
	for _, h := range r.Headers {
		if text := texts[h.Key]; text != nil {
			*text = strings.ToValidUTF8(string(h.Value), "?")
		}
		if name, ok := strings.CutPrefix(h.Key, Query); ok {
			e.query[name] = string(h.Value)
		}
		if name, ok := strings.CutPrefix(h.Key, Header); ok {
			e.headers[name] = string(h.Value)
		}
	}
	if utf8.Valid(r.Value) {
		e.Text = string(r.Value)
	} else {
		e.Bytes = r.Value
	}
	if e.Index == "" {
		e.made = e.madeOf(r)
	}
	return e
}

// Selection is which events of a topic are read. Empty members select all.
type Selection struct {
	Topic, Route, Reason string
	// Since is how old an event may be.
	Since time.Duration
	// Limit bounds the events; 0 is any number.
	Limit int
}

// ErrMore is the error of a reading that ends at its limit, behind which there are other events.
var ErrMore = errors.New("there are more events than --limit")

func (s Selection) has(e Event) bool {
	return (s.Route == "" || e.Route == s.Route) && (s.Reason == "" || e.Reason == s.Reason) && (s.Since == 0 || time.Since(e.Time) <= s.Since)
}

// patience is how long Kafka may bring nothing.
const patience = 30 * time.Second

// Read calls f for the events that a topic has now and that are selected, those of a partition in
// their order. It ends with the first error of f, and with [ErrMore] at the limit of the selection.
func Read(ctx context.Context, brokers kafka.Settings, s Selection, f func(Event) error) error {
	from, left, err := extent(ctx, brokers, s.Topic)
	if err != nil || len(left) == 0 {
		return err
	}
	client, err := kafka.NewAdmin(brokers, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.Topic: from}), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	for taken := 0; len(left) > 0; {
		records, err := poll(ctx, client)
		if err != nil {
			return err
		}
		for _, r := range records {
			end, more := left[r.Partition]
			if r.Offset+1 >= end {
				delete(left, r.Partition)
			}
			e := eventOf(r)
			if !more || r.Offset >= end || r.Attrs.IsControl() || !s.has(e) {
				continue
			}
			if taken++; s.Limit > 0 && taken > s.Limit {
				return ErrMore
			}
			if err := f(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// extent returns the first offsets of a topic's partitions, and the last ones of those that have
// records.
func extent(ctx context.Context, brokers kafka.Settings, topic string) (from map[int32]kgo.Offset, ends map[int32]int64, err error) {
	client, err := kafka.NewAdmin(brokers)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	firsts, err1 := admin.ListStartOffsets(ctx, topic)
	lasts, err2 := admin.ListEndOffsets(ctx, topic)
	if err := errors.Join(err1, err2, firsts.Error(), lasts.Error()); err != nil {
		return nil, nil, fmt.Errorf("cannot list the offsets of topic %s: %w", topic, err)
	}
	from, ends = map[int32]kgo.Offset{}, map[int32]int64{}
	lasts.Each(func(last kadm.ListedOffset) {
		if first, _ := firsts.Lookup(topic, last.Partition); first.Offset < last.Offset {
			from[last.Partition] = kgo.NewOffset().At(first.Offset)
			ends[last.Partition] = last.Offset
		}
	})
	return from, ends, nil
}

func poll(ctx context.Context, client *kgo.Client) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fetches := client.PollFetches(ctx)
	if errs := fetches.Errors(); len(errs) > 0 {
		return nil, fmt.Errorf("cannot read the dead letters: %w", errs[0].Err)
	}
	return fetches.Records(), nil
}
