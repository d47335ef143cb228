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

// Latency is only the time after both the question and the record: a wait for records is none.
func TestLatencyOfReads(t *testing.T) {
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := func(ms int) time.Time { return asked.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name               string
		ready, first, last time.Time
		latency, age       float64 // seconds
		withoutAge         bool
	}{
		{"records that were there", after(20), after(-5000), after(-3000), .02, 5.02, false},
		{"records that came while it waited", after(900), after(880), after(895), .005, .02, false},
		{"a clock that is ahead", after(20), after(10), after(99_000), .02, .01, false},
		{"a first record of a clock that is ahead", after(20), after(60_000), after(60_000), .02, 0, false},
		{"an event of long ago", after(20), after(-1_000_000_000), after(-1_000_000_000), .02, 1024, false},
		{"records without timestamps", after(20), time.UnixMilli(-1), time.UnixMilli(-1), .02, 0, true},
	} {
		m := New(Settings{}, Build{})
		m.Returned(asked, c.ready, c.first, c.last)
		got := map[string]*dto.Histogram{}
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetHistogram()
		}
		latency, age := got[consumeLatency.Name], got[consumeAge.Name]
		if n, sum := latency.GetSampleCount(), latency.GetSampleSum(); n != 1 || math.Abs(sum-c.latency) > 1e-6 {
			t.Errorf("%s: %d latencies of %v s, want %v", c.name, n, sum, c.latency)
		}
		if n, sum := age.GetSampleCount(), age.GetSampleSum(); (n == 0) != c.withoutAge || math.Abs(sum-c.age) > 1e-6 {
			t.Errorf("%s: %d ages of %v s, want %v", c.name, n, sum, c.age)
		}
		if read := m.Read(); read.ConsumeLatency.Count() != 1 || read.ConsumeAge.Count() != age.GetSampleCount() {
			t.Errorf("%s: a reading has %d and %d", c.name, read.ConsumeLatency.Count(), read.ConsumeAge.Count())
		}
	}
}

// The sum of ages does not overflow when an old topic is read from its beginning.
func TestAgesDoNotOverflow(t *testing.T) {
	m := New(Settings{}, Build{})
	old := time.UnixMilli(1)
	for range 2000 {
		m.Returned(time.Now(), time.Now(), old, old)
	}
	m.consumeAge.sum.Add(m.consumeAge.sum.Load() * 10_000_000) // a thousand reads a second for half a year
	if m.consumeAge.sum.Load() <= 0 {
		t.Errorf("the sum is %d", m.consumeAge.sum.Load())
	}
}
