package intake

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/fair"
)

const (
	// DefaultDelay is the delay that a [Shedder] holds where the settings do not say.
	DefaultDelay = 2 * time.Millisecond
	// watch is how often the delay of the scheduler is read.
	watch = 25 * time.Millisecond
	// patient is how many looks in a row must find the delay too long: a burst, or a
	// collection, is over by then.
	patient = 4
	// calmLooks is how many looks in a row without a refusal, or a connection that pauses, lift the
	// limit.
	calmLooks = 20
	// atWork is how many requests a processor may always have. It is enough for the peak
	// of goodput, and too few to wait long for one another.
	atWork = 64
	// refusalCost is how much time of a processor there is for each refusal: some twenty times of
	// what one takes, so that refusals take a twentieth.
	refusalCost = time.Millisecond
	// longestPause is the Retry-After of a refusal.
	longestPause = time.Second
)

// Shedder sheds load: it bounds the work of a node whose processors cannot keep up. Make one with
// [NewShedder].
//
// Goroutines that are ready wait for a processor; the Go scheduler tells for how long. A
// request waits so several times, as do the senders and readers that it depends on. When half
// of all waits are longer than the delay for a tenth of a second, the number of requests that
// are worked on is cut to fewer than there are, by as much as the waits are too long, which grow
// with that number. It grows again by an eighth for each look that finds the delay short enough.
// Further requests are refused before their bodies are read.
//
// A caller below its fair share of the limit is not refused: a request of it is one of those that
// the processors can serve, and what is too much is refused to those over theirs.
//
// Requests that wait for Kafka load no processor: they cause no delay, and no refusal.
type Shedder struct {
	delay  time.Duration // 0: nothing is refused
	least  int64
	refuse error

	working fair.Sum
	limit   atomic.Int64 // of working; 0: none
	refused atomic.Uint64
	paused  atomic.Int64

	// The fields below belong to Run.
	sample []metrics.Sample
	before []uint64 // counts of the histogram at the last look; nil: they are too old
	late   int      // looks in a row with too long a delay
	calm   int      // looks in a row without a refusal or a pause
	known  uint64   // refused at the last look
}

// NewShedder returns a shedder that holds a delay; 0: it never refuses.
func NewShedder(delay time.Duration) *Shedder {
	return &Shedder{
		delay: delay, least: int64(atWork * runtime.GOMAXPROCS(0)), refuse: apierr.NodeBusy.Err(),
		sample: []metrics.Sample{{Name: "/sched/latencies:seconds"}},
	}
}

// Admit returns why a request of a caller must not be worked on now, or nil. One that came too
// early after a refusal is refused as long as there is a limit and its caller is over its share.
func (s *Shedder) Admit(of *fair.Holder, early bool) error {
	limit := s.limit.Load()
	if limit == 0 || !early && s.working.Held() < limit || s.working.Under(of.Requests(), limit) {
		return nil
	}
	s.refused.Add(1)
	return s.refuse
}

// Enter counts a request of a caller that is worked on, until [Shedder.Leave].
func (s *Shedder) Enter(of *fair.Holder) { s.working.Add(of.Requests(), 1) }

// Leave is called at the end of each request that has entered.
func (s *Shedder) Leave(of *fair.Holder) { s.working.Add(of.Requests(), -1) }

// Pause waits until a connection that was refused may be read again. The more of them there
// are, the longer: a client that comes again at once, against Retry-After, would otherwise take
// the processors for refusals. Nothing is held meanwhile but the connection.
func (s *Shedder) Pause() {
	pause := time.Duration(s.paused.Add(1)) * refusalCost / time.Duration(runtime.GOMAXPROCS(0))
	time.Sleep(min(pause, longestPause))
	s.paused.Add(-1)
}

// Run watches the scheduler until ctx ends.
func (s *Shedder) Run(ctx context.Context) {
	if s.delay == 0 {
		return
	}
	tick := time.NewTicker(watch)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.idle() {
				s.before = nil
				continue
			}
			if delay, known := s.read(); known {
				s.look(delay)
			}
		case <-ctx.Done():
			return
		}
	}
}

// idle reports whether the shedder would change nothing, whatever the delay.
func (s *Shedder) idle() bool { return s.limit.Load() == 0 && s.working.Held() <= s.least }

// read returns the median of the scheduler's delays since the last look.
func (s *Shedder) read() (median time.Duration, known bool) {
	metrics.Read(s.sample)
	h := s.sample[0].Value.Float64Histogram()
	known = s.before != nil
	if !known {
		s.before = make([]uint64, len(h.Counts))
	}
	total := uint64(0)
	for i, n := range h.Counts {
		total += n - s.before[i]
	}
	seen, found := uint64(0), false
	for i, n := range h.Counts {
		if seen += n - s.before[i]; !found && 2*seen >= total {
			median, found = seconds(h.Buckets[i]), true
		}
		s.before[i] = n
	}
	return median, known
}

func seconds(s float64) time.Duration {
	if math.IsInf(s, 0) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// look moves the limit by a delay.
func (s *Shedder) look(delay time.Duration) {
	limit, refused := s.limit.Load(), s.refused.Load()
	s.calm++
	if refused != s.known || s.paused.Load() > 0 {
		s.known, s.calm = refused, 0
	}
	if delay > s.delay {
		if s.late++; s.late < patient {
			return
		}
		if working := s.working.Held(); limit == 0 || limit > working {
			limit = working
		}
		s.limit.Store(max(min(limit*3/4, limit*int64(s.delay)/int64(delay)), s.least))
		return
	}
	s.late = 0
	switch {
	case limit == 0:
	case s.calm >= calmLooks:
		s.limit.Store(0)
	default:
		s.limit.Store(limit + max(limit/8, 1))
	}
}
