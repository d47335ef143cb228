package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// ndjsonFormat is the format of events for /ingest, a line each.
const ndjsonFormat = "ndjson"

// millraceLinesIn is millrace that is sent events without an envelope.
const millraceLinesIn = "millrace " + ndjsonFormat

// ndjsonGoal is the goal for CPU an event over that of v2 JSON with the same values.
const ndjsonGoal = 0.9

// ingestSuite measures events without an envelope beside the same values in v2's JSON: both are
// answered when all in-sync replicas have them.
func (b *bench) ingestSuite(ctx context.Context) error {
	for _, n := range b.opts.ingestRecords() {
		at := b.plainPlace("ingest", n)
		body, err := b.payload(ctx, at.Format, at.ValueBytes)
		if err != nil {
			return err
		}
		lines := payload{format: ndjsonFormat, sent: body.sent, stored: body.stored}
		way := func(server string, body *payload) contender {
			return contender{server: server, at: at, kafka: true, run: func(ctx context.Context, at place, topics []string) (window, error) {
				t, err := startMillrace(ctx, b.binary, b.millraceSettings(at.Compression)...)
				if err != nil {
					return window{}, err
				}
				defer t.stop()
				return b.send(ctx, t, at, topics, body)
			}}
		}
		if err := b.produceRows(ctx, []contender{way(millraceJSON, body), way(millraceLinesIn, &lines)}); err != nil {
			return err
		}
	}
	return nil
}

// ingestRecords are how many events a request of the ingest suite has.
func (o *options) ingestRecords() []int {
	switch {
	case o.product:
		return o.records
	case o.quick:
		return []int{100}
	}
	return []int{1, 100, 1000}
}

// lineBodies returns requests of n events each, a line each, as [requestBodies] does.
func lineBodies(values [][]byte, n int) [][]byte {
	var bodies [][]byte
	for next := 0; next < len(values); {
		var body []byte
		for range n {
			body = append(append(body, values[next%len(values)]...), '\n')
			next++
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// checkAccepted fails unless an answer of /ingest says that n events were written.
func checkAccepted(body []byte, n int) error {
	if want := fmt.Appendf(nil, `{"accepted":%d,"refused":0}`, n); !bytes.Equal(bytes.TrimSpace(body), want) {
		return fmt.Errorf("the answer is %.200s, not %s", body, want)
	}
	return nil
}

// ingestTable has events a second and core, which is what a core of the node can do alone.
func (rep *report) ingestTable(out io.Writer) {
	rows := rep.of("ingest")
	if len(rows) == 0 {
		return
	}
	header(out, "Events without an envelope, and the same as v2 JSON", "events, c", "server", "events/s", "p99", "CPU/event", "events/s a core", "over JSON", "goal", "±", "allocations/request", "RSS")
	for _, r := range rows {
		what := fmt.Sprintf("%d, %d", r.Records, r.Connections)
		if r.Failure != "" {
			line(out, what, r.Server, "FAILED")
			continue
		}
		over, want := rep.ratioOf(r)
		f := r.Figures
		line(out, what, r.Server, count(f.RecordsPerSecond), ms(f.P99), us(f.CPUPerRecord), count(1e6/f.CPUPerRecord), over, goal(want, "≤"), percent(f.Spread), allocs(f.AllocsPerRequest), mib(f.RSS))
	}
}
