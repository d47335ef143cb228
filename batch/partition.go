package batch

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partition is a partition of a topic that records are written to: the batches that wait, in
// order, those that were sent and are not answered, and what the partition's broker knows of this
// producer. See the package comment for its states.
//
// Locks are taken in the order partition, sender, router.
type partition struct {
	topic *topic
	index int32
	// leader is the sender of the broker that leads the partition, nil for none. The router
	// writes it under mu; a hand-over reads it to choose among partitions.
	leader atomic.Pointer[sender]

	mu sync.Mutex
	// home is the sender that has the partition: leader, once nothing is in flight at another.
	home        *sender
	leaderEpoch int32
	rewinds     int // look-ups in a row that named a lower epoch
	// queue holds what is to be sent, in order. Only the last one takes frames.
	queue []*batch
	// flight holds what was sent, in order, until it is written or treated; out of them are not
	// answered yet.
	flight []*batch
	out    int
	// failing: an attempt failed, and nothing more is sent until all are answered.
	failing bool
	// resolving: the oldest batch was refused, and those behind it whose outcome is unknown are
	// sent again first. Sequences may only move when it is known that nothing has them.
	resolving bool
	// fresh: no batch is acked yet by this broker under the present epoch of the producer, or none
	// since one failed. The broker might accept the second of several sequences and not the first,
	// so one at a time is sent.
	fresh    bool
	producer producerEpoch
	former   producerEpoch // that a topic of that name used before
	sequence int32         // of the next record that gets one
	serial   int           // of the next batch that gets a sequence
	newest   int           // the highest serial of an acked batch
	acked    time.Time     // the last ack

	listed bool      // the home has it among those with something to send
	entry  uint64    // the number of its listing there
	parked bool      // the router looks after it
	until  time.Time // when the next attempt may be made
	fails  int       // attempts that failed since one did not
	hint   int       // the room of the next batch, by the bytes of those of late: growing copies
	divide divisions
	lack   time.Time // since when brokers say that there is no such partition

	refusals refusals
}

const (
	// maxInFlight is how many batches of a producer a broker knows again (KIP-98).
	maxInFlight = 5
	// idleFor is how long without a batch a broker is taken to remember this producer. Kafka
	// forgets it after producer.id.expiration.ms, a day by default.
	idleFor = 10 * time.Minute
)

// add frames records of the job, from i on, for as long as they are for this partition. It
// returns the index behind the last, and the listing of the partition to tell of.
func (p *partition) add(j *Job, i int) (next int, tell listing) {
	records := j.Slab.Records
	limit := j.producer.batchLimit(p.topic)
	hurry := false
	p.mu.Lock()
	defer p.mu.Unlock()
	before := j.framed
	for ; i < len(records) && records[i].Partition == p.index; i++ {
		if b := p.taking(); b != nil {
			next := b.addRow(j, i, p.index)
			j.framed += next - i
			if i = next; i == len(records) || records[i].Partition != p.index {
				break
			}
		}
		r := &records[i]
		b, delta, body := p.tail(r, j.timestamp(r))
		if b != nil && !b.fits(zigzagLen(int64(body))+body) {
			b.sealed, hurry, b = true, true, nil
		}
		if b == nil {
			delta, body = 0, bodyLen(r, 0, 0)
			if size := headerBytes + zigzagLen(int64(body)) + body; size > j.producer.settings.BatchBytes {
				j.tooLarge(i, size)
				continue
			}
			b = newBatch(p.topic, p.room(zigzagLen(int64(body))+body), limit, j.ready)
			p.queue = append(p.queue, b)
		}
		b.add(j, int32(i), r, delta, body)
		j.framed++
	}
	j.producer.buffered.Add(int64(j.framed - before))
	if hurry && p.listed {
		p.home.hurry()
	}
	return i, p.offer(j.ready)
}

// room returns the room of a new batch for a frame and, while there is memory to spare, for as many
// as batches of late had.
func (p *partition) room(frame int) int {
	if s := &p.topic.producer.settings; p.topic.producer.held.Held() > s.BufferBytes/2 {
		return frame
	}
	return max(p.hint, frame)
}

// taking returns the last batch if it takes frames, and else nil.
func (p *partition) taking() *batch {
	last := len(p.queue) - 1
	if last < 0 || p.queue[last].sealed {
		return nil
	}
	return p.queue[last]
}

// tail returns the last batch if it takes frames, and what r would be in it.
func (p *partition) tail(r *kgo.Record, at int64) (b *batch, delta int64, body int) {
	if b = p.taking(); b == nil {
		return nil, 0, 0
	}
	delta = at - b.header.baseTimestamp
	return b, delta, bodyLen(r, delta, b.header.records)
}

