package loadtest

import (
	"fmt"
	"math"
)

// Difference is one figure of two runs.
type Difference struct {
	What, Earlier, Now, Change string
	// Class is better, worse, or empty where the difference is small or means
	// neither.
	Class string
}

// noise is the share below which a difference says nothing: two runs of the
// same thing on a quiet machine differ by that much.
const noise = 0.05

// compare sets r beside an earlier run, flow by flow of the same name.
func (r *Result) compare(earlier *Result) (out []Difference) {
	for i := range r.Flows {
		now := &r.Flows[i]
		was := earlier.flow(now.Name)
		if was == nil {
			continue
		}
		add := func(what string, a, b float64, show func(float64) string, moreIsBetter bool) {
			out = append(out, difference(now.Name+": "+what, [2]float64{a, b}, show, moreIsBetter))
		}
		perSecond := func(v float64) string { return showCount(v) + "/s" }
		add("requests", was.Rate, now.Rate, perSecond, true)
		if now.Do != Metadata {
			add("records", was.RecordRate, now.RecordRate, perSecond, true)
		}
		add("p50", was.Latency.P50, now.Latency.P50, showMs, false)
		add("p90", was.Latency.P90, now.Latency.P90, showMs, false)
		add("p99", was.Latency.P99, now.Latency.P99, showMs, false)
		add("p99.9", was.Latency.P999, now.Latency.P999, showMs, false)
		add("max", was.Latency.Max, now.Latency.Max, showMs, false)
		add("errors", was.ErrorRate, now.ErrorRate, showShare, false)
		if now.Steps != nil && was.Steps != nil {
			add("highest rate that held", was.Held, now.Held, perSecond, true)
		}
	}
	if a, b := earlier.Process, r.Process; a != nil && b != nil {
		out = append(out,
			difference("proxy: CPU", [2]float64{a.Cores, b.Cores}, func(v float64) string { return digits(v) + " cores" }, false),
			difference("proxy: peak memory", [2]float64{float64(a.PeakRSS), float64(b.PeakRSS)}, showBytes, false))
	}
	return out
}

func (r *Result) flow(name string) *FlowResult {
	for i := range r.Flows {
		if r.Flows[i].Name == name {
			return &r.Flows[i]
		}
	}
	return nil
}

func difference(what string, v [2]float64, show func(float64) string, moreIsBetter bool) Difference {
	d := Difference{What: what, Earlier: show(v[0]), Now: show(v[1]), Change: "same"}
	change := v[1] - v[0]
	if change == 0 {
		return d
	}
	if v[0] == 0 {
		d.Change = "from none"
	} else {
		d.Change = fmt.Sprintf("%+.0f %%", 100*change/v[0])
		if math.Abs(change/v[0]) < noise {
			return d
		}
	}
	d.Class = "worse"
	if (change > 0) == moreIsBetter {
		d.Class = "better"
	}
	return d
}

// unlike says what makes two runs hard to compare.
func (r *Result) unlike(earlier *Result) (out []string) {
	if r.Text != earlier.Text {
		out = append(out, "the scenarios are not the same text")
	}
	for i := range r.Flows {
		if was := earlier.flow(r.Flows[i].Name); was != nil && was.Load != r.Flows[i].Load {
			out = append(out, fmt.Sprintf("the load of %s was: %s", was.Name, was.Load))
		}
	}
	if r.Machine != earlier.Machine {
		out = append(out, fmt.Sprintf("the earlier one ran on %s with %d CPUs, %s", earlier.Machine.OS, earlier.Machine.CPUs, earlier.Machine.Go))
	}
	return out
}
