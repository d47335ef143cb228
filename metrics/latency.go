package metrics

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// latency is a histogram of times with classic and native buckets. It is our own because every
// request writes to one: Prometheus' takes twice as long as everything else that a request
// counts. A cell lies between two bounds of either kind, so one addition counts for both,
// exactly.
//
// The zero value has counted nothing.
type latency struct {
	cells [durationBuckets + len(secondBuckets)]atomic.Uint64
	sum   atomic.Int64 // nanoseconds, or of unit
	// unit is that of the sum if it is not 0: for times that are so long that nanoseconds overflow.
	unit time.Duration
}

// durationBuckets is how many native buckets there are.
const durationBuckets = lastDuration - firstDuration + 1

// secondBuckets are the ends of classic buckets, in seconds.
var secondBuckets = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// These tables map native buckets to cells, and cells to buckets. Native buckets are numbered by
// their index in [Durations].
var (
	// steps are the mantissas of 2^(i/8): the native bounds within an octave.
	steps [1 << durationSchema]uint64
	// cellOf is the first cell of a native bucket; a time above splitAt belongs to the next cell.
	cellOf  [durationBuckets]int
	splitAt [durationBuckets]float64
	// nativeOf and classicOf are the buckets of a cell.
	nativeOf, classicOf [durationBuckets + len(secondBuckets)]int
)

func init() {
	for i := range steps {
		steps[i] = math.Float64bits(math.Exp2(float64(i)/(1<<durationSchema))) & mantissa
	}
	cell, classic := 0, 0
	for i := range cellOf {
		cellOf[i], splitAt[i] = cell, math.Inf(1)
		nativeOf[cell], classicOf[cell] = i, classic
		cell++
		if classic < len(secondBuckets) && nativeBucket(secondBuckets[classic]) == i {
			splitAt[i] = secondBuckets[classic]
			classic++
			nativeOf[cell], classicOf[cell] = i, classic
			cell++
		}
	}
	if cell != len(nativeOf) {
		panic("BUG: two bounds of classic buckets lie in one native bucket")
	}
}

const (
	mantissaBits = 52
	mantissa     = 1<<mantissaBits - 1
	exponentBias = 1023
)

// nativeBucket returns the native bucket of a time in seconds.
func nativeBucket(seconds float64) int {
	bits := math.Float64bits(seconds)
	i := (int(bits>>mantissaBits)-exponentBias)<<durationSchema - firstDuration
	for _, step := range steps {
		if bits&mantissa > step {
			i++
		}
	}
	return min(max(i, 0), durationBuckets-1)
}

func (l *latency) observe(took time.Duration) {
	took = max(took, 0)
	seconds := float64(took) / float64(time.Second)
	native := nativeBucket(seconds)
	cell := cellOf[native]
	if seconds > splitAt[native] {
		cell++
	}
	l.cells[cell].Add(1)
	l.sum.Add(int64(took / max(l.unit, 1)))
}

// read returns the native buckets.
func (l *latency) read() (d Durations) {
	for cell := range l.cells {
		d[nativeOf[cell]] += l.cells[cell].Load()
	}
	return d
}

// shown is a latency in the form of a scrape.
type shown struct {
	*latency
	desc   *prometheus.Desc
	labels []*dto.LabelPair
}

// Desc implements [prometheus.Metric].
func (s shown) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s shown) Write(m *dto.Metric) error {
	var native Durations
	var classic [len(secondBuckets) + 1]uint64
	count := uint64(0)
	for cell := range s.cells {
		n := s.cells[cell].Load()
		native[nativeOf[cell]] += n
		classic[classicOf[cell]] += n
		count += n
	}
	h := &dto.Histogram{
		SampleCount: &count, SampleSum: proto.Float64(float64(s.sum.Load()) * max(s.unit, 1).Seconds()),
		Schema: proto.Int32(durationSchema), ZeroThreshold: proto.Float64(prometheus.DefNativeHistogramZeroThreshold), ZeroCount: proto.Uint64(0),
	}
	below := uint64(0)
	for i := range secondBuckets {
		below += classic[i]
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &secondBuckets[i], CumulativeCount: proto.Uint64(below)})
	}
	end, last := int32(0), int64(0)
	for i, n := range native {
		if n == 0 {
			continue
		}
		at := int32(firstDuration + i)
		if len(h.PositiveSpan) == 0 || at > end {
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: proto.Int32(at - end), Length: proto.Uint32(0)})
		}
		*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-last)
		end, last = at+1, int64(n)
	}
	m.Label, m.Histogram = slices.Clone(s.labels), h
	return nil
}
