package ui

import (
	"math"

	"millrace/codec/json"
	"millrace/metrics"
)

// pointFields names the members of a point, in their order.
var pointFields = []string{
	"at", "requests", "failed", "records_in", "records_out", "bytes_in", "bytes_out", "p50", "p99", "ratio", "broken",
	"consume_p50", "consume_p99", "age_p50", "age_p99",
}

// point holds the figures of one second: rates per second, and for the produce requests of that
// second their latency. Reads wait for records, so that their times are no latency: consume has
// theirs without that wait, and age how old the records are that they return.
type point struct {
	at                    int64
	requests              float64
	failed, broken        float64 // of these, with a status of 400 or more; of 500 or more
	recordsIn, recordsOut float64
	bytesIn, bytesOut     float64
	p50, p99, ratio       *float64    // seconds; compression; nil when nothing was measured
	consume, age          [2]*float64 // p50 and p99
}

// MarshalJSON writes the members of [pointFields] as an array.
func (p *point) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{
		p.at, p.requests, p.failed, p.recordsIn, p.recordsOut, p.bytesIn, p.bytesOut, p.p50, p.p99, p.ratio, p.broken,
		p.consume[0], p.consume[1], p.age[0], p.age[1],
	})
}

// invisible is below all that a chart or a table shows. A rate that falls by a share of itself each
// second comes to where the scale of short would be infinite.
const invisible = 1e-100

// short drops the digits that a chart cannot show.
func short(v float64) float64 {
	if math.Abs(v) < invisible {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// pointOf compares two readings.
func (p *sampler) pointOf(before, now *reading) *point {
	was, is := totalsOf(before), totalsOf(now)
	rate := func(before, after uint64, r *reading) float64 { return perSecond(r, now, after-before) }
	pt := &point{
		at:         now.at.UnixMilli(),
		requests:   rate(was.Requests, is.Requests, before),
		failed:     rate(was.Failed, is.Failed, before),
		broken:     rate(was.Broken, is.Broken, before),
		recordsIn:  rate(was.RecordsIn, is.RecordsIn, before),
		recordsOut: rate(was.RecordsOut, is.RecordsOut, before),
		bytesIn:    rate(was.Received, is.Received, before),
		bytesOut:   rate(was.Sent, is.Sent, before),
	}
	var took metrics.Durations
	for i := range now.Routes {
		n := &now.Routes[i]
		if !p.produces[n.Method+" "+n.Path] {
			continue
		}
		since := n.Took.Since(&routeIn(before, n).Took)
		took.Add(&since)
	}
	pt.p50, pt.p99 = quantile(&took, .5), quantile(&took, .99)
	consume, age := now.ConsumeLatency.Since(&before.ConsumeLatency), now.ConsumeAge.Since(&before.ConsumeAge)
	pt.consume = [2]*float64{quantile(&consume, .5), quantile(&consume, .99)}
	pt.age = [2]*float64{quantile(&age, .5), quantile(&age, .99)}
	pt.ratio = ratioOf(before, now)
	return pt
}

// ratioOf returns the compression ratio of the records between two readings, nil when there were
// none.
func ratioOf(before, now *reading) *float64 {
	var in, out uint64
	for _, c := range now.codecs {
		in, out = in+c.In, out+c.Out
	}
	for _, c := range before.codecs {
		in, out = in-c.In, out-c.Out
	}
	if in == 0 || out == 0 {
		return nil
	}
	ratio := short(float64(in) / float64(out))
	return &ratio
}
