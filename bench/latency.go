package main

import "context"

// latencySuite measures how long a request of one record takes where there is
// room to spare: in an open loop at half of the highest rate, beside the bare
// producer at the same rate.
func (b *bench) latencySuite(ctx context.Context) error {
	p := point{Records: 1, Connections: connections(1), ValueBytes: b.opts.valueBytes[0], Compression: "none"}
	own := contender{server: millraceJSON, run: b.millraceWith("json"), kafka: true}
	highest := p.row("latency", own.server)
	b.report.Rows = append(b.report.Rows, highest)
	if err := b.produceOnce(ctx, own, p, highest); err != nil || highest.Failure != "" {
		return err
	}
	p.Rate = float64(highest.Rounds[0].Requests) / highest.Rounds[0].Seconds / 2
	floor := contender{server: kafkaFloor, run: b.kafkaFloorWith(b.opts.linger), kafka: true}
	return b.producePoint(ctx, "latency", p, []contender{floor, own})
}
