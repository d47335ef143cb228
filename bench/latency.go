package main

import "context"

// latencySuite measures how long a request of one record takes where there is
// room to spare, and what CPU it takes then: in an open loop at half of the
// highest rate, beside both floors at the same rate. At their own highest rates,
// as in the produce suite, the floors never idle, and a process that does pays
// for each time that it sleeps and wakes.
func (b *bench) latencySuite(ctx context.Context) error {
	at := b.plainPlace("latency", 1)
	own := contender{server: millraceJSON, at: at, run: b.runMillrace, kafka: true}
	highest := own.row()
	b.report.Rows = append(b.report.Rows, highest)
	if err := b.produceOnce(ctx, own, highest); err != nil || highest.Failure != "" {
		return err
	}
	own.at.Rate = float64(highest.Rounds[0].Requests) / highest.Rounds[0].Seconds / 2
	http := contender{server: httpFloor, at: own.at.of(httpFloor), run: b.runHTTPFloor}
	floor := contender{server: kafkaFloor, at: own.at.of(kafkaFloor), run: b.kafkaFloorWith(b.opts.linger), kafka: true}
	return b.produceRows(ctx, []contender{http, floor, own})
}
