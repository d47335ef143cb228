package main

import (
	"fmt"
	"io"
	"strconv"
)

// verdict is a goal beside what was measured of it.
type verdict struct {
	What     string `json:"what"`
	Goal     string `json:"goal"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

// Goals of millrace beside the ratios of ratio.go.
const (
	latencyGoal = 1.0 // ms at p99 over the bare producer's
	allocsGoal  = 6   // allocations a request, whatever the number of records

	// CPU a record with many topics, and with many partitions, over that with one of each.
	topicsGoal, partitionsGoal = 1.6, 1.1
)

// memoryGoals are bounds for the resident memory at its peak, in MB, by records
// a request.
var memoryGoals = map[int]int64{1: 48, 1000: 96}

// peerGoals are how many times the CPU of a request of millrace the Confluent
// proxy's is to be, by records a request.
var peerGoals = map[int]float64{1: 30, 100: 20}

// verdicts are all goals that the run has figures for.
func (rep *report) verdicts() (out []verdict) {
	add := func(what, goal, measured string, met bool) {
		out = append(out, verdict{what, goal, measured, met})
	}
	for _, q := range rep.Ratios {
		if q.Goal > 0 && q.Suite == "metadata" {
			add(q.name()+", requests/s over the "+q.Over, goal(q.Goal, "≥"), digits(q.Ratio), q.Ratio >= q.Goal)
		} else if q.Goal > 0 {
			add(q.name()+", CPU over "+q.Over, goal(q.Goal, "≤"), digits(q.Ratio), q.Ratio <= q.Goal)
		}
	}
	for _, q := range rep.Peers {
		if want := peerGoals[q.Records]; want > 0 && q.Proxy == confluent && q.Elsewhere {
			add(q.String()+", CPU of "+q.Proxy+" over ours", goal(want, "≥"), digits(q.Times), q.Times >= want)
		}
	}
	for _, r := range rep.Rows {
		if r.Failure != "" {
			continue
		}
		f := r.Figures
		switch {
		case r.Suite == "produce" && r.Server == millraceJSON && r.ValueBytes == 200 && r.Compression == "none":
			add(fmt.Sprintf("produce, %s, %d records, allocations a request", r.Server, r.Records), fmt.Sprintf("≤ %d", allocsGoal),
				fmt.Sprintf("%.1f", f.AllocsPerRequest), f.AllocsPerRequest <= allocsGoal)
		case r.Suite == "memory":
			want := memoryGoals[r.Records]
			add(fmt.Sprintf("memory at its peak, %d connections of %d records", r.Connections, r.Records), fmt.Sprintf("≤ %d MB", want),
				fmt.Sprintf("%.0f MB", float64(f.Peak)/1e6), f.Peak <= want*1e6)
		case r.Suite == "latency" && r.Server == millraceJSON && r.Rate > 0:
			if floor := rep.find(r, kafkaFloor); floor != nil {
				more := f.P99 - floor.Figures.P99
				add(fmt.Sprintf("p99 at %s requests/s over the bare producer's", count(r.Rate)), fmt.Sprintf("≤ %g ms", latencyGoal),
					fmt.Sprintf("%+.2f ms", more), more <= latencyGoal)
			}
		case r.Suite == "growth" && r.Server == millraceJSON:
			if one := rep.oneOfEach(r); one != nil && one != r {
				over := f.CPUPerRecord / one.Figures.CPUPerRecord
				want := r.growthGoal()
				add(fmt.Sprintf("CPU a record with %d topics of %d partitions, over one of each", r.Topics, r.Partitions),
					goal(want, "≤"), digits(over), over <= want)
			}
		}
	}
	return out
}

// oneOfEach returns the row of the same server with one topic of one partition, nil if it failed.
func (rep *report) oneOfEach(r *row) *row {
	for _, o := range rep.Rows {
		if o.Server == r.Server && o.place == r.place && o.Topics == 1 && o.Partitions == 1 && o.Failure == "" {
			return o
		}
	}
	return nil
}

// growthGoal is the goal of a row of the growth suite over one topic of one partition.
func (r *row) growthGoal() float64 {
	if r.Topics > 1 {
		return topicsGoal
	}
	return partitionsGoal
}

// name says what was compared.
func (q *ratio) name() string { return q.String() + ", " + q.Server }

func digits(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

func (rep *report) goalTable(out io.Writer) {
	if len(rep.Goals) == 0 {
		return
	}
	header(out, "Goals", "what", "goal", "measured", "")
	for _, v := range rep.Goals {
		met := "met"
		if !v.Met {
			met = "**missed**"
		}
		line(out, v.What, v.Goal, v.Measured, met)
	}
}
