package batch

import (
	"sync"
	"time"
)

// limit ends the waits of a job, of one life after another. Nearly all waits are over long before
// their time, which is about the same for all. So the timer is not set and stopped for each: it
// stays as it was set for one of them, and when it fires it is set for the wait that there is then,
// if there is one. A job that is in use all the time sets its timer once in the length of a wait.
//
// Invariant: while a job waits, the timer fires at the end of the wait or before.
type limit struct {
	over chan<- bool // is sent false, at most once a wait; has room for that

	mu    sync.Mutex
	until time.Time // the end of the present wait, zero: there is none
	ended bool      // over was told of the present wait
	timer *time.Timer
	fires time.Time // when the timer does, zero: it is not set
}

// begin begins a wait.
func (l *limit) begin(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.ended = until, false
	if l.fires.IsZero() || until.Before(l.fires) {
		l.set(time.Until(until))
	}
}

// end ends the wait, and reports whether over was told that its time had come.
func (l *limit) end() (told bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	return l.ended
}

// set has the timer fire at the end of the wait, which is in so much time.
func (l *limit) set(in time.Duration) {
	l.fires = l.until
	if l.timer == nil {
		l.timer = time.AfterFunc(in, l.fired)
		return
	}
	l.timer.Reset(in)
}

// fired runs when the timer fires.
func (l *limit) fired() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fires = time.Time{}
	if l.until.IsZero() {
		return
	}
	if in := time.Until(l.until); in > 0 {
		l.set(in)
		return
	}
	l.until, l.ended = time.Time{}, true
	l.over <- false
}
