package main

import "time"

// pace says when the requests of one connection are due, so that latency can be
// taken from then: a server that stalls delays all that were due meanwhile, and
// a loop that waits for its answers would not notice.
type pace struct {
	next  time.Time
	every time.Duration // 0: a request is due when the one before is answered
}

// newPace is the pace of one of several connections that share a rate, in
// requests a second. They take turns.
func newPace(rate float64, number, connections int) pace {
	if rate <= 0 {
		return pace{}
	}
	every := time.Duration(float64(connections) / rate * float64(time.Second))
	return pace{next: time.Now().Add(every * time.Duration(number) / time.Duration(connections)), every: every}
}

// wait returns when the next request is due, no earlier than that.
func (p *pace) wait() time.Time {
	if p.every == 0 {
		return time.Now()
	}
	due := p.next
	p.next = due.Add(p.every)
	time.Sleep(time.Until(due))
	return due
}
