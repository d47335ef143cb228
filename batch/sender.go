package batch

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sender sends the batches of all partitions that one broker leads. It is the one flush decision
// of the produce side.
//
// A partition that gets something while nothing is in flight to the broker is sent at once. While
// something is, it waits for others: until that is answered, a batch is full, or the linger time
// has passed since the first began to wait; then all that wait are sent as one request. A lone
// request is therefore never delayed, and the higher the load the more records share a batch, a
// request and an ack. (Nagle's algorithm, with a bound; RFC 896.) Up to MaxInFlight requests are in
// flight, which fill a connection whose round trip is longer than the linger time. On a short one a
// second request in flight saves little, since a broker takes the requests of one connection one
// after another.
//
// Requests are built by several workers at once, and handed to the library in the order of their
// tickets: one when the library has begun to write the one before it. The order of a partition's
// sequences is therefore that of the connection.
type sender struct {
	id       int32
	producer *Producer
	max      int // requests in flight

	mu    sync.Mutex
	work  sync.Cond // something may be due
	order sync.Cond // turn has changed
	// ready are the partitions with something to send, each once.
	ready    []listing
	inFlight int  // requests that are built or not answered
	urgent   bool // ready need not wait any longer
	closed   bool
	// tickets counts requests, turn those that the library has begun to write.
	tickets, turn uint64
	workers, idle int
	armed         bool // the timer runs
	timer         *time.Timer
	throttled     time.Time // until when the broker wants nothing
	// writing is what is charged for the library's copy of the request that it writes, which has the
	// ticket before turn. It makes the next copy when that one is written.
	writing int64

	lost atomic.Pointer[error] // why the broker cannot be reached, nil if it can; of the watch
	away atomic.Bool           // it is lost, or quiet, or its connections are renewed; of the watch

	renewing atomic.Bool // see [Producer.Renew]
}

func newSender(p *Producer, id int32) *sender {
	s := &sender{id: id, producer: p, max: p.settings.MaxInFlight}
	if p.settings.Idempotent {
		s.max = maxInFlight
	}
	s.work.L, s.order.L = &s.mu, &s.mu
	s.timer = time.AfterFunc(time.Hour, s.overdue)
	s.timer.Stop()
	return s
}

// maxRequestBytes bounds the batches of one request: what a broker takes by default
// (socket.request.max.bytes).
const maxRequestBytes = 100 << 20

// requestShare is the part of producer.buffer.memory that the batches of one request may have, and
// the library's copy of them then takes beside them.
const requestShare = 8

// requestBytes bounds the batches of one request. Each batch has room in a request of its own.
func (p *Producer) requestBytes() int {
	return min(maxRequestBytes, max(p.settings.BatchBytes, int(min(p.settings.BufferBytes/requestShare, maxRequestBytes))))
}

// list adds a partition that has something to send.
func (s *sender) list(l listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, l)
	s.kick()
}

// hurry says that a batch of those listed is full.
func (s *sender) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urgent = true
	s.kick()
}

// overdue runs when the linger time is over, or the broker's throttle.
func (s *sender) overdue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.urgent = false, len(s.ready) > 0
	s.kick()
}

// due reports whether a request is to be sent now.
func (s *sender) due() bool {
	return len(s.ready) > 0 && s.inFlight < s.max && !s.full() && (s.inFlight == 0 || s.urgent || s.producer.settings.Linger == 0) &&
		(s.throttled.IsZero() || !time.Now().Before(s.throttled))
}

// full reports whether the next request waits for the answer to one in flight, because the memory
// for records is used up: compressed and copied, a request takes more of it than its batches had.
func (s *sender) full() bool {
	return s.inFlight > 0 && s.producer.held.Held() > s.producer.settings.BufferBytes
}

// kick wakes a worker if a request is due, and else has the timer do so. The caller holds mu.
func (s *sender) kick() {
	switch {
	case !s.due():
		s.arm()
	case s.idle > 0:
		s.work.Signal()
	case s.workers < s.max && !s.closed:
		s.workers++
		s.producer.tasks.Go(s.run) // ends with close
	}
}

// arm starts the timer if something waits for it.
func (s *sender) arm() {
	if len(s.ready) > 0 && !s.armed && s.inFlight < s.max && !s.full() {
		s.armed = true
		s.timer.Reset(max(s.producer.settings.Linger, time.Until(s.throttled)))
	}
}

// close ends the workers. Listed partitions stay listed.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
	s.work.Broadcast()
}

// worker is one of the goroutines of a sender, with the memory of the request that it sends.
type worker struct {
	*sender
	ticket uint64
	taken  []listing
	req    produceRequest
}

