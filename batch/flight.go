package batch

import (
	"sync"
	"sync/atomic"
	"time"
)

// flight is a group of jobs that are lent to the client together.
type flight struct {
	jobs  []*Job
	bytes int          // of their bodies
	left  atomic.Int32 // jobs whose last promise has not run
	epoch uint64       // departures.epoch when it left
}

// departures decides when jobs are lent to the client. It is the one flush
// decision of the produce side: the client itself sends whatever it has as
// soon as it can.
//
// A job that finds nothing in flight leaves at once. One that comes while a
// flight is under way waits for company: until that flight has landed, a full
// batch has gathered, or the first who waits has done so for the linger time.
// So a lone request is never held up, and the busier it gets the more records
// share a batch, a request and an answer of Kafka's. (Nagle's algorithm, with a
// bound; RFC 896.)
//
// The jobs of a flight are lent by one of their own handlers, the leader: it
// has to wait anyway, promises must not produce, and one goroutine that buffers
// many records contends with nobody.
type departures struct {
	linger time.Duration
	full   int // bytes that leave without waiting for more

	mu      sync.Mutex
	epoch   uint64    // counts the times that flights were given up
	since   time.Time // when the first of the flights counted in flying was due to leave
	flying  int       // flights of this epoch that have not landed, with the one whose leader was called
	called  bool      // a leader was called for next and has not taken it
	next    *flight   // jobs that wait; they leave together
	timer   *time.Timer
	flights sync.Pool
}

func (d *departures) init(linger time.Duration, full int) {
	d.linger, d.full = linger, full
	d.next = new(flight)
	d.timer = time.AfterFunc(time.Hour, d.overdue)
	d.timer.Stop()
}

// join puts j, whose pending count is set, into the next flight, and lends
// that if it is time. The job may be answered when join returns.
func (d *departures) join(j *Job) {
	d.mu.Lock()
	j.flight = d.next
	d.next.jobs = append(d.next.jobs, j)
	d.next.bytes += len(j.Body)
	if d.called { // the leader takes j along
		d.mu.Unlock()
		return
	}
	if d.flying == 0 || d.linger == 0 || d.next.bytes >= d.full {
		if d.flying == 0 {
			d.since = j.ready
		}
		d.flying++
		d.leave()
		return
	}
	if len(d.next.jobs) == 1 {
		d.timer.Reset(d.linger)
	}
	d.mu.Unlock()
}

// leave lends the next flight. The caller holds mu and has counted the flight
// as flying; leave releases mu.
func (d *departures) leave() {
	f := d.next
	jobs := f.jobs
	d.called = false
	d.timer.Stop()
	if len(jobs) == 0 { // all who waited gave up
		d.flying--
		d.mu.Unlock()
		return
	}
	f.left.Store(int32(len(jobs)))
	f.epoch = d.epoch
	if d.next, _ = d.flights.Get().(*flight); d.next == nil {
		d.next = new(flight)
	}
	d.mu.Unlock()
	for _, j := range jobs { // f may land, and be used again, with the last of them
		j.lend()
	}
}

// call has the first of those who wait lead the next flight. The caller holds mu.
func (d *departures) call() {
	if d.called || len(d.next.jobs) == 0 {
		return
	}
	d.called = true
	if d.flying == 0 {
		d.since = d.next.jobs[0].ready
	}
	d.flying++
	d.next.jobs[0].turn <- struct{}{}
}

// lead is what a job's handler does when its turn comes.
func (d *departures) lead() {
	d.mu.Lock()
	d.leave()
}

// landed is called with each job that is answered. It is O(1).
func (d *departures) landed(f *flight) {
	if f.left.Add(-1) > 0 {
		return
	}
	clear(f.jobs)
	epoch := f.epoch
	f.jobs, f.bytes = f.jobs[:0], 0
	d.flights.Put(f)
	d.mu.Lock()
	if epoch == d.epoch {
		if d.flying--; d.flying == 0 {
			d.call()
		}
	}
	d.mu.Unlock()
}

// hung is how long the flights under way are waited for by those who come
// after. One to a broker that hangs would else hold up every lone request to the
// others for as long.
const hung = 100 * time.Millisecond

// overdue is the linger timer.
func (d *departures) overdue() {
	d.mu.Lock()
	if !d.called {
		if time.Since(d.since) >= hung {
			d.epoch++
			d.flying = 0
		}
		d.call()
	}
	d.mu.Unlock()
}

// withdraw takes j, whose handler gives up, out of the flight that it waits
// for. It reports false when the job has been lent. If j had been called to
// lead, its last deed is to do so.
func (d *departures) withdraw(j *Job) bool {
	d.mu.Lock()
	if j.flight != d.next {
		d.mu.Unlock()
		return false
	}
	waiting := false
	for i, other := range d.next.jobs {
		if other == j {
			last := len(d.next.jobs) - 1
			copy(d.next.jobs[i:], d.next.jobs[i+1:])
			d.next.jobs[last] = nil
			d.next.jobs = d.next.jobs[:last]
			d.next.bytes -= len(j.Body)
			waiting = true
			break
		}
	}
	select {
	case <-j.turn:
		d.leave()
	default:
		d.mu.Unlock()
	}
	return waiting
}
