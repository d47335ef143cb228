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
	"millrace/config"
	"millrace/ingest/deadletter"
	"millrace/internal/kafka"
)

// deadCommand is for the dead-letter topics of ingest routes, and for the folder dead of a spool
// (dead_folder.go).
type deadCommand struct {
	Show   deadShowCommand   `cmd:"" help:"Show the events of a dead-letter topic, or of the spool's folder dead, as lines of JSON."`
	Replay deadReplayCommand `cmd:"" help:"Post the events of a dead-letter topic to their routes again, or write those of the spool's folder dead to their topics."`
}

// deadEvents selects events of a dead-letter topic, or of a folder.
type deadEvents struct {
	sources
	Topic   string        `help:"Dead-letter topic; with --spool only events for this topic." placeholder:"NAME"`
	Spool   string        `help:"Folder of a spool (ingest.spool.dir), in place of a dead-letter topic: the events that Kafka refused and whose route has none." placeholder:"DIR" type:"path"`
	Brokers []string      `help:"Kafka: HOST:PORT,…; in place of the configuration's bootstrap.servers." placeholder:"HOST:PORT"`
	Route   string        `help:"Only events of this route." placeholder:"NAME"`
	Reason  string        `help:"Only events that are there for this reason, such as event_misfit." placeholder:"NAME"`
	Since   time.Duration `help:"Only events that are no older, such as 2h." placeholder:"TIME"`
	Limit   int           `help:"At most so many events; 0 is all." default:"100"`
}

// Validate is called by kong.
func (c deadEvents) Validate() error {
	if c.Since < 0 {
		return errors.New("--since must not be negative")
	}
	if c.Limit < 0 {
		return errors.New("--limit must not be negative")
	}
	return nil
}

// interruptible returns a context that ends with a signal.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// settings returns the configuration.
func (c *deadEvents) settings() (*config.Config, error) {
	if c.Topic == "" && c.Spool == "" {
		return nil, errors.New("name a dead-letter topic by --topic, or the folder of a spool by --spool")
	}
	var preset []string
	if len(c.Brokers) > 0 {
		preset = []string{"bootstrap.servers=" + strings.Join(c.Brokers, ",")}
	}
	return c.load(preset...)
}

// brokersOf returns the settings with the brokers of the command line, if it names any.
func (c *deadEvents) brokersOf(s kafka.Settings) kafka.Settings {
	if len(c.Brokers) > 0 {
		s.Brokers = c.Brokers
	}
	return s
}

// each calls f for each event of the topic that is selected.
func (c *deadEvents) each(ctx context.Context, cfg *config.Config, f func(context.Context, deadletter.Event) error) error {
	brokers := c.brokersOf(cfg.KafkaConsume)
	selected := deadletter.Selection{Topic: c.Topic, Route: c.Route, Reason: c.Reason, Since: c.Since, Limit: c.Limit}
	return deadletter.Read(ctx, brokers, selected, func(e deadletter.Event) error { return f(ctx, e) })
}

type deadShowCommand struct {
	deadEvents
}

// Run prints the events.
func (c deadShowCommand) Run() error {
	ctx, stop := interruptible()
	defer stop()
	if c.Spool != "" {
		return c.showRefused(ctx)
	}
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	return shownAll(c.each(ctx, cfg, func(_ context.Context, e deadletter.Event) error {
		line, err := json.Marshal(e)
		if err == nil {
			_, err = fmt.Printf("%s\n", line)
		}
		return err
	}))
}

// shownAll returns the error of events that are shown. That there are more is none, but is said.
func shownAll(err error) error {
	if errors.Is(err, deadletter.ErrMore) {
		fmt.Fprintln(os.Stderr, err)
		return nil
	}
	return err
}

type deadReplayCommand struct {
	deadEvents
	URL    string   `help:"Node to post the events of a topic to." placeholder:"URL"`
	Header []string `help:"HTTP header of each request, such as 'Authorization: Bearer TOKEN'. May be repeated." placeholder:"NAME: VALUE" sep:"none"`
}

// Run posts the events, and writes those that are records already. It fails if one is refused
// again, or if there are more than --limit; the topic keeps all of them.
func (c deadReplayCommand) Run() error {
	ctx, stop := interruptible()
	defer stop()
	cfg, err := c.settings()
	switch {
	case err != nil:
		return err
	case c.Spool != "":
		return c.replayRefused(ctx, cfg)
	case c.URL == "":
		return errors.New("name the node to post to by --url")
	}
	p := deadletter.Replayer{URL: c.URL, Headers: c.Header, Topic: c.Topic}
	w, err := deadletter.NewWriter(c.brokersOf(cfg.KafkaProduce))
	if err != nil {
		return err
	}
	defer w.Close()
	posted, refused := 0, 0
	err = c.each(ctx, cfg, func(ctx context.Context, e deadletter.Event) error {
		posted++
		send := func() error { return p.Post(ctx, e) }
		if r := e.Made(); r != nil {
			send = func() error { return w.Write(ctx, r) }
		}
		if err := send(); err != nil {
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
