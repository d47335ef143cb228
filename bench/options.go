package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/internal/kafka"
)

// options are the command line.
type options struct {
	args []string // as they came

	brokers      []string // none: a Kafka of our own
	millrace     string   // the program to measure; none: built from this source
	set          []string // more settings for millrace
	results      string
	timing       timing
	brokerWarmUp time.Duration
	rounds       int
	records      []int
	compression  []string
	valueBytes   []int
	formats      []string
	product      bool // one of the last four was asked for, see produceCases
	linger       int  // ms
	fetchRecords int
	only         []string
	quick        bool
	peers        []peer
}

// suiteNames are the suites, in the order in which they run.
var suiteNames = []string{"produce", "memory", "fetch", "metadata", "latency", "growth", "avro", "ingest", "instances"}

// list is a flag of comma-separated elements.
type list[T any] struct {
	to    *[]T
	parse func(string) (T, error)
}

func (l list[T]) String() string { return "" }

// Set replaces the elements.
func (l list[T]) Set(text string) error {
	*l.to = nil
	for part := range strings.SplitSeq(text, ",") {
		v, err := l.parse(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		*l.to = append(*l.to, v)
	}
	return nil
}

// readOptions reads the command line and checks it.
func readOptions(args []string) (options, error) {
	o := options{
		args: args, records: []int{1, 10, 100, 1000}, compression: []string{"none"},
		valueBytes: []int{200}, formats: []string{"json"}, fetchRecords: 500_000,
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.Var(list[string]{&o.brokers, text}, "brokers", "host:port of a Kafka; without it one is started")
	fs.StringVar(&o.millrace, "millrace", "", "`path` of the millrace program to measure; without it it is built")
	fs.Func("set", "a `name=value` setting for millrace; may be repeated", func(s string) error {
		o.set = append(o.set, s)
		return nil
	})
	fs.StringVar(&o.results, "results", "", "`folder` for the JSON results (bench/results)")
	seconds := fs.Float64("seconds", 2, "length of a timed window")
	fs.IntVar(&o.rounds, "rounds", 2, "how often each server is measured; every other round runs backwards")
	fs.Var(list[int]{&o.records, positive}, "records", "records a produce request (1,10,100,1000); this, -compression, -value-bytes and -formats replace the default cases by the product of all four")
	fs.Var(list[string]{&o.compression, codecName}, "compression", "of produce requests: none, gzip, snappy, lz4, zstd, or all (none)")
	fs.Var(list[int]{&o.valueBytes, positive}, "value-bytes", "sizes of a value (200)")
	fs.Var(list[string]{&o.formats, oneOf("json", "binary", avroFormat)}, "formats", "embedded formats of produce requests: json, binary, avro (json)")
	fs.IntVar(&o.linger, "linger", 0, "producer.linger.ms of the Kafka floor and, above 0, of millrace instead of its default")
	fs.Var(list[string]{&o.only, oneOf(suiteNames...)}, "only", "suites to run ("+joinComma(suiteNames)+")")
	fs.BoolVar(&o.quick, "quick", false, "one round of short windows: does it all work?")
	fs.Func("peer", "`NAME=URL,pid` of a REST proxy that runs on the same Kafka; may be repeated", func(s string) error {
		p, err := readPeer(s)
		o.peers = append(o.peers, p)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	fs.Visit(func(f *flag.Flag) {
		o.product = o.product || slices.Contains([]string{"records", "compression", "value-bytes", "formats"}, f.Name)
	})
	if fs.NArg() > 0 {
		return o, fmt.Errorf("cannot use argument %q", fs.Arg(0))
	}
	if o.rounds < 1 || *seconds <= 0 || o.linger < 0 {
		return o, errors.New("cannot run: -rounds and -seconds must be above 0, -linger not below")
	}
	o.timing = timing{Warm: time.Second, Measured: time.Duration(*seconds * float64(time.Second))}
	o.brokerWarmUp = 8 * time.Second
	if o.quick {
		o.rounds, o.fetchRecords, o.brokerWarmUp = 1, 20_000, time.Second
		o.timing = timing{Warm: 200 * time.Millisecond, Measured: min(o.timing.Measured, 500*time.Millisecond)}
	}
	if i := slices.Index(o.compression, "all"); i >= 0 {
		o.compression = nil
		for _, c := range kafka.Codecs {
			o.compression = append(o.compression, string(c))
		}
	}
	if o.results == "" {
		var err error
		if o.results, err = resultsDir(); err != nil {
			return o, err
		}
	}
	return o, nil
}

// valueSize is that of the values in suites that do not vary it.
func (o *options) valueSize() int { return o.valueBytes[0] }

func text(s string) (string, error) { return s, nil }

func positive(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a positive number", s)
	}
	return n, nil
}

func oneOf(names ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(names, s) {
			return "", fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
		}
		return s, nil
	}
}

func codecName(s string) (string, error) {
	if s != "all" && !slices.Contains(kafka.Codecs, kafka.Codec(s)) {
		return "", fmt.Errorf("%q is not all or one of %v", s, kafka.Codecs)
	}
	return s, nil
}
