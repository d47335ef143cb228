package lab

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// durations are n latencies around 3 ms, from microseconds to seconds.
func durations(n int) (all []time.Duration) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range n {
		all = append(all, time.Duration(math.Exp(rnd.NormFloat64()*2+8)*1000))
	}
	return all
}

// TestHistogramQuantiles holds quantiles against the sorted values, over two
// histograms that are merged and one that another process has filled.
func TestHistogramQuantiles(t *testing.T) {
	var h, other Histogram
	all := durations(20000)
	for i, d := range all {
		if i%3 == 0 {
			other.Add(d)
		} else {
			h.Add(d)
		}
	}
	h.Merge(&other)
	h.Merge(&Histogram{})
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var read Histogram
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	for _, have := range []*Histogram{&h, &read} {
		for _, q := range []float64{0, .01, .25, .5, .9, .99, .999, .9999, 1} {
			want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
			if got := have.Quantile(q); math.Abs(float64(got-want)) > float64(want)*0.008 {
				t.Errorf("quantile %v is %v, want %v", q, got, want)
			}
		}
		sum := time.Duration(0)
		for _, d := range all {
			sum += d
		}
		if mean := sum / time.Duration(len(all)); math.Abs(float64(have.Mean()-mean)) > float64(mean)*0.004 {
			t.Errorf("the mean is %v, want %v", have.Mean(), mean)
		}
		if have.Max() != all[len(all)-1] || have.Count() != 20000 {
			t.Errorf("max %v of %d, want %v of 20000", have.Max(), have.Count(), all[len(all)-1])
		}
	}
}

// TestHistogramBounds counts what lies outside of the range at its ends.
func TestHistogramBounds(t *testing.T) {
	var h Histogram
	if h.Quantile(.5) != 0 || h.Mean() != 0 || h.Count() != 0 || !h.IsZero() {
		t.Error("an empty histogram has figures")
	}
	h.Add(-time.Second)
	h.Add(1000 * time.Hour)
	if h.Count() != 2 || h.Quantile(0) != 0 || h.Max() != longest || h.Quantile(1) != longest {
		t.Errorf("%d from %v to %v", h.Count(), h.Quantile(0), h.Quantile(1))
	}
	for _, text := range []string{`{"hdr":"x"}`, `[]`, `{"hdr":"SElTVA=="}`} {
		if err := json.Unmarshal([]byte(text), &h); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	all := durations(1 << 16)
	var h Histogram
	b.ReportAllocs()
	for i := range b.N {
		h.Add(all[i%len(all)])
	}
}
