package lab

import "time"

// Pacer holds back the requests of a schedule until they are due, and says when that
// was. Latency counts from then: a server that stalls delays all that were due
// meanwhile, and a generator whose clock starts when a connection is free sees only
// the few that were under way ("coordinated omission").
type Pacer struct {
	schedule *Schedule
	began    time.Time
	sleep    func(time.Duration) // preciseSleep, but for tests with a clock of their own

	// next holds the number of the next request; a caller of Next has it while it waits.
	next chan uint64
}

// NewPacer returns a pacer of a schedule that begins at began.
func NewPacer(s *Schedule, began time.Time) *Pacer {
	p := &Pacer{schedule: s, began: began, sleep: preciseSleep, next: make(chan uint64, 1)}
	p.next <- 0
	return p
}

// Due returns when request i should be sent.
func (p *Pacer) Due(i uint64) time.Time { return p.began.Add(p.schedule.At(i)) }

// coarse is how late a Go timer may be: up to a millisecond on an idle Linux, which
// would stand in every latency.
const coarse = 2 * time.Millisecond

// Wait returns when request i is due, and at once when that is over.
func (p *Pacer) Wait(i uint64) {
	due := p.Due(i)
	if wait := time.Until(due); wait > coarse {
		time.Sleep(wait - coarse)
	}
	if wait := time.Until(due); wait > 0 {
		p.sleep(wait)
	}
}

// Next waits for the next request of the schedule and returns when it was due; ok is
// false after the last one. Of several callers one waits and the others queue behind
// it: they need one thread for [preciseSleep], not one each.
func (p *Pacer) Next() (due time.Time, ok bool) {
	i := <-p.next
	if i >= p.schedule.Total() {
		p.next <- i // for the others
		return time.Time{}, false
	}
	p.Wait(i)
	p.next <- i + 1
	return p.Due(i), true
}
