package main

import (
	"context"
	"time"
)

// spreads are what the load of the growth suite is spread over, the first being
// what the others are compared with.
var spreads = []spread{{1, 1}, {1000, 1}, {1, 256}}

type spread struct{ topics, partitions int }

// growthWarmUp is longer than that of other suites: a broker takes a while over
// the first record of each partition.
const growthWarmUp = 15 * time.Second

// growthSuite measures whether a record costs the same however many topics and
// partitions the load goes to, and how much of what it costs more is the Kafka
// client's.
func (b *bench) growthSuite(ctx context.Context) error {
	warmer := *b
	warmer.opts.timing.Warm = growthWarmUp
	spreads := spreads
	if b.opts.quick {
		warmer.opts.timing = b.opts.timing
		spreads = []spread{{1, 1}, {10, 1}, {1, 4}}
	}
	p := point{Records: 100, Connections: connections(100), ValueBytes: b.opts.valueBytes[0], Compression: "none"}
	var all []contender
	var rows []*row
	for _, c := range []contender{
		{server: kafkaFloor, run: warmer.kafkaFloorWith(b.opts.linger), kafka: true},
		{server: millraceJSON, run: warmer.millraceWith("json"), kafka: true},
	} {
		for _, s := range spreads {
			r := p.row("growth", c.server)
			r.Topics, r.Partitions = s.topics, s.partitions
			all, rows = append(all, c), append(rows, r)
		}
	}
	return warmer.produceRows(ctx, p, all, rows)
}
