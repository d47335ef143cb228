package batch

import (
	"sync"
	"sync/atomic"
	"time"
)

// group is the jobs that are lent to the client together. Its epoch is flusher.epoch at the
// flush.
type group struct {
	jobs  []*Job
	bytes int          // of their bodies
	left  atomic.Int32 // jobs whose last promise has not run
	epoch uint64       // flusher.epoch when it was flushed
}

// flusher decides when jobs are lent to the client. It is the one flush decision of the produce
// side: the client itself sends whatever it has as soon as it can.
//
// A job that finds nothing in flight is flushed at once. One that arrives while a group is in
// flight waits for others: until that group has settled, a full batch has gathered, or the oldest
// waiting job has waited for the linger time. A lone request is therefore never delayed, and the
// higher the load the more records share a batch, a request and an ack. (Nagle's algorithm, with
// a bound; RFC 896.)
//
// The jobs of a group are lent by the handler of one of them, the leader: it has to wait anyway,
// promises must not produce, and a single goroutine that buffers many records does not contend
// for locks.
type flusher struct {
	linger time.Duration
	full   int // bytes that are flushed without waiting for more

	mu       sync.Mutex
	epoch    uint64    // incremented when the in-flight groups are no longer waited for
	since    time.Time // when the first of the groups counted in inFlight was due
	inFlight int       // unsettled groups of this epoch, and the one of a called leader
	called   bool      // a leader was called for next and has not flushed it
	next     *group    // jobs that wait; they are flushed together
	timer    *time.Timer
	groups   sync.Pool
}

func (d *flusher) init(linger time.Duration, full int) {
	d.linger, d.full = linger, full
	d.next = new(group)
	d.timer = time.AfterFunc(time.Hour, d.overdue)
	d.timer.Stop()
}

// join adds j, whose pending count is set, to the next group, and flushes that group if it is
// due. The job may be complete when join returns.
func (d *flusher) join(j *Job) {
	d.mu.Lock()
	j.group = d.next
	d.next.jobs = append(d.next.jobs, j)
	d.next.bytes += len(j.Body)
	if d.called { // the leader flushes j too
		d.mu.Unlock()
		return
	}
	if d.inFlight == 0 || d.linger == 0 || d.next.bytes >= d.full {
		if d.inFlight == 0 {
			d.since = j.ready
		}
		d.inFlight++
		d.flush()
		return
	}
	if len(d.next.jobs) == 1 {
		d.timer.Reset(d.linger)
	}
	d.mu.Unlock()
}

// flush lends the next group to the client. The caller holds mu and has counted the group in
// inFlight; flush releases mu.
func (d *flusher) flush() {
	f := d.next
	jobs := f.jobs
	d.called = false
	d.timer.Stop()
	if len(jobs) == 0 { // every waiting handler gave up
		d.inFlight--
		d.mu.Unlock()
		return
	}
	f.left.Store(int32(len(jobs)))
	f.epoch = d.epoch
	if d.next, _ = d.groups.Get().(*group); d.next == nil {
		d.next = new(group)
	}
	d.mu.Unlock()
	for _, j := range jobs { // with the last of jobs f may settle, and be used again
		j.lend()
	}
}

// call makes the first waiting job lead the next group. The caller holds mu.
func (d *flusher) call() {
	if d.called || len(d.next.jobs) == 0 {
		return
	}
	d.called = true
	if d.inFlight == 0 {
		d.since = d.next.jobs[0].ready
	}
	d.inFlight++
	d.next.jobs[0].lead <- struct{}{}
}

// lead is called by the handler of the job that was called to lead.
func (d *flusher) lead() {
	d.mu.Lock()
	d.flush()
}

// settled is called once for each job whose last promise has run. It is O(1).
func (d *flusher) settled(f *group) {
	if f.left.Add(-1) > 0 {
		return
	}
	clear(f.jobs)
	epoch := f.epoch
	f.jobs, f.bytes = f.jobs[:0], 0
	d.groups.Put(f)
	d.mu.Lock()
	if epoch == d.epoch {
		if d.inFlight--; d.inFlight == 0 {
			d.call()
		}
	}
	d.mu.Unlock()
}

// maxHold is how long waiting jobs are held back by groups in flight. Without it, a group for a
// broker that hangs would delay every lone request to the other brokers for as long.
const maxHold = 100 * time.Millisecond

// overdue runs when the linger timer fires.
func (d *flusher) overdue() {
	d.mu.Lock()
	if !d.called {
		if time.Since(d.since) >= maxHold {
			d.epoch++
			d.inFlight = 0
		}
		d.call()
	}
	d.mu.Unlock()
}

// cancel removes j, whose handler gives up, from the group that it waits in. It returns false
// when the job has been lent. If j had been called to lead, cancel flushes the group.
func (d *flusher) cancel(j *Job) bool {
	d.mu.Lock()
	if j.group != d.next {
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
	case <-j.lead:
		d.flush()
	default:
		d.mu.Unlock()
	}
	return waiting
}
