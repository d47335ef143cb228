package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"millrace/internal/kafka"
)

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

// contender is one server of a comparison, at its place. run measures it once, alone.
type contender struct {
	server string
	at     place
	run    func(ctx context.Context, at place, topics []string) (window, error)
	// kafka says that the records must be in Kafka afterwards.
	kafka bool
	peer  string // its name, if it is one
}

// row is the row of c.
func (c *contender) row() *row { return &row{place: c.at, Server: c.server, Peer: c.peer} }

// The servers that others are compared with.
const (
	httpFloor    = "HTTP floor"
	kafkaFloor   = "Kafka floor"
	noLinger     = ", linger 0" // after kafkaFloor
	millraceJSON = "millrace json"
	millraceAvro = "millrace avro"
	millraceText = "millrace avro, schema text"
)

// produceSuite measures produce requests in all cases.
func (b *bench) produceSuite(ctx context.Context) error {
	for _, c := range b.opts.produceCases() {
		if err := b.produceRows(ctx, b.producers(c)); err != nil {
			return err
		}
	}
	return nil
}

// produceRows measures contenders, each at its place.
func (b *bench) produceRows(ctx context.Context, all []contender) error {
	rows := make([]*row, len(all))
	for i := range all {
		rows[i] = all[i].row()
	}
	return b.spreadRows(ctx, all, rows)
}

// spreadRows measures the contender of each row, in rounds of alternating
// order, so that what drifts on the machine meets all of them alike.
func (b *bench) spreadRows(ctx context.Context, all []contender, rows []*row) error {
	b.report.Rows = append(b.report.Rows, rows...)
	for _, i := range b.order(len(all)) {
		if err := b.produceOnce(ctx, all[i], rows[i]); err != nil {
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

// measure takes the rows' rounds in alternating order: run measures the server of row i once.
// The row of a run tells what is wrong with the run.
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
func (b *bench) produceOnce(ctx context.Context, c contender, r *row) error {
	topics, err := b.cluster.newTopics(ctx, max(r.Topics, 1), max(r.Partitions, 1))
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, topics...)
	w, err := c.run(ctx, c.at, topics)
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

func (b *bench) runHTTPFloor(ctx context.Context, at place, topics []string) (window, error) {
	t, err := startHTTPFloor(ctx, floorAnswer{ContentType: v2JSON, Body: constantAnswer(at.Records)})
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	return b.load(ctx, t, at, topics)
}

func (b *bench) runMillrace(ctx context.Context, at place, topics []string) (window, error) {
	set := b.millraceSettings(at.Compression)
	if at.Format == avroFormat {
		set = append(set, b.registrySettings()...)
	}
	t, err := startMillrace(ctx, b.binary, set...)
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	return b.load(ctx, t, at, topics)
}

// peerRun measures a proxy that already runs.
func (b *bench) peerRun(p peer) func(context.Context, place, []string) (window, error) {
	return func(ctx context.Context, at place, topics []string) (window, error) {
		return b.load(ctx, p.target(at.Format == "json"), at, topics)
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

// load runs the load generator against a server that is up.
func (b *bench) load(ctx context.Context, t *target, at place, topics []string) (window, error) {
	body, err := b.payload(ctx, at.Format, at.ValueBytes)
	if err != nil {
		return window{}, err
	}
	return b.send(ctx, t, at, topics, body)
}

// send is load with other records than those of the place; its requests go to
// the topics in turn.
func (b *bench) send(ctx context.Context, t *target, at place, topics []string, body *payload) (window, error) {
	urls := make([]string, len(topics))
	path := "/topics/"
	if body.format == ndjsonFormat {
		path = "/ingest/"
	}
	for i, topic := range topics {
		urls[i] = t.url + path + topic
	}
	var sums []uint64
	if !t.rewrites {
		sums = bodySums(body.stored, at.Records)
	}
	return callChild(ctx, childLoad, loadSpec{
		URLs:        urls,
		Sums:        sums,
		Metrics:     t.metrics,
		Method:      "POST",
		ContentType: body.contentType(),
		Accept:      v2JSON,
		Bodies:      body.bodies(at.Records),
		Connections: at.Connections,
		Records:     at.Records,
		Ingest:      body.format == ndjsonFormat,
		Rate:        at.Rate,
		PID:         t.pid,
		Timing:      b.opts.timing,
	})
}

func (b *bench) kafkaFloorWith(linger int) func(context.Context, place, []string) (window, error) {
	return func(ctx context.Context, at place, topics []string) (window, error) {
		body, err := b.payload(ctx, at.Format, at.ValueBytes)
		if err != nil {
			return window{}, err
		}
		settings := kafka.DefaultProducer()
		settings.Compression = kafka.Codec(at.Compression)
		return callChild(ctx, childKafkaFloor, kafkaFloorSpec{
			Brokers: b.cluster.brokers, Topics: topics, Settings: settings, Linger: time.Duration(linger) * time.Millisecond, Values: body.stored,
			Workers: at.Connections, Records: at.Records, Rate: at.Rate, Timing: b.opts.timing,
		})
	}
}
