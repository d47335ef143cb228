package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
	"millrace/loadtest"
	"millrace/loadtest/check"
)

const (
	// checkDuration is how long a check sends, unless --duration says.
	checkDuration = 10 * time.Second
	// checkPartitions is how many partitions the topics of a check have.
	checkPartitions = 4
)

// checkFlags are those of a check.
type checkFlags struct {
	Check   bool     `help:"Check every promise instead of measuring: note each request and its answer, read Kafka, and report each anomaly by name."`
	Clients int      `help:"With --check, how many clients produce." default:"8"`
	Seed    uint64   `help:"With --check, decides what the clients send. Without it the clock does." placeholder:"N"`
	Topics  []string `help:"With --check, topics to use; they may hold other records, and are created if they are missing. Without it the run creates two of its own." placeholder:"TOPIC"`
	Faults  bool     `help:"With --check, say that nodes or brokers are killed meanwhile: consumers may then go back to what is committed, at any time."`
	Bad     float64  `help:"With --check, the share of records that break a rule on purpose, by a timestamp a month ahead, to see whether others are refused for them." placeholder:"SHARE"`
}

func (f checkFlags) validate() error {
	if f.Clients < 1 {
		return errors.New("--clients must be at least 1")
	}
	if f.Bad < 0 || f.Bad > 1 {
		return errors.New("--bad must be from 0 to 1")
	}
	return nil
}

// check has clients produce and consume, and holds what they were told against Kafka.
func (c loadtestRun) check() (pass bool, err error) {
	options, err := c.options()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var dev *devProxy
	if c.Dev {
		if dev, err = startDev(checkPartitions); err != nil {
			return false, err
		}
		defer dev.stop()
		options.URL, options.Kafka = dev.url, kafka.Settings{Brokers: []string{dev.kafka}}
	}
	if len(options.Kafka.Brokers) == 0 {
		return false, errors.New("cannot check without Kafka itself: name it with --brokers or --config, or say --dev")
	}
	go endOnSignal(cancel, dev)
	if err := loadtest.Probe(ctx, options); err != nil {
		return false, err
	}
	o := check.Options{
		URLs: []string{options.URL}, Header: options.Headers, TLS: options.TLS,
		Dial: func(opts ...kgo.Opt) (*kgo.Client, error) { return kafka.NewAdmin(options.Kafka, opts...) },
		Seed: c.Seed, Topics: c.Topics, Partitions: checkPartitions, Clients: c.Clients, Bad: c.Bad, Disturbed: c.Faults,
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	return c.runCheck(ctx, o)
}

func (c loadtestRun) runCheck(ctx context.Context, o check.Options) (pass bool, err error) {
	length := c.Duration
	if length == 0 {
		length = checkDuration
	}
	fmt.Printf("checking with %d clients for %v, seed %d\n", o.Clients, length, o.Seed)
	sending, stop := context.WithTimeout(ctx, length)
	defer stop()
	history, err := check.Run(sending, o)
	if err != nil {
		return false, err
	}
	log, err := check.ReadLog(context.WithoutCancel(ctx), o.Dial, history)
	if err != nil {
		return false, err
	}
	report := check.Check(history, log)
	if err := report.WriteText(os.Stdout); err != nil {
		return false, err
	}
	return report.Clean(), c.writeCheck(history, report)
}

// writeCheck leaves the report and the history in c.Out.
func (c loadtestRun) writeCheck(h *check.History, r *check.Report) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	base := filepath.Join(c.Out, "check-"+r.Run)
	for path, write := range map[string]func(*os.File) error{
		base + ".json":          func(f *os.File) error { return r.WriteJSON(f) },
		base + ".history.jsonl": func(f *os.File) error { _, err := h.WriteTo(f); return err },
	} {
		f, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("cannot write %s: %w", path, err)
		}
	}
	fmt.Printf("JSON    %s.json\nhistory %[1]s.history.jsonl\n", base)
	return nil
}
