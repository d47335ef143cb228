package loadtest

import (
	"sync"
	"time"

	"millrace/internal/lab"
)

// pacer makes vegeta follow a schedule: a request late because all workers are
// busy is sent as soon as one is free, and none is left out. (vegeta's own
// pacers stop at the attack's duration, and what was due by then and not sent
// is in no figure.)
type pacer struct {
	*lab.Schedule
	once sync.Once
	// due is set before the first request; its beginning is that of vegeta's clock.
	due *lab.Pacer
}

// Pace implements vegeta.Pacer. vegeta calls it from one goroutine, once for
// every request, with the time since the attack began.
func (p *pacer) Pace(elapsed time.Duration, sent uint64) (wait time.Duration, stop bool) {
	p.once.Do(func() { p.due = lab.NewPacer(p.Schedule, time.Now().Add(-elapsed)) })
	if sent >= p.Total() {
		return 0, true
	}
	p.due.Wait(sent)
	return 0, false
}

// Rate implements vegeta.Pacer; only its own reporters ask.
func (p *pacer) Rate(time.Duration) float64 { return 0 }

// closedLoop is the pacer of requests that follow each other's answers: vegeta
// sends whenever a worker is free.
type closedLoop struct{}

// Pace implements vegeta.Pacer.
func (closedLoop) Pace(time.Duration, uint64) (time.Duration, bool) { return 0, false }

// Rate implements vegeta.Pacer.
func (closedLoop) Rate(time.Duration) float64 { return 0 }