// offer puts the partition on the list of its sender if it has something that may be sent, and
// has the router look after it if that takes time or a leader. The caller holds mu, and tells of
// the listing that is returned.
func (p *partition) offer(now time.Time) listing {
	p.settleHome()
	switch {
	case len(p.queue) == 0 || p.listed:
		return listing{}
	case p.topic.gone.Load() != nil:
		p.failQueue(*p.topic.gone.Load())
		return listing{}
	case p.waits(now):
		p.park()
		return listing{}
	case !p.open():
		return listing{} // the answers to what is in flight come first
	}
	p.listed = true
	p.entry++
	return listing{p.home, p, p.entry}
}

// listing is the entry of a partition on the list of its sender. One with another number than the
// partition has is void: the partition was listed elsewhere since.
type listing struct {
	to     *sender
	p      *partition
	number uint64
}

// tell puts the partition on the list, if it is to be.
func (l listing) tell() {
	if l.to != nil {
		l.to.list(l)
	}
}

// waits reports whether something waits for a leader, for one that is away, for the time of its
// next attempt, for the heir of its topic, or for an id of the producer.
func (p *partition) waits(now time.Time) bool {
	return len(p.queue) > 0 && (p.home == nil || p.home.away.Load() || now.Before(p.until) || p.topic.ending.Load() || !p.identified())
}

// identified has the partition take an epoch of the producer, unless it has one or needs none, and
// reports whether there was one to take: an id whose epochs are used up is being replaced.
func (p *partition) identified() bool {
	if p.idempotent() && p.producer.id < 0 {
		p.begin()
	}
	return !p.idempotent() || p.producer.id >= 0
}

// list is offer for who cannot tell the sender later.
func (p *partition) list(now time.Time) { p.offer(now).tell() }

// settleHome moves the partition to the sender of its leader, if there is one, once nothing is in
// flight. A broker that does not lead yet refuses the first of several batches, and those behind it
// are out of order if it leads by then. A listing at the former sender, which may hang, is void.
func (p *partition) settleHome() {
	if l := p.leader.Load(); l != p.home && p.out == 0 {
		p.home, p.fresh, p.listed = l, true, false
	}
}

// open reports whether the head of the queue may be sent beside what is in flight.
func (p *partition) open() bool {
	if p.leader.Load() != p.home {
		return false
	}
	switch head := p.queue[0]; {
	case p.failing:
		return p.resolving && p.resolvable(p.queue)
	case len(p.flight) == 0:
		return true
	case head.suspect || p.flight[0].suspect || p.fresh:
		return false
	case !p.idempotent() || head.sequence >= 0:
		return true // the sender has a bound
	}
	// Counted from the oldest one that is not acked, not by those that are not: workers may take
	// answers in another order than they came. Otherwise: the first of five is answered with a
	// timeout, though it is written, the second with success; the second's worker is faster, and
	// a sixth is sent. The broker has forgotten the first when it comes again, and says that it
	// is out of order; taken for not written, it would be written twice.
	return p.serial-p.flight[0].serial < maxInFlight
}

// take returns the batch that the sender may send now, of at most so many bytes of frames, or nil,
// and lists the partition again if there are more.
func (p *partition) take(l listing, now time.Time, room int) *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.listed || p.entry != l.number {
		return nil
	}
	p.listed = false
	p.expire(now)
	p.settleHome()
	if len(p.queue) == 0 || p.home != l.to || p.waits(now) || p.topic.gone.Load() != nil || !p.open() {
		p.list(now)
		return nil
	}
	b := p.queue[0]
	if b.size() > room {
		p.list(now)
		return nil
	}
	p.queue = slices.Delete(p.queue, 0, 1)
	b.sealed = true
	if n := len(b.frames.B); n > p.hint {
		p.hint = n + n/8
	} else {
		p.hint -= (p.hint - n) / 8
	}
	p.number(b)
	p.flight = append(p.flight, b)
	p.out++
	b.answer = verdict{}
	b.tries++
	p.list(now)
	return b
}

// number gives the batch its sequence, unless it has one.
func (p *partition) number(b *batch) {
	h := &b.header
	if !p.topic.producer.settings.Idempotent {
		h.producer, h.sequence = producerEpoch{-1, -1}, -1
		return
	}
	if b.sequence >= 0 {
		return
	}
	if p.out == 0 && !p.acked.IsZero() && time.Since(p.acked) > idleFor {
		p.fresh = true
	}
	b.sequence, b.serial = p.sequence, p.serial
	p.serial++
	h.producer, h.sequence = p.producer, b.sequence
	p.sequence = addSequence(p.sequence, b.records())
}

// begin takes an epoch that the partition has not used, if there is one.
func (p *partition) begin() {
	p.producer, p.sequence, p.fresh = p.topic.producer.router.identity(), 0, true
	switch {
	case p.producer.id < 0 || p.producer.id != p.former.id:
	case p.former.epoch == math.MaxInt16:
		p.usedUp()
	default:
		p.producer.epoch = max(p.producer.epoch, p.former.epoch+1)
	}
}

// usedUp gives up the producer's id, of which there is no higher epoch, and has it replaced.
func (p *partition) usedUp() {
	router := p.topic.producer.router
	router.renew(p.producer.id)
	router.lookUp(p.topic)
	p.producer = producerEpoch{id: -1}
}

