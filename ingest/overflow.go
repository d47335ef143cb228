package ingest

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
)

// overflowRule sends the events of a key that has too many of them to a topic of their own. It is
// immutable.
type overflowRule struct {
	topic string
	// byCaller counts the events of a caller, not those of a key.
	byCaller bool
	// rate is in events a second, of which burst seconds' worth may come at once.
	rate, burst float64
	// keepKey keeps the key of the records. Without it they spread over the partitions.
	keepKey bool
}

const (
	// maxHot bounds the keys that a node counts, of all routes together: about 4 MB.
	maxHot = 100_000
	// sweepPause is how long keys that are not counted yet pass after the room for more was sought
	// in vain.
	sweepPause = 100 * time.Millisecond
	// maxBurst bounds the seconds' worth of events that may come at once.
	maxBurst = 3600
)

// rates are the rates of keys, each as a GCRA: the time at which all its events would be used up
// at the rate. A time that has passed says the same as none, so those are removed when there is no
// room. A key that stays hot has a time to come: it stays, whatever other keys a sender makes up.
// Keys are known by hashes of 64 bits with a seed of the process.
type rates struct {
	seed maphash.Seed

	mu    sync.Mutex
	ahead map[uint64]int64 // ns
	swept int64            // when room was sought last
}

func newRates() *rates { return &rates{seed: maphash.MakeSeed(), ahead: map[uint64]int64{}} }

// hash returns the hash of what the events of a route are counted by.
func (s *rates) hash(route string, key []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(route)
	_ = h.WriteByte(0)
	_, _ = h.Write(key)
	return h.Sum64()
}

// over counts an event, and reports whether it is one too many. One that is does not count. The
// caller holds mu.
func (s *rates) over(key uint64, now int64, rule *overflowRule) bool {
	unit := int64(float64(time.Second) / rule.rate)
	was, known := s.ahead[key]
	if !known && len(s.ahead) >= maxHot && !s.sweep(now) {
		return false
	}
	next := max(was, now) + unit
	if next-now > int64(rule.burst*float64(time.Second)) {
		return true
	}
	s.ahead[key] = next
	return false
}

// sweep makes room, and reports whether there is any.
func (s *rates) sweep(now int64) bool {
	if now-s.swept < int64(sweepPause) {
		return false
	}
	s.swept = now
	for key, ahead := range s.ahead {
		if ahead <= now {
			delete(s.ahead, key)
		}
	}
	return len(s.ahead) < maxHot
}

// divert finds the events of a job that are over the rate of the route. If all are, the request is
// for the overflow topic from now on. Otherwise those are written there by a job of their own, and
// leave this one; those that fail there have the error of that.
func (in *Ingest) divert(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r *request) {
	rule := r.route.overflow
	if rule == nil || job.Len() == 0 {
		return
	}
	hot := in.findHot(ctx, d, job, r.route)
	if hot == job.Len() {
		for i := range job.Slab.Records {
			rule.spread(&job.Slab.Records[i])
		}
		r.topic = rule.topic
		in.figures.Overflowed.Add(uint64(hot))
		return
	}
	if hot == 0 {
		return
	}
	d.withoutHot(&job.Slab, in.storeHot(ctx, d, job, r.route))
	in.figures.Overflowed.Add(uint64(d.away))
}

// findHot notes which records of a job are over the rate, and returns how many.
func (in *Ingest) findHot(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r *Route) (hot int) {
	records, by := job.Slab.Records, uint64(0)
	if r.overflow.byCaller {
		by = in.rates.hash(r.name, in.callerKey(ctx))
	}
	d.hot = slices.Grow(d.hot[:0], len(records))[:len(records)]
	now := time.Now().UnixNano()
	in.rates.mu.Lock()
	defer in.rates.mu.Unlock()
	for i := range records {
		key := by
		if !r.overflow.byCaller {
			key = in.rates.hash(r.name, records[i].Key)
		}
		spreads := !r.overflow.byCaller && records[i].Key == nil // it makes no partition hot
		d.hot[i] = !spreads && in.rates.over(key, now, r.overflow)
		if d.hot[i] {
			hot++
		}
	}
	return hot
}

// callerKey names whoever sends a request: its identity or, without one, its address.
func (in *Ingest) callerKey(ctx *fasthttp.RequestCtx) []byte {
	if id := server.CallerOf(ctx); id != nil && !id.Anonymous() {
		return []byte(id.Principal())
	}
	return in.edge.ClientAddr(ctx).AppendTo(nil)
}

