package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The buckets of [Durations] are those of native histograms of schema 3: bucket
// i ends at 2^(i/8) seconds, here from 1 µs to 128 s.
const (
	durationSchema = 3
	firstDuration  = -20 << durationSchema
	lastDuration   = 7 << durationSchema
)

// Durations counts requests by how long they took, in buckets that are 9 %
// wide. The zero value has counted none.
type Durations [lastDuration - firstDuration + 1]uint64

// durationsOf reads a histogram with native buckets.
func durationsOf(o prometheus.Observer) (d Durations) {
	var shown dto.Metric
	if o.(prometheus.Metric).Write(&shown) != nil {
		return d
	}
	h := shown.GetHistogram()
	d[0] = h.GetZeroCount()
	// A histogram that has grown too many buckets makes them twice as wide,
	// each time by one schema. Their ends are ends of ours too.
	wider := max(durationSchema-h.GetSchema(), 0)
	index, count, delta := int32(0), int64(0), h.GetPositiveDelta()
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			count += delta[0]
			delta = delta[1:]
			d[min(max(index<<wider, firstDuration), lastDuration)-firstDuration] += uint64(count)
			index++
		}
	}
	return d
}

// Add counts what other has counted too.
func (d *Durations) Add(other *Durations) {
	for i := range d {
		d[i] += other[i]
	}
}

// Since returns what was counted after earlier. It is nothing at all when the
// histogram's buckets have become wider in between, as happens a few times in
// its life: what moved then from bucket to bucket took no time.
func (d *Durations) Since(earlier *Durations) (since Durations) {
	for i := range d {
		if d[i] < earlier[i] {
			return Durations{}
		}
		since[i] = d[i] - earlier[i]
	}
	return since
}

// Count returns how many requests were counted.
func (d *Durations) Count() (n uint64) {
	for _, c := range d {
		n += c
	}
	return n
}

// Quantile returns the time within which the fraction q of the requests was
// answered, and 0 when there were none.
func (d *Durations) Quantile(q float64) time.Duration {
	rank := q * float64(d.Count())
	if rank == 0 {
		return 0
	}
	seen := 0.0
	for i, c := range d {
		if n := float64(c); seen+n >= rank {
			// The buckets' widths grow evenly, and so does the place in one.
			at := float64(firstDuration+i-1) + (rank-seen)/n
			return time.Duration(math.Exp2(at/(1<<durationSchema)) * float64(time.Second))
		}
		seen += float64(c)
	}
	return 0
}
