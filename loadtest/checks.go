package loadtest

import (
	"fmt"
	"time"
)

// Check is one thing that the run had to hold.
type Check struct {
	What string `json:"what"`
	Want string `json:"want"`
	Have string `json:"have"`
	Held bool   `json:"held"`
}

// figures are what an Expect is held against.
type figures struct {
	latency       Latency
	errors        float64
	rate, dueRate float64
}

// against compares figures with e; name goes before what was checked.
func (e Expect) against(name string, f figures) (out []Check) {
	limit := func(what string, want time.Duration, have float64) {
		if want > 0 {
			out = append(out, Check{name + what, "≤ " + showMs(ms(want)), showMs(have), have <= ms(want)})
		}
	}
	limit("p50", e.P50, f.latency.P50)
	limit("p90", e.P90, f.latency.P90)
	limit("p99", e.P99, f.latency.P99)
	limit("p99.9", e.P999, f.latency.P999)
	limit("max", e.Max, f.latency.Max)
	if e.Errors != nil {
		out = append(out, Check{name + "errors", "≤ " + showShare(*e.Errors), showShare(f.errors), f.errors <= *e.Errors})
	}
	if e.MinRateShare > 0 {
		// The last answers come a moment after the last request is due.
		share := 0.0
		if f.dueRate > 0 {
			share = f.rate / f.dueRate
		}
		out = append(out, Check{
			name + "answered in time", fmt.Sprintf("≥ %s of those due", showShare(e.MinRateShare)), showShare(min(share, 1)), share >= e.MinRateShare,
		})
	}
	if e.MinRate > 0 {
		out = append(out, Check{name + "rate", "≥ " + showCount(e.MinRate) + "/s", showCount(f.rate) + "/s", f.rate >= e.MinRate})
	}
	return out
}

// judge fills in r.Checks and r.Pass.
func (r *Result) judge(s *Scenario) {
	for i, f := range s.Flows {
		res := r.Flows[i]
		name := f.Name + ": "
		if f.Steps != nil {
			r.Checks = append(r.Checks, stepsCheck(name, f, res))
			continue
		}
		r.Checks = append(r.Checks, deliveryChecks(name, f, s, res.Delivery)...)
		fig := figures{res.Latency, res.ErrorRate, res.Rate, res.DueRate}
		r.Checks = append(r.Checks, f.Expect.against(name, fig)...)
	}
	if v := r.Verification; v != nil {
		r.Checks = append(r.Checks,
			atMost("records lost", v.Lost, 0),
			atMost("records doubled", v.Doubled, s.Doubled),
			atMost("records reordered", v.Reordered, s.Reordered),
			atMost("records not where the answer said", v.Misplaced, 0),
			Check{"read back from Kafka", "all", verified(v), v.Complete && v.Expired == 0})
	}
	r.Pass = true
	for _, c := range r.Checks {
		r.Pass = r.Pass && c.Held
	}
}

// deliveryChecks are for what a consumer group was given; d may be nil. Repeated records fail
// it only where the scenario asks for that, because a group delivers at least once.
func deliveryChecks(name string, f Flow, s *Scenario, d *Delivery) (out []Check) {
	if d == nil {
		return nil
	}
	out = append(out, atMost(name+"records delivered out of order", d.Reordered, s.Reordered))
	if f.Expect.Repeated != nil {
		out = append(out, atMost(name+"records delivered again", d.Repeated, *f.Expect.Repeated))
	}
	if d.Compared {
		out = append(out,
			atMost(name+"records never delivered", d.Undelivered, 0),
			atMost(name+"records delivered as others", d.Misplaced, 0))
	}
	if d.Unnoted > 0 {
		out = append(out, atMost(name+"deliveries too many to compare", d.Unnoted, 0))
	}
	return out
}

func atMost(what string, have uint64, want int) Check {
	return Check{what, fmt.Sprintf("≤ %d", want), fmt.Sprint(have), have <= uint64(want)}
}

func verified(v *Verification) string {
	switch {
	case !v.Complete:
		return "not all: " + v.Reason
	case v.Expired > 0:
		return fmt.Sprintf("not %d, which retention removed first", v.Expired)
	}
	return "all"
}

// stepsCheck wants the first step to hold, or with a rate in expect all up to
// that rate: the others are there to find the limit.
func stepsCheck(name string, f Flow, res FlowResult) Check {
	want := max(f.Expect.MinRate, f.Steps.Start)
	return Check{name + "highest rate that held", "≥ " + showCount(want) + "/s", showCount(res.Held) + "/s", res.Held >= want}
}
