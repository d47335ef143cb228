package batch

import (
	"math"
	"slices"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// This file is the way of a partition after a failure, once all that was in flight is answered: the
// oldest failed batch is treated, and all go on. Nothing here waits. The caller of each holds mu.

// treat treats the oldest batch in flight.
func (p *partition) treat(now time.Time) {
	f := p.flight[0]
	v := f.answer
	switch v.meaning {
	case unknown, again, moved:
	default:
		if p.resolve(now) {
			return
		}
	}
	p.failing, p.resolving = false, false
	switch v.meaning {
	case unknown, again, moved, refused:
		// Batches in flight behind one that fails are out of order when its reason goes, and brokers
		// log that as an error. So one at a time is tried until one is acked.
		p.fresh = true
	}
	p.queue = slices.Insert(p.queue, 0, p.flight[1:]...)
	clear(p.flight)
	p.flight = p.flight[:0]
	switch v.meaning {
	case unknown, again, moved:
		p.retry(f, v, now)
	case named:
		p.without(f, v, now)
	case unnamed:
		p.isolate(f, v, now)
	case tooLarge:
		p.shrink(f, v, now)
	case lost:
		p.restart(f, v, now)
	default:
		p.drop(f, v.err)
	}
}

// resolve sends what stands behind a refused batch, and may have been written, once more with the
// bytes that it had, before sequences move: the broker then either has it, or says that it is
// out of order, which means that it was not written. It reports whether there is any.
func (p *partition) resolve(now time.Time) bool {
	if !p.idempotent() || now.Sub(p.flight[0].since) >= p.topic.producer.settings.DeliveryTimeout ||
		!p.resolvable(p.flight[1:]) && !p.resolvable(p.queue) {
		return false
	}
	if slices.ContainsFunc(p.flight[1:], func(b *batch) bool { return b.answer.meaning == moved || isTransport(b.answer.err) }) {
		p.topic.producer.router.lookUp(p.topic)
	}
	if p.resolving { // not for the first time
		p.backOff(now)
	}
	p.queue = slices.Insert(p.queue, 0, p.flight[1:]...)
	clear(p.flight[1:])
	p.flight = p.flight[:1]
	p.failing, p.resolving = true, true
	return true
}

// unresolved reports whether the outcome of one of those that have a sequence is unknown.
func (p *partition) unresolved(of []*batch) bool {
	return slices.ContainsFunc(of, func(b *batch) bool { return b.unsure })
}

// resolvable reports whether to send one of those again may tell its outcome. A broker that has
// lost its state of the producer, as brokers before Kafka 2.5 do with the records, will never tell;
// asked again until the delivery timeout, it would hold up the partition for as long.
func (p *partition) resolvable(of []*batch) bool {
	return slices.ContainsFunc(of, func(b *batch) bool { return b.unsure && b.answer.meaning != lost })
}

func (p *partition) idempotent() bool { return p.topic.producer.settings.Idempotent }

// retry sends f again as it is, when the time has come; f is in no list.
func (p *partition) retry(f *batch, v verdict, now time.Time) {
	if why := p.refuses(v, now); why != nil {
		p.failUnsent(why)
		if !f.unsure {
			p.drop(f, why)
			return
		}
	}
	named := v.leader >= 0 && v.epoch > p.leaderEpoch
	switch {
	case named:
		p.leaderEpoch = v.epoch
		p.leader.Store(p.topic.producer.sender(v.leader))
	case v.meaning == moved, isTransport(v.err):
		p.topic.producer.router.lookUp(p.topic)
	}
	if f.tries > p.topic.producer.settings.Retries {
		p.drop(f, v.err)
		return
	}
	p.queue = slices.Insert(p.queue, 0, f)
	if named {
		p.fails = 0
		return
	}
	p.fails++
	if p.fails == 1 && isTransport(v.err) {
		return // a connection that was closed while it was idle; the next one is new
	}
	p.backOff(now)
}

// refusals are those in a row by which a leader says that it takes nothing at the moment, as with
// too few replicas in sync.
type refusals struct{ first, last time.Time }

// lastFor reports whether one more, or an attempt that ended otherwise, makes it limit since the
// first. Refusals that lie limit apart are not in a row.
func (r *refusals) lastFor(limit time.Duration, refused bool, now time.Time) bool {
	switch {
	case !refused:
		*r = refusals{}
		return false
	case now.Sub(r.last) >= limit:
		r.first = now
	}
	r.last = now
	return now.Sub(r.first) >= limit
}

// refuses returns why nothing is kept for the partition, or nil: its leader has refused all for
// broker.silence.limit.ms. Otherwise clients would wait for produce.timeout.ms, and hear that the
// outcome is unknown.
func (p *partition) refuses(v verdict, now time.Time) error {
	if !p.refusals.lastFor(p.topic.producer.settings.SilenceLimit, v.meaning == again && !isTransport(v.err), now) {
		return nil
	}
	return apierr.NotWritten.Wrap(v.err, "Kafka takes no records for the partition of topic %s at the moment. Nothing was written: send it again.", p.topic.name)
}

// failUnsent fails what waits and was never sent.
func (p *partition) failUnsent(why error) {
	p.queue = slices.DeleteFunc(p.queue, func(b *batch) bool {
		if b.tries > 0 {
			return false
		}
		p.finish(b, 0, why)
		return true
	})
}

// backOff holds the next attempt back.
func (p *partition) backOff(now time.Time) {
	p.until = now.Add(kafka.Backoff(p.fails))
}

// without fails the records of f that the broker names, and sends the rest.
func (p *partition) without(f *batch, v verdict, now time.Time) {
	slices.SortFunc(v.culprit, func(a, b culprit) int { return int(a.at) - int(b.at) })
	v.culprit = slices.CompactFunc(v.culprit, func(a, b culprit) bool { return a.at == b.at })
	if first, last := v.culprit[0].at, v.culprit[len(v.culprit)-1].at; first < 0 || last >= f.records() {
		p.isolate(f, v, now) // a broker that names what is not there names nothing
		return
	}
	for _, c := range v.culprit {
		if f.told {
			break
		}
		job, i := f.owner(c.at)
		job.left.Add(1)
		job.settle(i, answer{partition: p.index, count: 1, err: culpritError(v.err, i, c)})
	}
	p.topic.askRules(now)
	p.topic.producer.buffered.Add(-int64(len(v.culprit)))
	p.replace(f, nil, v.culprit)
}

// replace puts the parts of f, divided at the records of at and without the culprits, where f
// was. They begin with the sequence that f had.
func (p *partition) replace(f *batch, at []int32, culprits []culprit) {
	sequence, serial := f.sequence, f.serial
	p.queue = slices.Insert(p.queue, 0, f.cut(at, culprits)...)
	p.renumber(sequence, serial)
	p.topic.producer.drained()
}

// isolate divides f until the record stands alone that the broker refuses without naming it.
func (p *partition) isolate(f *batch, v verdict, now time.Time) {
	if isCorrupt(v.err) && (!f.corrupt || f.unsure) { // on the way, perhaps
		if f.corrupt {
			p.fails++
			p.backOff(now)
		}
		f.corrupt = true
		p.queue = slices.Insert(p.queue, 0, f)
		return
	}
	p.topic.askRules(now)
	if f.records() == 1 {
		p.drop(f, v.err)
		return
	}
	f.suspect = true
	if p.divide.tooMany(now) {
		p.until = p.divide.next()
	}
	p.replace(f, []int32{f.records() / 2}, nil)
}

// divisions bounds how often a partition's batches are divided.
type divisions struct {
	second time.Time // of which count is
	count  int
}

// maxDivisions is how many times a second batches of a partition are divided.
const maxDivisions = 64

func (d *divisions) tooMany(now time.Time) bool {
	if now.Sub(d.second) >= time.Second {
		d.second, d.count = now, 0
	}
	d.count++
	return d.count > maxDivisions
}

func (d *divisions) next() time.Time { return d.second.Add(time.Second) }

// shrink divides a batch that is too large for the topic, and remembers that it was.
func (p *partition) shrink(f *batch, v verdict, now time.Time) {
	p.topic.learn(f)
	p.topic.askRules(now)
	if f.records() == 1 {
		p.drop(f, p.topic.tooLarge(f, v.err))
		return
	}
	p.replace(f, []int32{f.middle()}, nil)
}

// restart begins a new epoch because the broker has another state of this producer.
func (p *partition) restart(f *batch, v verdict, now time.Time) {
	p.fails++
	if f.tries > p.topic.producer.settings.Retries {
		p.drop(f, v.err)
		p.bump()
		return
	}
	if p.fails > 1 {
		p.backOff(now)
	}
	p.queue = slices.Insert(p.queue, 0, f)
	p.bump()
}

// drop fails f, which is in no list; those behind it take its place in the order of sequences.
func (p *partition) drop(f *batch, err error) {
	sequence, serial, unsure := f.sequence, f.serial, f.unsure
	p.giveUp(f, err)
	switch {
	case sequence < 0:
	case unsure:
		p.bump() // whether the broker has counted on is not known
	default:
		p.renumber(sequence, serial)
	}
}

// renumber gives all that waits new sequences, of which next is the first, when it is sent; serial
// is of the batch that had it, and was not written. Where one behind that was, the broker has lost
// its state, and would take another batch with the sequence of that one for it.
func (p *partition) renumber(next int32, serial int) {
	if !p.idempotent() || next < 0 {
		return
	}
	if p.unresolved(p.queue) || p.newest > serial {
		p.bump()
		return
	}
	p.sequence = next
	for _, b := range p.queue {
		b.sequence = -1
	}
}

// bump begins a new epoch of the producer, with sequence 0 (KIP-360: no request is needed for
// it). Batches that may have been written under the old one would be doubled, so they are given
// up as unknown.
func (p *partition) bump() {
	if !p.idempotent() {
		return
	}
	all := p.queue
	p.queue = make([]*batch, 0, len(all))
	for _, b := range all {
		if b.unsure {
			p.giveUp(b, errUnknownOutcome)
			continue
		}
		b.sequence = -1
		p.queue = append(p.queue, b)
	}
	p.fresh, p.sequence = true, 0
	if p.producer.epoch == math.MaxInt16 {
		p.usedUp()
		return
	}
	p.producer.epoch++
}
