package main

import (
	"context"
	"time"
)

// spreads are what the load of the growth suite is spread over, the first being
// what the others are compared with.
var spreads = []spread{{1, 1}, {1000, 1}, {1, 256}}

type spread struct{ topics, partitions int }

// growthWarmUp is longer than that of other suites where there is more than one
// partition: a broker takes a while over the first record of each.
const growthWarmUp = 15 * time.Second

// growthSuite measures whether a record costs the same however many topics and
// partitions the load goes to, and how much of what it costs more is the Kafka
// client's.
func (b *bench) growthSuite(ctx context.Context) error {
	spreads := spreads
	if b.opts.quick {
		spreads = []spread{{1, 1}, {10, 1}, {1, 4}}
	}
	var all []contender
	var rows []*row
	for _, server := range []string{kafkaFloor, millraceJSON} {
		for _, s := range spreads {
			warmer := *b
			if s != spreads[0] && !b.opts.quick {
				warmer.opts.timing.Warm = growthWarmUp
			}
			c := contender{server: server, at: b.plainPlace("growth", 100).of(server), run: warmer.runMillrace, kafka: true}
			if server == kafkaFloor {
				c.run = warmer.kafkaFloorWith(b.opts.linger)
			}
			r := c.row()
			r.Topics, r.Partitions = s.topics, s.partitions
			all, rows = append(all, c), append(rows, r)
		}
	}
	return b.spreadRows(ctx, all, rows)
}
