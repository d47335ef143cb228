package metrics

import (
	"math"
	"time"
)

// The buckets of [Durations] are those of native histograms of schema 3: bucket i ends at 2^(i/8)
// seconds, here from 1 µs to 1024 s. The first and the last count the times beyond.
const (
	durationSchema = 3
	firstDuration  = -20 << durationSchema
	lastDuration   = 10 << durationSchema
)

// Durations counts requests by how long they took, in buckets that are 9 %
// wide. The zero value has counted none.
type Durations [durationBuckets]uint64

// Add adds the counts of other.
func (d *Durations) Add(other *Durations) {
	for i := range d {
		d[i] += other[i]
	}
}

// Since returns the counts after earlier.
func (d *Durations) Since(earlier *Durations) (since Durations) {
	for i := range d {
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

// Quantile returns the time within which the fraction q of the requests was answered, and 0
// without requests.
func (d *Durations) Quantile(q float64) time.Duration {
	rank := q * float64(d.Count())
	if rank == 0 {
		return 0
	}
	seen := 0.0
	for i, c := range d {
		if n := float64(c); seen+n >= rank {
			// The buckets grow evenly in width, and so does the position within one.
			at := float64(firstDuration+i-1) + (rank-seen)/n
			return time.Duration(math.Exp2(at/(1<<durationSchema)) * float64(time.Second))
		}
		seen += float64(c)
	}
	return 0
}
