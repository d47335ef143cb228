package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"millrace/internal/testkit"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == childCommand {
		if err := runChild(os.Args[2]); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[2], err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	opts, err := readOptions(os.Args[1:])
	if err == nil {
		err = run(ctx, opts, os.Stdout)
	}
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// bench is one run of the program.
type bench struct {
	opts    options
	cluster *cluster
	binary  string // of millrace
	report  *report

	registry string // the URL of a schema registry
	valuesOf map[int][][]byte
	payloads map[payloadKey]*payload
	log      io.Writer
}

// run measures all that opts ask for, writes the tables to out and the results
// into their folder. It fails when a row is no measurement, after all others
// have been taken.
func run(ctx context.Context, opts options, out io.Writer) error {
	b := &bench{opts: opts, valuesOf: map[int][][]byte{}, payloads: map[payloadKey]*payload{}, log: os.Stderr, report: &report{
		Started: time.Now(), Command: opts.args, Rounds: opts.rounds, Linger: opts.linger,
		WarmUp: opts.timing.Warm.Seconds(), Window: opts.timing.Measured.Seconds(),
	}}
	b.report.describeMachine()
	dir, err := os.MkdirTemp("", "millrace-bench-*")
	if err != nil {
		return fmt.Errorf("cannot make a temporary folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if b.binary = opts.millrace; b.binary == "" {
		if b.binary, err = buildMillrace(ctx, dir); err != nil {
			return err
		}
	}
	// One in memory: only the first request of a run asks it.
	registry := srfake.New()
	defer registry.Close()
	b.registry = registry.URL()
	if b.cluster, err = openCluster(ctx, opts.brokers); err != nil {
		return err
	}
	defer b.cluster.close()
	if err := b.suites(ctx); err != nil {
		return err
	}
	b.report.finish()
	b.report.writeTables(out)
	path, err := b.report.write(opts.results)
	if err != nil {
		return err
	}
	plots := strings.TrimSuffix(path, ".json") + ".svg"
	if err := b.report.writePlots(plots); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nAll figures: %s\nPlots: %s\n", path, plots)
	if failed := b.report.failed(); len(failed) > 0 {
		return fmt.Errorf("%d of %d rows are no measurements", len(failed), len(b.report.Rows))
	}
	return nil
}

// suites runs the suites that were asked for.
func (b *bench) suites(ctx context.Context) error {
	if err := b.warmBroker(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"produce", b.produceSuite},
		{"memory", b.memorySuite},
		{"fetch", b.fetchSuite},
		{"metadata", b.metadataSuite},
		{"latency", b.latencySuite},
		{"growth", b.growthSuite},
		{"avro", b.avroSuite},
		{"ingest", b.ingestSuite},
		{"instances", b.instancesSuite},
	} {
		if len(b.opts.only) > 0 && !slices.Contains(b.opts.only, s.name) {
			continue
		}
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("cannot finish the %s suite: %w", s.name, err)
		}
	}
	return nil
}

// warmBroker lets the broker compile its hot paths. A broker that is slow makes
// the batches of all that write to it larger, and so cheaper.
func (b *bench) warmBroker(ctx context.Context) error {
	topics, err := b.cluster.newTopics(ctx, 1, 1)
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, topics...)
	warm := *b
	warm.opts.timing = timing{Measured: b.opts.brokerWarmUp}
	_, err = warm.kafkaFloorWith(0)(ctx, b.plainPlace("", 1), topics)
	return err
}

// plainPlace is a place of the suites that do not vary value, format and codec.
func (b *bench) plainPlace(suite string, records int) place {
	return place{
		Suite: suite, Records: records, Connections: connections(records),
		ValueBytes: b.opts.valueSize(), Format: "json", Compression: "none",
	}
}

// values returns the values of a size, made at the first call.
func (b *bench) values(size int) ([][]byte, error) {
	if b.valuesOf[size] == nil {
		values, err := realValues(distinctValues, size)
		if err != nil {
			return nil, err
		}
		b.valuesOf[size] = values
	}
	return b.valuesOf[size], nil
}

// progress says on stderr what was just measured.
func (b *bench) progress(r *row) {
	if r.Failure != "" {
		fmt.Fprintf(b.log, "FAILED %s\n", r)
		return
	}
	w := r.Rounds[len(r.Rounds)-1]
	fmt.Fprintf(b.log, "%s: %s requests/s, %s CPU a request, client %.0f %% of a core\n", r,
		count(float64(w.Requests)/w.Seconds), us(perUnit(w.CPU, w.Requests)), 100*w.ClientCPU.Seconds()/w.Seconds)
}

func joinComma(s []string) string { return strings.Join(s, ",") }

// resultsDir is where results go unless told otherwise: beside this source.
func resultsDir() (string, error) {
	root, err := testkit.ModuleRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "bench", "results"), nil
}
