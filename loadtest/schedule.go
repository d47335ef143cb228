package loadtest

import (
	"math"
	"sync"
	"time"
)

// schedule says when each request of a leg is due: request i (from 0) at at(i)
// after the beginning, whatever became of those before it.
type schedule struct {
	stages []Stage
	ends   []float64 // requests due by the end of each stage
}

func newSchedule(stages []Stage) *schedule {
	s := &schedule{stages: stages}
	sum := 0.0
	for _, st := range stages {
		sum += (st.From + st.To) / 2 * st.For.Seconds()
		s.ends = append(s.ends, sum)
	}
	return s
}

// total is how many requests are due in all.
func (s *schedule) total() uint64 {
	if len(s.ends) == 0 {
		return 0
	}
	// A little slack, so that 0.1/s for 30 s is 3 and not 2.
	return uint64(math.Ceil(s.ends[len(s.ends)-1] - 1e-6))
}

// length is the time from the beginning to the end of the last stage.
func (s *schedule) length() time.Duration { return stagesTime(s.stages) }

// at is when request i is due, for i below total.
func (s *schedule) at(i uint64) time.Duration {
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

// after is the number of seconds in which the stage sends n requests: the
// rate grows by slope, so n = From·t + slope·t²/2, solved for t. The form
// below has no difference of nearly equal numbers when slope is small.
func (st Stage) after(n float64) float64 {
	slope := (st.To - st.From) / st.For.Seconds()
	root := math.Sqrt(max(st.From*st.From+2*slope*n, 0))
	return 2 * n / (st.From + root)
}

// pacer makes vegeta follow a schedule: a request late because all workers are
// busy is sent as soon as one is free, and none is left out. (vegeta's own
// pacers stop at the attack's duration, and what was due by then and not sent
// is in no figure.)
type pacer struct {
	*schedule
	once  sync.Once
	began time.Time // of the attack, by vegeta's clock; set before the first request
}

// Pace implements vegeta.Pacer. vegeta calls it from one goroutine, once for
// every request, with the time since the attack began.
func (p *pacer) Pace(elapsed time.Duration, sent uint64) (wait time.Duration, stop bool) {
	p.once.Do(func() { p.began = time.Now().Add(-elapsed) })
	if sent >= p.total() {
		return 0, true
	}
	// Go's timers are up to a millisecond late on an idle Linux, which would
	// stand in every latency. So the last stretch is slept here.
	if wait = p.at(sent) - elapsed; wait > coarse {
		time.Sleep(wait - coarse)
	}
	if wait = time.Until(p.intended(sent)); wait > 0 {
		preciseSleep(wait)
	}
	return 0, false
}

// coarse is how late a Go timer may be.
const coarse = 2 * time.Millisecond

// Rate implements vegeta.Pacer; only its own reporters ask.
func (p *pacer) Rate(time.Duration) float64 { return p.stages[0].From }

// intended is when request seq should have been sent.
func (p *pacer) intended(seq uint64) time.Time { return p.began.Add(p.at(seq)) }

// closedLoop is the pacer of requests that follow each other's answers: vegeta
// sends whenever a worker is free.
type closedLoop struct{}

// Pace implements vegeta.Pacer.
func (closedLoop) Pace(time.Duration, uint64) (time.Duration, bool) { return 0, false }

// Rate implements vegeta.Pacer.
func (closedLoop) Rate(time.Duration) float64 { return 0 }
