package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"millrace/codec/json"
	"millrace/ingest/deadletter"
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

// each calls f for each event that is selected.
func (c *deadEvents) each(f func(context.Context, deadletter.Event) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	selected := deadletter.Selection{Topic: c.Topic, Route: c.Route, Reason: c.Reason, Since: c.Since, Limit: c.Limit}
	return deadletter.Read(ctx, brokers, selected, func(e deadletter.Event) error { return f(ctx, e) })
}

type deadShowCommand struct {
	deadEvents
}

// Run prints the events.
func (c deadShowCommand) Run() error {
	return c.each(func(_ context.Context, e deadletter.Event) error {
		line, err := json.Marshal(e)
		if err == nil {
			_, err = fmt.Printf("%s\n", line)
		}
		return err
	})
}

type deadReplayCommand struct {
	deadEvents
	URL    string   `help:"Node to post to." required:"" placeholder:"URL"`
	Header []string `help:"HTTP header of each request, such as 'Authorization: Bearer TOKEN'. May be repeated." placeholder:"NAME: VALUE" sep:"none"`
}

// Run posts the events. It fails if one is refused again; the topic keeps all of them.
func (c deadReplayCommand) Run() error {
	p := deadletter.Replayer{URL: c.URL, Headers: c.Header, Topic: c.Topic}
	posted, refused := 0, 0
	err := c.each(func(ctx context.Context, e deadletter.Event) error {
		posted++
		if err := p.Post(ctx, e); err != nil {
			refused++
			fmt.Fprintf(os.Stderr, "partition %d, offset %d, route %s: %v\n", e.Partition, e.Offset, e.Route, err)
		}
		return ctx.Err()
	})
	fmt.Printf("%d events were posted, %d of them were refused\n", posted, refused)
	if err == nil && refused > 0 {
		err = errors.New("some events are refused again")
	}
	return err
}
