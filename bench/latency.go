package main

import (
	"context"
	"fmt"
)

// latencySuite measures how long a request of one record takes where there is
// room to spare: in an open loop at half of the highest rate, beside the bare
// producer at the same rate.
func (b *bench) latencySuite(ctx context.Context) error {
	p := point{Records: 1, Connections: connections(1), ValueBytes: b.opts.valueBytes[0], Compression: "none"}
	own := contender{server: millraceJSON, run: b.millraceWith("json"), kafka: true}
	highest := b.latencyRow(own, p)
	if err := b.produceOnce(ctx, own, p, highest); err != nil || highest.Failure != "" {
		return err
	}
	p.Rate = float64(highest.Rounds[0].Requests) / highest.Rounds[0].Seconds / 2
	all := []contender{{server: kafkaFloor, run: b.kafkaFloorWith(b.opts.linger), kafka: true}, own}
	rows := []*row{b.latencyRow(all[0], p), b.latencyRow(all[1], p)}
	for _, i := range b.order(len(all)) {
		if err := b.produceOnce(ctx, all[i], p, rows[i]); err != nil {
			return err
		}
		b.mustKeepUp(rows[i])
	}
	return nil
}

// mustKeepUp fails a row whose last round did not come to the rate that was due.
func (b *bench) mustKeepUp(r *row) {
	if len(r.Rounds) == 0 || b.opts.quick {
		return
	}
	w := r.Rounds[len(r.Rounds)-1]
	if rate := float64(w.Requests) / w.Seconds; rate < 0.95*r.Rate {
		r.fail(fmt.Sprintf("only %.0f of %.0f requests a second were sent", rate, r.Rate))
	}
}

func (b *bench) latencyRow(c contender, p point) *row {
	r := &row{
		Suite: "latency", Server: c.server, Records: p.Records, Connections: p.Connections,
		ValueBytes: p.ValueBytes, Compression: p.Compression, Rate: p.Rate,
	}
	b.report.Rows = append(b.report.Rows, r)
	return r
}
