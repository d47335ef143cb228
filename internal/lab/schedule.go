package lab

import (
	"math"
	"time"
)

// Stage is a stretch of time at a rate, in requests a second, that moves evenly from
// From to To.
type Stage struct {
	From, To float64
	For      time.Duration
}

// Schedule says when each request of an open loop is due: request i (from 0) at
// At(i) after the beginning, whatever became of those before it. It never changes.
type Schedule struct {
	stages []Stage
	ends   []float64 // requests due by the end of each stage
	length time.Duration
}

// NewSchedule returns the schedule of stages that follow each other.
func NewSchedule(stages ...Stage) *Schedule {
	s := &Schedule{stages: stages}
	sum := 0.0
	for _, st := range stages {
		sum += (st.From + st.To) / 2 * st.For.Seconds()
		s.ends = append(s.ends, sum)
		s.length += st.For
	}
	return s
}

// Total returns how many requests are due in all.
func (s *Schedule) Total() uint64 {
	if len(s.ends) == 0 {
		return 0
	}
	// A little slack, so that 0.1/s for 30 s is 3 and not 2.
	return uint64(math.Ceil(s.ends[len(s.ends)-1] - 1e-6))
}

// Length returns the time from the beginning to the end of the last stage.
func (s *Schedule) Length() time.Duration { return s.length }

// At returns when request i is due, for i below Total.
func (s *Schedule) At(i uint64) time.Duration {
	var began time.Duration
	before := 0.0
	for k, st := range s.stages {
		if n := float64(i) - before; float64(i) < s.ends[k] || k == len(s.stages)-1 {
			return began + time.Duration(st.after(n)*float64(time.Second))
		}
		before = s.ends[k]
		began += st.For
	}
	return began
}

// after returns the number of seconds in which the stage sends n requests: the rate
// grows by slope, so n = From·t + slope·t²/2, solved for t. The form below has no
// difference of nearly equal numbers when slope is small.
func (st Stage) after(n float64) float64 {
	slope := (st.To - st.From) / st.For.Seconds()
	root := math.Sqrt(max(st.From*st.From+2*slope*n, 0))
	return 2 * n / (st.From + root)
}
