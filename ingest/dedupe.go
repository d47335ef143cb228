package ingest

import (
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
)

// dedupeRule is how the events of a route are known again. It is immutable.
type dedupeRule struct {
	id     *source
	window time.Duration
}

// maxIDs bounds the ids that a node remembers, of all routes together: about 20 MB.
const maxIDs = 1 << 18

// ids are hashes of the ids of late. One is busy while its event is being written, and known when
// that is acknowledged: an event that failed may come again. Hashes are of 64 bits with a seed of
// the process, so nobody can make two ids collide.
type ids struct {
	seed maphash.Seed

	mu    sync.Mutex
	known map[uint64]time.Time // when it was acknowledged; zero: it is busy
	queue []acked              // a ring of those that are known, the oldest at next
	next  int
}

// acked is an id with the time at which it was acknowledged: it may be again, after its window.
type acked struct {
	id uint64
	at int64 // ns
}

func newIDs() *ids {
	return &ids{seed: maphash.MakeSeed(), known: map[uint64]time.Time{}}
}

// hash returns the hash of an event's id, never 0.
func (s *ids) hash(route string, id []byte, n int) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(route)
	_, _ = h.Write([]byte{0, byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = h.Write(id)
	return max(h.Sum64(), 1)
}

// verdict is what becomes of an event with an id.
type verdict uint8

const (
	fresh verdict = iota
	double
	busy
)

// begin makes an id busy, unless it is known or busy. The caller holds mu.
func (s *ids) begin(id uint64, window time.Duration, now time.Time) verdict {
	at, ok := s.known[id]
	switch {
	case ok && at.IsZero():
		return busy
	case ok && now.Sub(at) <= window:
		return double
	}
	s.known[id] = time.Time{}
	return fresh
}

// end makes ids known, or forgets those that failed.
func (s *ids) end(all []uint64, failed func(i int) bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range all {
		switch {
		case id == 0:
		case failed(i):
			delete(s.known, id)
		default:
			s.known[id] = now
			s.remember(acked{id, now.UnixNano()})
		}
	}
}

// remember puts an id into the ring, in place of the oldest if that is full.
func (s *ids) remember(a acked) {
	if len(s.queue) < maxIDs {
		s.queue = append(s.queue, a)
		return
	}
	if old := s.queue[s.next]; s.known[old.id].UnixNano() == old.at {
		delete(s.known, old.id)
	}
	s.queue[s.next] = a
	s.next = (s.next + 1) % maxIDs
}

// note notes the id of the event whose record was added last.
func (r *rules) note(event []byte) {
	rule := r.route.dedupe
	if rule == nil {
		return
	}
	id, n := r.requestID, r.first+r.index
	if rule.id.from == pointer {
		if id, n = nil, 0; !r.opaque {
			id, r.arena = rule.id.ofEvent(event, r.arena)
		}
	}
	hash := uint64(0) // without an id an event is like no other
	if id != nil {
		hash = r.seen.hash(r.route.name, id, n)
	}
	r.noted = append(r.noted, hash)
}

// leaveOutDoubles removes the records of events that are known, and refuses those that are busy.
func (d *delivery) leaveOutDoubles(slab *pool.Slab) {
	rule := d.rules.route.dedupe
	if rule == nil || len(d.rules.noted) == 0 {
		return
	}
	now, seen := time.Now(), d.rules.seen
	own := map[uint64]bool{}
	var gone []refusal
	seen.mu.Lock()
	for i, id := range d.rules.noted {
		if id == 0 {
			continue
		}
		switch v := seen.begin(id, rule.window, now); {
		case v == fresh:
			own[id] = true
		case v == double || own[id]:
			gone = append(gone, refusal{index: i})
			d.left++
		default:
			gone = append(gone, refusal{index: i, err: apierr.NotWritten.New("An event with the same id is being written. Send it again, to learn what became of it.")})
		}
	}
	seen.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	is := map[int]bool{}
	for _, g := range gone {
		is[g.index] = true
	}
	d.keepRecords(slab, func(i int) bool { return !is[i] })
	d.without(gone)
}

// keepRecords removes records, and their ids, that keep is false for.
func (d *delivery) keepRecords(slab *pool.Slab, keep func(i int) bool) {
	slab.Keep(keep)
	kept := d.rules.noted[:0]
	for i, id := range d.rules.noted {
		if keep(i) {
			kept = append(kept, id)
		} else if id != 0 && d.encoding { // it was busy for this event
			d.rules.seen.end([]uint64{id}, func(int) bool { return true })
		}
	}
	d.rules.noted = kept
}

// noteFailures notes which records of a job Kafka does not have.
func (d *delivery) noteFailures(job *batch.Job) {
	if len(d.rules.noted) == 0 || job == nil || job.Written() == job.Len() {
		return
	}
	d.unwritten = make([]bool, job.Len())
	for i := range d.unwritten {
		_, _, err := job.Result(i)
		d.unwritten[i] = err != nil
	}
}

// endIDs ends what [delivery.leaveOutDoubles] has begun; failed says that the request failed.
func (d *delivery) endIDs(failed bool) {
	if len(d.rules.noted) > 0 {
		d.rules.seen.end(d.rules.noted, func(i int) bool { return failed || d.whole != nil || d.unwritten != nil && d.unwritten[i] })
	}
}

// beginIDs takes what the ids of a request's events have in common.
func (r *rules) beginIDs(ctx *fasthttp.RequestCtx, seen *ids) {
	if rule := r.route.dedupe; rule != nil {
		r.seen = seen
		if rule.id.from != pointer {
			r.requestID = rule.id.ofRequest(ctx)
			r.first = firstIndex(ctx)
		}
	}
}

// firstIndex returns which event the first of the request was in the request that it came in: 0,
// unless it is a dead letter that is replayed. Anybody can send the header.
func firstIndex(ctx *fasthttp.RequestCtx) int {
	n, err := strconv.ParseUint(string(ctx.Request.Header.Peek(server.HeaderEventIndex)), 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// dedupe reads how events are known again.
func (r *reader) dedupe(m member) *dedupeRule {
	rule := &dedupeRule{window: 10 * time.Minute}
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "id":
			rule.id = r.source(o)
		case "window":
			d, err := time.ParseDuration(r.text(o))
			if err != nil || d <= 0 || d > 24*time.Hour {
				r.fault(o.value, "%s must be a time such as 10m, of 24h at most", o.path)
			}
			rule.window = d
		default:
			r.unknown(o, "id, window")
		}
	}
	if rule.id == nil || rule.id.from == fixed {
		r.fault(m.key, "%s must have an id: a pointer, query or header", m.path)
		return nil
	}
	return rule
}
