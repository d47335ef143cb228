package v3

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"millrace/batch"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/internal/fair"
	"millrace/pool"
	"millrace/server"
)

const (
	// pieceBytes is how much of a body is read before it is decoded, if it arrives faster than that.
	pieceBytes = 32 << 10
	// leastRoom is the least that is read at once.
	leastRoom = 4 << 10
	// flightRecords bounds the records of a flight, flightsOfStream and bytesOfStream what a stream
	// has in flight: then it waits, and so does its client.
	flightRecords, flightsOfStream, bytesOfStream = 1000, 256, 4 << 20
)

// stream carries one request of records: it reads and decodes them and hands them to the producer,
// in flights, and sends their results in the same order.
//
// The goroutine of the connection reads; whenever it has to wait for more of the body, what has
// arrived is decoded and on its way: a flight has what has arrived, and nothing waits for it to
// become full. From the first such wait on, another goroutine sends the results. A request that has
// arrived whole needs none.
type stream struct {
	of     *Produce
	x      *server.Exchange
	topic  string
	client server.Sender
	head   []byte
	// minimal leaves out the results of records that are in Kafka (Prefer: return=minimal).
	minimal bool
	trace   context.Context // of the records, or nil
	holder  *fair.Holder
	quota   server.RecordQuota
	// anySubject is of [mayNameSubjects].
	anySubject bool

	in   *pool.Buffer // what was received
	from int          // in.B[from:] is not decoded yet
	// A record is cut off: in.B ends within the one that begins at from, or, when skipping, at its
	// beginning. ender is as far as the last byte that was received.
	cut, skipping bool
	ender         json.Ender
	seen          int64 // records so far
	over          bool  // nothing is decoded any more

	flights chan *flight
	wait    func() (broken bool) // for the sender; nil before it began
	sent    chan struct{}        // told when a flight is answered
	unsent  atomic.Int32         // flights that are not answered
	held    atomic.Int64         // their bytes
	sender  sender
}

// run reads the body to its end. An error of reading, or a fault of syntax, ends the stream, and is
// the last result.
func (s *stream) run(x *server.Exchange) (err error) {
	s.x = x
	s.in = pool.GetBuffer(pieceBytes)
	s.flights, s.sent = make(chan *flight, flightsOfStream), make(chan struct{}, 1)
	s.sender.begin(s)
	defer func() { err = errors.Join(err, s.finish()) }()
	x.BeforeWait(s.flush)
	if err := x.Charge(pieceBytes); err != nil {
		s.refuseLast(apierr.From(err))
	}
	for !s.over {
		if !s.room() {
			continue
		}
		at := len(s.in.B)
		n, err := x.Receive(s.in.B[at:cap(s.in.B)])
		s.in.B = s.in.B[:at+n]
		s.received(s.in.B[at:])
		switch {
		case s.over:
		case errors.Is(err, io.EOF):
			s.flush()
			if s.cut && !s.skipping && !s.over { // one that is skipped has its result
				s.refuseLast(apierr.BadRequest.New("The body ends within record %d.", s.seen+1))
			}
			return nil
		case err != nil:
			s.flush()
			s.refuseLast(apierr.From(err))
			return nil
		}
	}
	return nil
}

// finish waits until all results were sent.
func (s *stream) finish() error {
	s.x.BeforeWait(nil)
	close(s.flights)
	if s.wait != nil {
		s.wait()
	} else {
		s.sender.run()
	}
	s.in.Release()
	if s.sender.gone {
		return apierr.ClientGone.Err()
	}
	return nil
}

// room makes room for more of the body. If there may be none, because the record that is arriving
// is too large, it is refused and room returns false.
func (s *stream) room() bool {
	free := func() int { return cap(s.in.B) - len(s.in.B) }
	if free() < leastRoom {
		s.flush()
		s.in.B = s.in.B[:copy(s.in.B, s.in.B[s.from:])]
		s.from = 0
	}
	if limit := s.of.settings.MaxRecordBytes; s.cut && len(s.in.B)-s.from > limit {
		s.skip(apierr.BodyTooLarge.New("The record is larger than %d bytes (request.max.bytes).", limit))
	}
	if free() >= leastRoom || s.over {
		return !s.over
	}
	room := 2 * cap(s.in.B)
	if err := s.x.Charge(pool.Room(room)); err != nil {
		s.skip(apierr.From(err))
		return true
	}
	s.in.B = pool.Grow(s.in.B, room-len(s.in.B))
	return true
}

