package loadtest

import (
	"math/bits"
	"time"
)

// histogram counts latencies in the manner of HdrHistogram: microseconds,
// exact below 256, then 128 steps to each doubling, so that a percentile is
// off by less than 0.8 %. It grows to the largest value it saw. Not safe for
// use from two goroutines.
type histogram struct {
	counts []uint32
	n      uint64
	sum    time.Duration
	max    time.Duration
}

func bucket(us uint64) int {
	if us < 256 {
		return int(us)
	}
	shift := bits.Len64(us) - 8
	return shift*128 + int(us>>shift)
}

// bucketTop is the largest value of bucket b.
func bucketTop(b int) uint64 {
	if b < 256 {
		return uint64(b)
	}
	shift := b/128 - 1
	return (uint64(b-shift*128)+1)<<shift - 1
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	b := bucket(uint64(d.Microseconds()))
	if b >= len(h.counts) {
		h.counts = append(h.counts, make([]uint32, b+1-len(h.counts))...)
	}
	h.counts[b]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// merge adds what o counted.
func (h *histogram) merge(o *histogram) {
	if len(o.counts) > len(h.counts) {
		h.counts = append(h.counts, make([]uint32, len(o.counts)-len(h.counts))...)
	}
	for b, n := range o.counts {
		h.counts[b] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile is the latency that a share q of all did not exceed; 0 when there
// are none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := uint64(q * float64(h.n))
	if float64(want) < q*float64(h.n) {
		want++
	}
	var seen uint64
	for b, n := range h.counts {
		if seen += uint64(n); seen >= want && n > 0 {
			return min(time.Duration(bucketTop(b))*time.Microsecond, h.max)
		}
	}
	return h.max
}

func (h *histogram) mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}