// spread makes a record one of the overflow topic.
func (rule *overflowRule) spread(r *kgo.Record) {
	if r.Partition = -1; !rule.keepKey {
		r.Key = nil
	}
}

// storeHot brings copies of the hot records to where the route's ack promises that they are. They
// are copies, since the job of the others may end first.
func (in *Ingest) storeHot(ctx *fasthttp.RequestCtx, d *delivery, from *batch.Job, r *Route) fates {
	size := 1 // an empty value must not become nil, which deletes
	for i, hot := range d.hot {
		if hot {
			size += recordSize(&from.Slab.Records[i])
		}
	}
	job := in.producer.Acquire()
	job.Holder = from.Holder
	arena := slices.Grow(job.Arena[:0], size)
	copied := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		n := len(arena)
		arena = append(arena, b...)
		return arena[n:len(arena):len(arena)]
	}
	for i, hot := range d.hot {
		if !hot {
			continue
		}
		was, made := &from.Slab.Records[i], job.Slab.Add()
		*made = kgo.Record{Key: copied(was.Key), Value: copied(was.Value), Partition: -1, Timestamp: was.Timestamp}
		for _, h := range was.Headers {
			job.Slab.AddHeader(made, pool.String(copied([]byte(h.Key))), copied(h.Value))
		}
		r.overflow.spread(made)
	}
	job.Arena = arena
	if r.ack != ackMemory {
		return in.store(job, r.overflow.topic, r)
	}
	if err := in.producer.Admit(job); err != nil {
		job.Release()
		return fates{apierr.From(err)}
	}
	go in.send(job, r.overflow.topic, in.edge.SenderOf(ctx))
	return nil
}

// recordSize returns the bytes that a record is views of.
func recordSize(r *kgo.Record) int {
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}

// withoutHot removes the hot records, with their ids. They are written elsewhere, or failed.
func (d *delivery) withoutHot(slab *pool.Slab, failed fates) {
	gone, ended := make([]refusal, 0, len(d.hot)), []uint64(nil)
	kept := d.rules.noted[:0]
	for i, hot := range d.hot {
		if hot {
			why := failed.of(len(gone))
			if why == nil {
				d.away++
			}
			gone = append(gone, refusal{index: i, err: why})
		}
		switch {
		case len(d.rules.noted) == 0:
		case hot:
			ended = append(ended, d.rules.noted[i])
		default:
			kept = append(kept, d.rules.noted[i])
		}
	}
	if len(ended) > 0 {
		d.rules.seen.end(ended, func(i int) bool { return failed.of(i) != nil })
	}
	d.rules.noted = kept
	slab.Keep(func(i int) bool { return !d.hot[i] })
	d.without(gone)
}

// stored reports whether events are in another topic by now: whoever sent the whole request again
// would write them twice.
func (d *delivery) stored() bool {
	return d.away > 0 || slices.ContainsFunc(d.refused, func(r refusal) bool { return r.kept })
}

// answerPartly answers a request of which only the hot events and the dead letters are written, if
// any, and the others are not, each for its own reason or for why.
func (in *Ingest) answerPartly(ctx *fasthttp.RequestCtx, d *delivery, why *apierr.Error) {
	d.whole = why
	dst := d.appendCounts(ctx.Response.SwapBody(nil)[:0], nil, 0)
	ctx.Response.SwapBody(dst)
	respond(ctx, d, false)
}

// overflow reads what becomes of the events of a hot key.
func (r *reader) overflow(m member) *overflowRule {
	rule, counts := &overflowRule{burst: 1}, false
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "topic":
			if rule.topic = r.text(o); !routeName.MatchString(rule.topic) {
				r.fault(o.value, "%s is not the name of a topic", o.path)
			}
		case "events":
			rule.rate, counts = float64(r.positive(o)), true
		case "burst":
			if rule.burst = float64(r.positive(o)); rule.burst > maxBurst {
				r.fault(o.value, "%s may be %d seconds at most", o.path, maxBurst)
			}
		case "by":
			if rule.byCaller = r.text(o) == "caller"; !rule.byCaller && o.value.Value != "key" {
				r.fault(o.value, "%s is %q; allowed: key, caller", o.path, o.value.Value)
			}
		case "keep_key":
			rule.keepKey = r.boolean(o)
		default:
			r.unknown(o, "topic, events, burst, by, keep_key")
		}
	}
	if rule.topic == "" || !counts {
		r.fault(m.key, "%s needs a topic, and events: how many a second are not too many", m.path)
	}
	return rule
}
