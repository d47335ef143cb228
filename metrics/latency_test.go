package metrics

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// natively returns the native buckets of a histogram by their index.
func natively(h *dto.Histogram) map[int32]int64 {
	buckets := make(map[int32]int64)
	at, count, delta := int32(0), int64(0), h.GetPositiveDelta()
	for _, span := range h.GetPositiveSpan() {
		at += span.GetOffset()
		for range span.GetLength() {
			count += delta[0]
			delta = delta[1:]
			buckets[at] = count
			at++
		}
	}
	return buckets
}

// Our histogram equals Prometheus' own, bounds included.
func TestLatencyIsWhatPrometheusCounts(t *testing.T) {
	theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "h", Buckets: secondBuckets[:], NativeHistogramBucketFactor: nativeFactor,
	})
	var ours latency
	observe := func(d time.Duration) {
		theirs.Observe(d.Seconds())
		ours.observe(d)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		observe(time.Duration(float64(2*time.Microsecond) * math.Pow(10, 8*random.Float64())))
	}
	for _, end := range secondBuckets {
		d := time.Duration(math.Round(end * float64(time.Second)))
		observe(d - 1)
		observe(d)
		observe(d + 1)
	}
	for octave := range 8 { // times that are ends of native buckets exactly
		observe(time.Second << octave)
		observe(time.Second >> octave)
	}
	var want, got dto.Metric
	if err := theirs.Write(&want); err != nil {
		t.Fatal(err)
	}
	desc := prometheus.NewDesc("h", "", nil, nil)
	if err := (shown{&ours, desc, nil}).Write(&got); err != nil {
		t.Fatal(err)
	}
	w, g := want.GetHistogram(), got.GetHistogram()
	if g.GetSampleCount() != w.GetSampleCount() || math.Abs(g.GetSampleSum()-w.GetSampleSum()) > 1e-6*w.GetSampleSum() || g.GetSchema() != w.GetSchema() {
		t.Errorf("count %d, sum %v, schema %d; want %d, %v, %d", g.GetSampleCount(), g.GetSampleSum(), g.GetSchema(), w.GetSampleCount(), w.GetSampleSum(), w.GetSchema())
	}
	if !slices.EqualFunc(g.GetBucket(), w.GetBucket(), func(a, b *dto.Bucket) bool {
		return a.GetUpperBound() == b.GetUpperBound() && a.GetCumulativeCount() == b.GetCumulativeCount()
	}) {
		t.Errorf("classic buckets %v\nwant %v", g.GetBucket(), w.GetBucket())
	}
	if !maps.Equal(natively(g), natively(w)) {
		t.Errorf("native buckets %v\nwant %v", natively(g), natively(w))
	}
}

// Times beyond the buckets are counted in the outermost ones.
func TestLatencyOfAnything(t *testing.T) {
	var l latency
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		l.observe(d)
	}
	d := l.read()
	if d[0] != 4 || d[len(d)-1] != 1 || d.Count() != 5 {
		t.Errorf("%d first, %d last, %d in all", d[0], d[len(d)-1], d.Count())
	}
}
