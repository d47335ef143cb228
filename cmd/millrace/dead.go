package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/ingest"
	"millrace/internal/kafka"
	"millrace/internal/lab"
)

// deadCommand is for the dead-letter topics of ingest routes.
type deadCommand struct {
	Show   deadShowCommand   `cmd:"" help:"Show the events of a dead-letter topic, as lines of JSON."`
	Replay deadReplayCommand `cmd:"" help:"Post the events of a dead-letter topic to their routes again."`
}

// deadEvents selects events of a dead-letter topic.
type deadEvents struct {
	sources
	Topic   string        `help:"Dead-letter topic." required:"" placeholder:"NAME"`
	Brokers []string      `help:"Kafka: HOST:PORT,…; in place of the configuration's bootstrap.servers." placeholder:"HOST:PORT"`
	Route   string        `help:"Only events of this route." placeholder:"NAME"`
	Reason  string        `help:"Only events that are there for this reason, such as event_misfit." placeholder:"NAME"`
	Since   time.Duration `help:"Only events that are no older, such as 2h." placeholder:"TIME"`
	Limit   int           `help:"At most so many events; 0 is all." default:"100"`
}

// deadEvent is a dead letter.
type deadEvent struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`
	Route     string    `json:"route"`
	Topic     string    `json:"topic"`
	Index     string    `json:"index,omitempty"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	Type      string    `json:"content_type,omitempty"`
	// Event is the event as text, Bytes where it is none.
	Event string `json:"event,omitempty"`
	Bytes []byte `json:"event_base64,omitempty"`

	value          []byte
	query, headers map[string]string
}

// deadPatience is how long Kafka may bring nothing.
const deadPatience = 30 * time.Second

// each calls f for each event that is selected, those of a partition in their order.
func (c *deadEvents) each(ctx context.Context, f func(deadEvent)) error {
	var preset []string
	if len(c.Brokers) > 0 {
		preset = []string{"bootstrap.servers=" + strings.Join(c.Brokers, ",")}
	}
	cfg, err := c.load(preset...)
	if err != nil {
		return err
	}
	brokers := cfg.KafkaConsume
	if len(c.Brokers) > 0 {
		brokers.Brokers = c.Brokers
	}
	client, err := kafka.NewAdmin(brokers)
	if err != nil {
		return err
	}
	defer client.Close()
	spans, err := lab.Extent(ctx, kadm.NewClient(client), c.Topic)
	if err != nil {
		return err
	}
	dial := func(options ...kgo.Opt) (*kgo.Client, error) { return kafka.NewAdmin(brokers, options...) }
	left := c.Limit
	return lab.ReadBack{Dial: dial, Patience: deadPatience}.Read(ctx, spans, func(r *kgo.Record) bool {
		if e := deadEventOf(r); c.selects(e) && (c.Limit == 0 || left > 0) {
			left--
			f(e)
		}
		return c.Limit == 0 || left > 0
	})
}

func (c *deadEvents) selects(e deadEvent) bool {
	return (c.Route == "" || e.Route == c.Route) && (c.Reason == "" || e.Reason == c.Reason) && (c.Since == 0 || time.Since(e.Time) <= c.Since)
}

// deadEventOf reads a record of a dead-letter topic.
func deadEventOf(r *kgo.Record) deadEvent {
	e := deadEvent{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UTC(), value: r.Value, query: map[string]string{}, headers: map[string]string{}}
	texts := map[string]*string{
		ingest.DeadRoute: &e.Route, ingest.DeadTopic: &e.Topic, ingest.DeadIndex: &e.Index,
		ingest.DeadReason: &e.Reason, ingest.DeadMessage: &e.Message, ingest.DeadType: &e.Type,
	}
	for _, h := range r.Headers {
		if text := texts[h.Key]; text != nil {
			*text = string(h.Value)
		}
		if name, ok := strings.CutPrefix(h.Key, ingest.DeadQuery); ok {
			e.query[name] = string(h.Value)
		}
		if name, ok := strings.CutPrefix(h.Key, ingest.DeadHeader); ok {
			e.headers[name] = string(h.Value)
		}
	}
	if utf8.Valid(r.Value) {
		e.Event = string(r.Value)
	} else {
		e.Bytes = r.Value
	}
	return e
}

type deadShowCommand struct {
	deadEvents
}

// Run prints the events.
func (c deadShowCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	var failed error
	err := c.each(ctx, func(e deadEvent) { failed = errors.Join(failed, out.Encode(e)) })
	if err == nil {
		err = failed
	}
	return err
}

type deadReplayCommand struct {
	deadEvents
	URL    string   `help:"Node to post to." required:"" placeholder:"URL"`
	Header []string `help:"HTTP header of each request, such as 'Authorization: Bearer TOKEN'. May be repeated." placeholder:"NAME: VALUE" sep:"none"`
}

// Run posts the events. It fails if one is refused again; the topic keeps all of them.
func (c deadReplayCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := replayer{url: strings.TrimRight(c.URL, "/"), headers: c.Header, topic: c.Topic}
	posted, refused := 0, 0
	err := c.each(ctx, func(e deadEvent) {
		posted++
		if err := p.post(ctx, e); err != nil {
			refused++
			fmt.Fprintf(os.Stderr, "partition %d, offset %d, route %s: %v\n", e.Partition, e.Offset, e.Route, err)
		}
	})
	fmt.Printf("%d events were posted, %d of them were refused\n", posted, refused)
	if err == nil && refused > 0 {
		err = errors.New("some events are refused again")
	}
	return err
}
