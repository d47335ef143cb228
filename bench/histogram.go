package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width is 1/32 of their value, so
// a quantile is exact to 3 %. The zero value is empty. It is not safe for
// concurrent use: every worker has one, and they are added up at the end.
type histogram struct {
	// Counts by bucket, as long as the largest duration needs.
	Counts []uint64 `json:"counts,omitempty"`
}

// subBuckets is how many buckets a doubling is divided into, as a power of two.
const subBuckets = 5

func (h *histogram) add(d time.Duration) {
	b := bucket(uint64(max(d, 0)))
	for b >= len(h.Counts) {
		h.Counts = append(h.Counts, 0)
	}
	h.Counts[b]++
}

// merge adds the counts of other.
func (h *histogram) merge(other histogram) {
	for len(h.Counts) < len(other.Counts) {
		h.Counts = append(h.Counts, 0)
	}
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
}

// quantile returns the duration that a share q of all does not exceed, 0 when
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	var total uint64
	for _, n := range h.Counts {
		total += n
	}
	want := uint64(q * float64(total))
	var seen uint64
	for i, n := range h.Counts {
		if seen += n; seen > want || n > 0 && seen == total {
			return time.Duration(upper(i))
		}
	}
	return 0
}

// bucket numbers the buckets: the position of the highest bit, and the bits
// below it. Small values have a bucket each.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBuckets-1, 0)
	return shift<<subBuckets + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(b int) uint64 {
	if b < 2<<subBuckets {
		return uint64(b)
	}
	shift := b>>subBuckets - 1
	return uint64(b-shift<<subBuckets+1)<<shift - 1
}
