package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"millrace/tune"
)

// tuneCommand finds the compression for a topic's records.
type tuneCommand struct {
	sources
	Topic   string   `help:"Topic to take the newest records of." required:"" xor:"input" placeholder:"NAME"`
	File    string   `help:"File with one JSON value a line, in place of a topic; it may be compressed by gzip; - is standard input." required:"" xor:"input" type:"existingfile" placeholder:"FILE"`
	Brokers []string `help:"Kafka: HOST:PORT,…; in place of the configuration's bootstrap.servers." placeholder:"HOST:PORT"`
	Sample  int      `help:"How many records to take, within 8 MB." default:"20000"`

	Rate     float64 `help:"Records a second; without it the topic's average, or 10000."`
	Batch    int     `help:"Size of a batch before compression that the advice is for; without it that of the topic's batches, or 100000." placeholder:"BYTES"`
	Replicas int     `help:"Replicas of a record; without it the topic's, or 3."`

	CPUWeight     float64 `help:"Price of an hour of one core." default:"0.04"`
	NetworkWeight float64 `help:"Price of a GB on the network." default:"0.01"`
	DiskWeight    float64 `help:"Price of a GB on the disk of one broker, for as long as it is kept." default:"0.02"`

	Plot string `help:"Write the report as an HTML page with plots." type:"path" placeholder:"FILE"`
	JSON string `help:"Write all figures as JSON." name:"json" type:"path" placeholder:"FILE"`
}

// Validate is called by kong.
func (c tuneCommand) Validate() error {
	if c.Sample < 1 {
		return errors.New("--sample must be 1 or more")
	}
	if c.Batch < 0 || c.Batch > math.MaxInt32 {
		return fmt.Errorf("--batch must be from 1 to %d", math.MaxInt32)
	}
	if c.Replicas < 0 || c.Replicas > math.MaxInt16 {
		return fmt.Errorf("--replicas must be from 1 to %d", math.MaxInt16)
	}
	for _, n := range []float64{c.Rate, c.CPUWeight, c.NetworkWeight, c.DiskWeight} {
		if !(n >= 0 && n <= math.MaxFloat32) { // not a number is neither
			return errors.New("rate and weights must not be negative, and must be finite numbers")
		}
	}
	return nil
}

// Run measures, and prints and writes the report.
func (c tuneCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sample, err := c.sample(ctx)
	if err != nil {
		return err
	}
	options := tune.Options{
		Rate: c.Rate, Replicas: c.Replicas, BatchBytes: c.Batch,
		Weights: tune.Weights{CPU: c.CPUWeight, Network: c.NetworkWeight, Disk: c.DiskWeight},
	}
	if isTerminal(os.Stderr) {
		options.Progress = func(done, all int) {
			fmt.Fprintf(os.Stderr, "\rmeasuring… %d %%", 100*done/all)
			if done == all {
				fmt.Fprint(os.Stderr, "\r                 \r")
			}
		}
	}
	report, err := tune.Run(ctx, sample, options)
	if err != nil {
		return err
	}
	if err := report.WriteTable(os.Stdout); err != nil {
		return err
	}
	if err := writeReport(c.Plot, report.WritePage); err != nil {
		return err
	}
	return writeReport(c.JSON, report.WriteJSON)
}

// sample takes the records from where the flags say.
func (c tuneCommand) sample(ctx context.Context) (*tune.Sample, error) {
	if c.File != "" {
		return tune.ReadFile(c.File, c.Sample)
	}
	var preset []string
	if len(c.Brokers) > 0 {
		preset = []string{"bootstrap.servers=" + strings.Join(c.Brokers, ",")}
	}
	cfg, err := c.load(preset...)
	if err != nil {
		return nil, err
	}
	brokers := cfg.KafkaConsume
	if len(c.Brokers) > 0 {
		brokers.Brokers = c.Brokers
	}
	return tune.ReadTopic(ctx, brokers, c.Topic, c.Sample)
}

// writeReport has write fill the file, unless there is to be none.
func writeReport(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	fmt.Println("written:", path)
	return nil
}
