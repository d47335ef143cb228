package lab

import (
	"sync"
	"sync/atomic"
	"time"
)

// Load sends requests from a number of workers: in a closed loop, where each worker
// sends its next request when it has the answer to the last, or in an open loop,
// where requests have their time and the next worker that is free sends each.
type Load struct {
	// Workers is how many requests are in flight at most.
	Workers int
	// Schedule is that of an open loop; nil: a closed one.
	Schedule *Schedule

	stop  atomic.Bool
	sleep func(time.Duration) // see Pacer; nil: the pacer's own
}

// Send sends one request and waits for the answer; began is when it was due, or in a
// closed loop the time of the call. It returns false when its worker gives up.
type Send func(began time.Time) bool

// Run starts the workers, each with what start returns for its number, and returns
// when all have ended: after [Load.Stop], at the end of the schedule, or because they
// gave up. It is called once.
func (l *Load) Run(start func(worker int) (send Send, end func())) {
	next := func() (time.Time, bool) { return time.Now(), true }
	if l.Schedule != nil {
		p := NewPacer(l.Schedule, time.Now())
		if l.sleep != nil {
			p.sleep = l.sleep
		}
		next = p.Next
	}
	var workers sync.WaitGroup
	for number := range l.Workers {
		workers.Go(func() {
			send, end := start(number)
			defer end()
			for !l.stop.Load() {
				if began, due := next(); !due || !send(began) {
					return
				}
			}
		})
	}
	workers.Wait()
}

// Stop tells the workers to end after the request that they have begun.
func (l *Load) Stop() { l.stop.Store(true) }
