package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"millrace/internal/kafka"
)

// point is one kind of produce load.
type point struct {
	Records, Connections, ValueBytes int
	Compression                      string
	// Rate is of an open loop, in requests a second; 0: a closed one.
	Rate float64
}

// connections is how many clients send at the same time, as in what was
// published of the peers.
func connections(records int) int {
	switch {
	case records < 100:
		return 64
	case records < 1000:
		return 32
	}
	return 16
}

// row is the row of a server under this load.
func (p point) row(suite, server string) *row {
	return &row{
		Suite: suite, Server: server, Records: p.Records, Connections: p.Connections,
		ValueBytes: p.ValueBytes, Compression: p.Compression, Rate: p.Rate,
	}
}

// contender is one server of a comparison. run measures it once, alone.
type contender struct {
	server string
	run    func(ctx context.Context, p point, topics []string) (window, error)
	// kafka says that the records must be in Kafka afterwards.
	kafka bool
}

// The servers that others are compared with.
const (
	httpFloor    = "HTTP floor"
	kafkaFloor   = "Kafka floor"
	millraceJSON = "millrace json"
	millraceAvro = "millrace avro"
	millraceText = "millrace avro, schema text"
)

// produceSuite measures produce requests at every point of the grid.
func (b *bench) produceSuite(ctx context.Context) error {
	for _, size := range b.opts.valueBytes {
		for _, codec := range b.opts.compression {
			for _, n := range b.opts.records {
				p := point{Records: n, Connections: connections(n), ValueBytes: size, Compression: codec}
				if err := b.producePoint(ctx, "produce", p, b.producers()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// producePoint measures contenders at one point.
func (b *bench) producePoint(ctx context.Context, suite string, p point, all []contender) error {
	rows := make([]*row, len(all))
	for i, c := range all {
		rows[i] = p.row(suite, c.server)
	}
	return b.produceRows(ctx, p, all, rows)
}

// produceRows measures the contender of each row, in rounds of alternating
// order, so that what drifts on the machine meets all of them alike.
func (b *bench) produceRows(ctx context.Context, p point, all []contender, rows []*row) error {
	b.report.Rows = append(b.report.Rows, rows...)
	for _, i := range b.order(len(all)) {
		if err := b.produceOnce(ctx, all[i], p, rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// order is the order of n contenders over all rounds: 0 1 2 2 1 0 …
func (b *bench) order(n int) []int {
	var out []int
	for round := range b.opts.rounds {
		turn := make([]int, n)
		for i := range turn {
			turn[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		out = append(out, turn...)
	}
	return out
}

// measure takes the rows' rounds in alternating order: run measures the server
// of row i once. What is wrong with a run stands in its row.
func (b *bench) measure(ctx context.Context, rows []*row, run func(i int) (window, error)) error {
	b.report.Rows = append(b.report.Rows, rows...)
	for _, i := range b.order(len(rows)) {
		w, err := run(i)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			rows[i].fail(err.Error())
		default:
			rows[i].verify(w, w.Acked)
			rows[i].Rounds = append(rows[i].Rounds, w)
		}
		b.progress(rows[i])
	}
	return nil
}

// produceOnce measures a contender once, and compares what was acknowledged
// with what Kafka holds. The error is about the bench itself, such as a Kafka
// that is gone; what is wrong with the run stands in the row.
func (b *bench) produceOnce(ctx context.Context, c contender, p point, r *row) error {
	topics, err := b.cluster.newTopics(ctx, max(r.Topics, 1), max(r.Partitions, 1))
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, topics...)
	w, err := c.run(ctx, p, topics)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.fail(err.Error())
		b.progress(r)
		return nil
	}
	held := w.Acked
	if c.kafka {
		if held, err = b.cluster.held(ctx, w.Acked.Sum != 0, topics...); err != nil {
			return err
		}
	}
	r.verify(w, held)
	if rate := float64(w.Requests) / w.Seconds; rate < 0.95*r.Rate && !b.opts.quick {
		r.fail(fmt.Sprintf("only %.0f of %.0f requests a second were sent", rate, r.Rate))
	}
	r.Rounds = append(r.Rounds, w)
	b.progress(r)
	return nil
}

// producers lists the contenders of the produce suite.
func (b *bench) producers() []contender {
	all := []contender{
		{server: httpFloor, run: b.runHTTPFloor},
		{server: kafkaFloor, run: b.kafkaFloorWith(b.opts.linger), kafka: true},
	}
	if b.opts.linger > 0 {
		all = append(all, contender{server: kafkaFloor + ", linger 0", run: b.kafkaFloorWith(0), kafka: true})
	}
	for _, format := range b.opts.formats {
		all = append(all, contender{server: "millrace " + format, run: b.millraceWith(format), kafka: true})
	}
	for _, peer := range b.opts.peers {
		all = append(all, contender{server: peer.name + " json", kafka: true, run: func(ctx context.Context, p point, topics []string) (window, error) {
			return b.load(ctx, &target{url: peer.url, pid: peer.pid, rewrites: true}, p, topics, "json")
		}})
	}
	return all
}

func (b *bench) runHTTPFloor(ctx context.Context, p point, topics []string) (window, error) {
	t, err := startHTTPFloor(ctx, constantAnswer(p.Records))
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	return b.load(ctx, t, p, topics, "json")
}

func (b *bench) millraceWith(format string) func(context.Context, point, []string) (window, error) {
	return func(ctx context.Context, p point, topics []string) (window, error) {
		t, err := startMillrace(ctx, b.binary, b.millraceSettings(p.Compression)...)
		if err != nil {
			return window{}, err
		}
		defer t.stop()
		return b.load(ctx, t, p, topics, format)
	}
}

func (b *bench) millraceSettings(codec string) []string {
	set := []string{"bootstrap.servers=" + joinComma(b.cluster.brokers)}
	if codec != "" {
		set = append(set, "producer.compression.type="+codec)
	}
	if b.opts.linger > 0 { // else as it comes
		set = append(set, "producer.linger.ms="+strconv.Itoa(b.opts.linger))
	}
	return append(set, b.opts.set...)
}

// load runs the load generator against a server that is up; its requests go to
// the topics in turn.
func (b *bench) load(ctx context.Context, t *target, p point, topics []string, format string) (window, error) {
	values, err := b.values(p.ValueBytes)
	if err != nil {
		return window{}, err
	}
	urls := make([]string, len(topics))
	for i, topic := range topics {
		urls[i] = t.url + "/topics/" + topic
	}
	var sums []uint64
	if !t.rewrites {
		sums = bodySums(values, p.Records)
	}
	return callChild(ctx, childLoad, loadSpec{
		URLs:        urls,
		Sums:        sums,
		Metrics:     t.metrics,
		Method:      "POST",
		ContentType: fmt.Sprintf("application/vnd.kafka.%s.v2+json", format),
		Accept:      v2JSON,
		Bodies:      requestBodies(values, p.Records, format),
		Connections: p.Connections,
		Records:     p.Records,
		Rate:        p.Rate,
		PID:         t.pid,
		Timing:      b.opts.timing,
	})
}

func (b *bench) kafkaFloorWith(linger int) func(context.Context, point, []string) (window, error) {
	return func(ctx context.Context, p point, topics []string) (window, error) {
		values, err := b.values(p.ValueBytes)
		if err != nil {
			return window{}, err
		}
		settings := kafka.DefaultProducer()
		settings.Compression = kafka.Codec(p.Compression)
		settings.Linger = time.Duration(linger) * time.Millisecond
		return callChild(ctx, childKafkaFloor, kafkaFloorSpec{
			Brokers: b.cluster.brokers, Topics: topics, Settings: settings, Values: values,
			Workers: p.Connections, Records: p.Records, Rate: p.Rate, Timing: b.opts.timing,
		})
	}
}
