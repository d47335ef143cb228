package metrics

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestReading(t *testing.T) {
	m := New(Settings{Topics: 1}, Build{Version: "v"})
	r := m.Route("POST", "/topics/{topic}")
	m.Route("GET", "/never")
	r.Done(200, time.Millisecond, 10, 20)
	first := m.Read()
	for range 97 {
		r.Done(200, time.Millisecond, 10, 20)
	}
	r.Done(404, time.Millisecond, 10, 20)
	r.Done(503, time.Second, 10, 20)
	r.Done(503, time.Second, 10, 20)
	m.Failure("overloaded", 50301).Requests.Add(2)
	m.Failure("never", 1)
	m.Format("json").Produced.Add(7)
	for _, name := range []string{"a", "b"} { // more topics than series
		m.Topics().Produced(name, 3, 30)
	}
	got := m.Read()
	if len(got.Routes) != 1 || got.Routes[0].Requests != 101 || got.Routes[0].Failed != 3 || got.Routes[0].Broken != 2 || got.Routes[0].Received != 1010 || got.Routes[0].Sent != 2020 {
		t.Errorf("routes: %+v", got.Routes)
	}
	if want := []FailureReading{{"overloaded", 50301, 2, 0}}; !slices.Equal(got.Failures, want) {
		t.Errorf("failures: %+v", got.Failures)
	}
	if want := []FormatReading{{"json", 7, 0, 0}}; !slices.Equal(got.Formats, want) {
		t.Errorf("formats: %+v", got.Formats)
	}
	if topics := slices.Collect(m.Topics().All()); len(topics) != 2 || topics[0].ProducedRecords != 3 || topics[1].ProducedBytes != 30 {
		t.Errorf("topics: %+v", topics)
	}
	since := got.Routes[0].Took.Since(&first.Routes[0].Took)
	if since.Count() != 100 {
		t.Errorf("%d since the first reading", since.Count())
	}
	near := func(q float64, want time.Duration) {
		t.Helper()
		if got := since.Quantile(q); math.Abs(math.Log2(float64(got)/float64(want))) > 1.0/8 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	near(.5, time.Millisecond)
	near(.98, time.Millisecond)
	near(.99, time.Second)
	near(1, time.Second)
}

// Quantiles are close to the true ones for all times that a request can take.
func TestDurationsOfAllTimes(t *testing.T) {
	m := New(Settings{}, Build{})
	r := m.Route("GET", "/")
	const n = 20_000
	for i := range n { // from 100 ns to 1000 s
		r.Done(200, time.Duration(100*math.Pow(10, 10*float64(i)/n)), 0, 0)
	}
	took := m.Read().Routes[0].Took
	if took.Count() != n {
		t.Errorf("%d of %d are counted", took.Count(), n)
	}
	for _, q := range []float64{.2, .5, .9} {
		want := 100 * math.Pow(10, 10*q)
		if got := float64(took.Quantile(q)); got < want/1.5 || got > want*1.5 {
			t.Errorf("quantile %v is %v, want about %v", q, time.Duration(got), time.Duration(want))
		}
	}
}

func TestDurationsOfNothing(t *testing.T) {
	var none Durations
	if q := none.Quantile(.5); q != 0 {
		t.Errorf("the median of nothing is %v", q)
	}
}

// BenchmarkRead reads the metrics of a node with ten busy routes.
func BenchmarkRead(b *testing.B) {
	m := New(Settings{}, Build{})
	for i := range 80 {
		r := m.Route("GET", string(rune('a'+i)))
		for n := range 1000 * (10 - min(i, 10)) {
			r.Done(200, time.Duration(n)*37*time.Microsecond, 1, 1)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Read()
	}
}