// addSequence counts on as Kafka does, from 2^31-1 to 0.
func addSequence(sequence, records int32) int32 {
	if sequence > math.MaxInt32-records {
		return records - (math.MaxInt32 - sequence) - 1
	}
	return sequence + records
}

// answered takes the end of the attempt to send b.
func (p *partition) answered(b *batch, v verdict, base int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	if v.meaning == written {
		p.flight = slices.DeleteFunc(p.flight, func(o *batch) bool { return o == b })
		p.fresh, p.fails, p.acked, p.refusals = false, 0, now, refusals{}
		p.newest = max(p.newest, b.serial)
		p.finish(b, base, nil)
	} else {
		b.answer = v
		b.corrupt = b.corrupt && isCorrupt(v.err)
		b.unsure = v.meaning == unknown || v.meaning == broken || b.unsure && !v.definite()
		p.failing = true
	}
	if p.failing && p.out == 0 && !(p.resolving && p.resolvable(p.queue)) {
		p.treat(now)
	}
	p.list(now)
}

// finish answers the batch and releases it.
func (p *partition) finish(b *batch, base int64, err error) {
	producer := p.topic.producer
	b.finish(p.index, base, err)
	producer.buffered.Add(-int64(b.records()))
	if err == nil && producer.cluster.Written != nil && p.home != nil {
		producer.cluster.Written(p.home.id, p.topic.name, p.index, kgo.ProduceBatchMetrics{
			NumRecords: int(b.records()), UncompressedBytes: len(b.frames.B), CompressedBytes: len(b.payload), CompressionType: uint8(b.header.codec),
		})
	}
	b.release()
	producer.drained()
}

// failQueue fails all that waits. The clients of batches that may be written are told so.
func (p *partition) failQueue(err error) {
	all := p.bequeath(p.queue)
	p.queue = nil
	if p.out == 0 { // a refused batch may have waited for the outcome of those behind it
		all = append(p.flight, all...)
		p.flight, p.failing, p.resolving = nil, false, false
	}
	numbered := false
	for _, b := range all {
		numbered = numbered || b.sequence >= 0
		p.giveUp(b, err)
	}
	if numbered && len(p.flight) == 0 {
		p.bump()
	}
}

// bequeath gives batches to the partition of the topic's heir, if there is one, and returns those
// that it cannot give: they may be written. They go before what waits there, but for what has a
// sequence: that may be written, and the broker would forget it.
func (p *partition) bequeath(all []*batch) (kept []*batch) {
	heir := p.topic.heir.Load()
	if heir == nil {
		return all
	}
	partitions := *heir.partitions.Load()
	if int(p.index) >= len(partitions) { // the topic grew as it ended
		return all
	}
	var given []*batch
	for _, b := range all {
		if b.unsure {
			kept = append(kept, b)
			continue
		}
		b.sequence, b.sealed = -1, true
		heir.uses.Add(1)
		b.topic.leave()
		b.topic = heir
		given = append(given, b)
	}
	to := partitions[p.index]
	to.mu.Lock()
	defer to.mu.Unlock()
	at := len(to.queue)
	for at > 0 && to.queue[at-1].sequence < 0 {
		at--
	}
	to.queue = slices.Insert(to.queue, at, given...)
	to.list(time.Now())
	return kept
}

// expire fails the batches that have waited for longer than the delivery timeout. One that has a
// sequence waits for the answers to what is in flight, because the sequences behind it move. A
// refused batch does not wait for the outcome of those behind it any longer either.
func (p *partition) expire(now time.Time) {
	if p.resolving && p.out == 0 && now.Sub(p.flight[0].since) >= p.topic.producer.settings.DeliveryTimeout {
		p.treat(now)
	}
	for len(p.queue) > 0 && now.Sub(p.queue[0].since) >= p.topic.producer.settings.DeliveryTimeout {
		b := p.queue[0]
		if b.sequence >= 0 && len(p.flight) > 0 {
			return
		}
		p.queue = slices.Delete(p.queue, 0, 1)
		p.drop(b, errDelivery)
	}
}

// giveUp fails a batch. A client is not told that its records were not written when they may be.
func (p *partition) giveUp(b *batch, err error) {
	if b.unsure {
		err = errUnknownOutcome
	}
	p.finish(b, 0, err)
}

// park has the router look after the partition.
func (p *partition) park() {
	if !p.parked {
		p.parked = true
		p.topic.producer.router.park(p)
	}
}

// review is the router's look at a parked partition: it reports whether the partition needs none
// any more, and else when the next is due.
func (p *partition) review(now time.Time) (done bool, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(now)
	p.settleHome()
	if !p.waits(now) || p.topic.gone.Load() != nil {
		p.parked = false
		p.list(now)
		return true, now
	}
	oldest := p.queue[0]
	if p.resolving {
		oldest = p.flight[0]
	}
	next = oldest.since.Add(p.topic.producer.settings.DeliveryTimeout)
	if p.until.After(now) && p.until.Before(next) {
		next = p.until
	}
	return false, next
}