// run sends one request after another until the sender is closed.
func (s *sender) run() {
	w := &worker{sender: s}
	// Replicas may take up to the request timeout; but a broker is asked to say after half the
	// limit of its silence that it still waits. It is sent the batch again then, which it knows, and
	// goes on waiting. The client gives up after the other half: the connection is half open.
	w.req.acks, w.req.timeout = int16(s.producer.settings.Acks), min(s.producer.settings.RequestTimeout, s.producer.settings.SilenceLimit/2)
	w.req.written = w.copied
	for w.next() {
		w.build()
		w.send()
	}
}

// next waits until a request is due, and takes the partitions that it is for.
func (w *worker) next() bool {
	s := w.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.closed || !s.due() {
		if s.closed {
			return false
		}
		s.arm()
		s.idle++
		s.work.Wait()
		s.idle--
	}
	w.taken, s.ready = s.ready, w.taken[:0]
	s.inFlight++
	s.urgent = false
	if s.armed {
		s.armed = false
		s.timer.Stop()
	}
	w.ticket = s.tickets
	s.tickets++
	return true
}

// build takes a batch of each partition, and makes them ready to be sent.
func (w *worker) build() {
	w.req.reset()
	now := time.Now()
	room := math.MaxInt // of the first: the rest of a divided batch may be larger than that was
	for _, l := range w.taken {
		if b := l.p.take(l, now, room); b != nil {
			if len(w.req.batches) == 0 {
				room = w.producer.requestBytes()
			}
			w.req.batches = append(w.req.batches, sending{p: l.p, b: b})
			room -= b.size()
		}
	}
	clear(w.taken)
	w.producer.pack(w.req.batches)
	w.req.seal()
}

// send sends the request, waits for the answer, and gives it to the partitions.
func (w *worker) send() {
	defer w.done()
	w.await()
	if len(w.req.batches) == 0 {
		w.pass()
		return
	}
	var err error
	if w.req.acks == 0 {
		w.req.tried = true
		_, err = w.producer.client.Send(w.id, w.req.withoutAcks())
	} else {
		_, err = w.producer.client.Send(w.id, &w.req)
	}
	w.pass() // if nothing of it was ever written
	now := time.Now()
	if err == nil && w.req.resp.throttle > 0 {
		w.throttle(now.Add(time.Duration(w.req.resp.throttle) * time.Millisecond))
	}
	w.req.resp.sort()
	for i := range w.req.batches {
		at := &w.req.batches[i]
		v, base := w.outcome(at, err)
		at.p.answered(at.b, v, base, now)
	}
}

// outcome is the end of the attempt to send a batch. err is of the request as a whole.
func (w *worker) outcome(at *sending, err error) (v verdict, base int64) {
	if err != nil {
		return transportVerdict(err, w.req.tried), 0
	}
	if w.req.acks == 0 {
		return verdict{}, 0
	}
	r := w.req.resp.find(at)
	if r == nil {
		return transportVerdict(errNoAnswer, true), 0
	}
	return judge(r), r.base
}

// await waits for the turn of the request.
func (w *worker) await() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.turn != w.ticket {
		w.order.Wait()
	}
}

// copied charges the library's copy of the request, in place of that of the one before it, and lets
// the next request be handed in. The library calls it when it writes this one, perhaps twice.
func (w *worker) copied() {
	w.mu.Lock()
	w.writes(int64(w.req.size))
	w.mu.Unlock()
	w.pass()
}

// writes sets what is charged for the library's copy of a request. The caller holds mu.
func (s *sender) writes(bytes int64) {
	s.producer.held.Add(nil, bytes-s.writing)
	s.writing = bytes
}

// pass lets the next request be handed to the library.
func (w *worker) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn == w.ticket {
		w.turn++
		w.order.Broadcast()
	}
}

// throttle holds requests back, as the broker asks for.
func (w *worker) throttle(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.throttled = until
}

// done counts the request as answered. The worker itself looks next for what is due.
func (w *worker) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inFlight--; w.turn == w.ticket+1 {
		w.writes(0) // no other was written since
	}
}

// Client is the part of a Kafka client that the produce side uses.
type Client interface {
	// Send sends the request to a broker, and returns with the response, or when none can come.
	// Requests are written in the order of the calls. It does not retry.
	Send(broker int32, req kmsg.Request) (kmsg.Response, error)
	// Ask sends the request to the broker that it is for, and retries.
	Ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
	// Reset ends the connections to a broker. The requests in flight there fail.
	Reset(broker int32)
	// Close fails the requests in flight.
	Close()
}