// skip refuses the record that is arriving, and drops what comes of it.
func (s *stream) skip(err *apierr.Error) {
	s.refuse(err)
	s.skipping = true
	s.in.B = s.in.B[:0]
	s.from = 0
}

// received looks for the end of a record that was cut off in what was received.
func (s *stream) received(piece []byte) {
	if !s.cut {
		return
	}
	n, ended := s.ender.Find(piece)
	if s.skipping {
		s.from = len(s.in.B) - len(piece) + n
	}
	if ended {
		s.cut, s.skipping = false, false
	}
}

// flush decodes all that has arrived, but for a record that is cut off, and gives it to the
// producer. Before the connection is waited for, the sender must run.
func (s *stream) flush() {
	for !s.over && !s.cut && s.from < len(s.in.B) {
		s.decode()
	}
	if s.unsent.Load() > 0 {
		s.startSender()
	}
	if s.over { // and so nothing is to be waited for
		s.x.Stop()
	}
}

func (s *stream) startSender() {
	if s.wait == nil {
		s.wait = s.x.Go(s.sender.run)
	}
}

// decode makes a flight of what has arrived.
func (s *stream) decode() {
	f := newFlight(s.of.producer, s.in.B[s.from:])
	f.job.Trace, f.job.Holder = s.trace, s.holder
	entries, taken, fault := codec.DecodeEntries(f.job.Body, &f.job.Slab, f.entries, flightRecords)
	f.entries = entries
	s.from += taken
	if fault != nil {
		if fault.Truncated(f.job.Body) {
			s.cut, s.ender = true, json.Ender{}
			s.ender.Find(s.in.B[s.from:])
		} else {
			s.over = true
		}
	}
	s.seen += int64(len(entries))
	s.of.encode(f, s, s.topic, s.anySubject)
	s.launch(f)
	if s.over {
		s.refuse(apierr.BadRequest.New("Record %d is not valid JSON: %s. The stream ends here.", s.seen+1, fault.Reason))
	}
}

// launch gives the flight's records to the producer. It waits while the stream has as much in
// flight as it may.
func (s *stream) launch(f *flight) {
	if len(f.entries) == 0 {
		f.release()
		return
	}
	if f.job.Len() == 0 {
		f.drop()
		s.push(f)
		return
	}
	if f.err = s.quota.Take(f.job.Len()); f.err != nil { // the client may go on when it has waited
		f.drop()
		s.push(f)
		return
	}
	f.held = int64(len(f.job.Body))
	for s.held.Load() > 0 && s.held.Load()+f.held > bytesOfStream {
		s.awaitSent()
	}
	if f.err = s.admit(f.job); f.err != nil {
		f.drop()
	} else if f.err = s.of.producer.Submit(f.job, s.topic, batch.AnyPartition); f.err != nil {
		f.job = nil
	}
	s.push(f)
}

// admit has the job's bytes admitted.
func (s *stream) admit(job *batch.Job) error {
	for {
		err := s.of.producer.Admit(job)
		if !s.awaitMemory(err) {
			return err
		}
	}
}

// awaitMemory reports whether what has failed with err may be done now: the memory was full, some
// of it was the stream's own, and it has waited. A batch has no stream, which is nil then.
func (s *stream) awaitMemory(err error) bool {
	if s == nil || err == nil || !apierr.Overloaded.Is(err) || s.unsent.Load() == 0 {
		return false
	}
	s.awaitSent()
	return true
}

// awaitSent waits until a flight is answered.
func (s *stream) awaitSent() {
	s.startSender()
	<-s.sent
}

// push hands a flight over to the sender.
func (s *stream) push(f *flight) {
	if s.unsent.Add(1) > 1 {
		s.startSender()
	}
	s.held.Add(f.held)
	s.flights <- f
}

// refuse makes err the result of the next record.
func (s *stream) refuse(err *apierr.Error) {
	s.seen++
	f := newFlight(nil, nil)
	f.entries = append(f.entries, codec.Entry{Err: err})
	s.push(f)
}

// refuseLast makes err the last result.
func (s *stream) refuseLast(err *apierr.Error) {
	s.over = true
	s.refuse(err)
}
