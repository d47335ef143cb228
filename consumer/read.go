package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/reader"
)

const (
	// lookUpTime is how long the look-ups of a read may take beyond its timeout:
	// the first read of a topic is short of time through no fault of its client.
	lookUpTime = time.Second
	// pollRecords is how many records are taken from the Kafka client at a
	// time, and so how far the backlog may exceed what a read wants.
	pollRecords = 500
)

// AppendRecords reads on: it appends a JSON array of the next records to dst, which it takes,
// and returns the extended slice, grown by [pool.Grow]. It answers as soon as fetch.min.bytes
// are there, taking along what is fetched already, up to MaxBytes of keys and values, and to
// what the settings allow an answer to be; a single record may be larger. After the timeout, or
// when [Manager.Drain] is called, it answers the records that it has, even if there are none.
// With an error dst is returned as long as it was and the position has not moved. With nothing to
// answer because Kafka cannot be reached, that is the error: [apierr.BrokersAway], or
// [apierr.Unauthenticated] when Kafka refuses the credentials. The answer goes to the client as d
// says.
//
// The call also confirms the answer before it. It waits, within its timeout,
// for an assignment that is still to come and for another read of the same
// instance. When that one is still going at the end: [apierr.IllegalState], as
// before a subscription or assignment and where there is no position to read
// from. [apierr.Undecodable] names the record that cannot be answered; those
// before it were answered by the last call, and the position stays at it.
// When ctx ends the read does, and nothing of what was fetched is lost.
func (i *Instance) AppendRecords(ctx context.Context, dst []byte, o ReadOptions, d Delivery) ([]byte, error) {
	if err := i.beginCall(); err != nil {
		return dst, err
	}
	defer i.endCall()
	asked := time.Now()
	i.confirm()
	timeout, limit := i.opts.RequestTimeout, i.m.settings.MaxBytes
	if o.Timeout > 0 {
		timeout = min(timeout, o.Timeout)
	}
	if o.MaxBytes > 0 {
		limit = min(limit, o.MaxBytes)
	}
	if o.NoWait {
		timeout = 0
	}
	turn := &waiting{parent: ctx, other: i.life, deadline: asked.Add(timeout)}
	defer turn.stop()
	// A drain does not cut the wait for our turn: it wakes who is before us.
	wait := &waiting{parent: turn, other: i.m.unhurried}
	defer wait.stop()

	if err := i.takeTurn(ctx, turn); err != nil {
		return dst, err
	}
	defer func() { <-i.lease }()
	s, err := i.beginRead(ctx, turn)
	if err != nil {
		return dst, err
	}
	if err := i.collect(ctx, wait, s, limit); err != nil {
		return dst, err
	}
	room, err := i.room(s, limit)
	if err != nil {
		return dst, err
	}
	dst = pool.Grow(dst, room) // not before: who waits holds no memory for what may come
	page := append(dst, '[')
	known := reader.NewSchemas(i.m.deps.Schemas, i.opts.Format, nil)
	asking, stop := i.asking(ctx, turn, known)
	defer stop()
	for taken := (count{asked: asked}); ; {
		passed := 0
		page, passed, err = i.answer(s, page, &taken, limit, o.Extras(known))
		switch {
		case err != nil && known != nil: // the registry is asked here, where only the lease is held
			if err = known.Learn(asking, i.opts.Format, err); err == nil {
				continue
			}
			err = i.explain(err)
		case err == nil && taken.records == 0 && passed > 0 && wait.Err() == nil: // all skipped
			if err = i.collect(ctx, wait, s, limit); err == nil {
				continue
			}
		}
		if err != nil && taken.records == 0 {
			return dst, err
		}
		i.mu.Lock()
		s.finishPage()
		if d.Lost != nil {
			i.losses = append(i.losses, d.Lost)
		}
		i.goesBy(d.Passage, taken.records)
		i.mu.Unlock()
		return append(page, ']'), nil
	}
}

// room returns how much an answer may take, or why there is none: an empty one would say that
// Kafka has no more records.
func (i *Instance) room(s *session, limit int) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s.backlog.records == 0 && !s.ended {
		if err := s.unreachable(); err != nil {
			return 0, err
		}
	}
	return s.backlog.room(limit, i.opts.Format), nil
}

// asking bounds the look-ups of a read: by its timeout, but they have lookUpTime
// at least, and by a drain.
func (i *Instance) asking(ctx, turn context.Context, known *reader.Schemas) (context.Context, func()) {
	if known == nil {
		return turn, func() {}
	}
	deadline, _ := turn.Deadline()
	ctx, cancel := i.bound(ctx, max(time.Until(deadline), lookUpTime))
	undo := context.AfterFunc(i.m.unhurried, cancel)
	return ctx, func() { undo(); cancel() }
}

// confirm notes, when a client asks for more, that it has what was answered
// before, unless that is known to be lost. It comes before the wait for the
// turn: the answer of a read that goes on meanwhile may be for a client that is
// gone. An answer that went by another node waits for its word, see beginRead.
// A read in place of a stream says nothing of what the stream's client has.
func (i *Instance) confirm() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s := i.session; s != nil && !i.streaming && i.passage == nil && !i.isLost() {
		s.confirm()
		i.forgetLosses()
	}
}

// isLost reports whether an answer that is not confirmed did not arrive, or
// nobody knows whether it did. The caller holds i.mu.
func (i *Instance) isLost() bool {
	return i.passage != nil && !(i.passage.known() && i.passage.arrived) ||
		slices.ContainsFunc(i.losses, func(lost func() bool) bool { return lost() })
}

// forgetLosses is for when all that was answered is confirmed or taken back.
func (i *Instance) forgetLosses() {
	clear(i.losses)
	i.losses, i.passage = i.losses[:0], nil
}

// takeTurn takes the lease. turn bounds the wait, ctx is the caller's own.
func (i *Instance) takeTurn(ctx, turn context.Context) error {
	if acquire(turn, i.lease) == nil {
		return nil
	}
	return i.gaveUp(ctx, "Another read of this consumer instance is going on and did not end within the timeout. An instance is read by one request at a time.")
}

// answeredMark is what a commit of all that was answered says of a partition.
// The caller holds i.mu.
func (i *Instance) answeredMark() func(*partition) mark {
	if i.isLost() {
		return (*partition).confirmedMark
	}
	return (*partition).answeredMark
}

// gaveUp is the error of a read that could not even begin before its time was
// over: the end of the instance or of the client, if that was it, else why.
func (i *Instance) gaveUp(ctx context.Context, why string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return i.closed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return apierr.IllegalState.New("%s", why)
}

// beginRead returns the session to read from, with what got lost taken back, and
// what is known to have arrived confirmed, and topics that were created again taken
// up. A change of the subscription that is under way is waited for. The caller holds
// the lease.
func (i *Instance) beginRead(ctx, turn context.Context) (*session, error) {
	i.awaitPassage(ctx) // rare, may outlast the read, and else records that arrived are repeated
	if err := i.renew(ctx, turn); err != nil {
		return nil, err
	}
	if acquire(turn, i.changing) != nil {
		return nil, i.gaveUp(ctx, "The subscription or assignment of this consumer instance is being changed, which did not end within the timeout.")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	<-i.changing
	s := i.session
	switch {
	case i.closed != nil:
		return nil, i.closed
	case s == nil:
		return nil, apierr.IllegalState.New("This consumer instance has neither a subscription nor an assignment. Subscribe to topics or assign partitions first.")
	}
	if i.isLost() {
		// Begun, it is finished: the client that is gone meanwhile is not the last.
		if err := s.takeBack(context.WithoutCancel(ctx)); err != nil {
			return nil, err
		}
	} else if i.passage != nil { // there was word of it
		s.confirm()
		i.forgetLosses()
	}
	if err := s.open(); err != nil {
		return nil, apierr.From(err)
	}
	s.unpark()
	return s, nil
}

// collect waits until the backlog has what a read wants: fetch.min.bytes, or
// what came until wait ended; then it takes along what is fetched already, up
// to limit bytes. The caller holds the lease.
func (i *Instance) collect(ctx, wait context.Context, s *session, limit int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for drained := false; ; {
		for i.holders > 0 {
			i.changed.Wait()
		}
		b := &s.backlog
		switch {
		case i.closed != nil:
			return i.closed
		case ctx.Err() != nil: // the client is gone
			return ctx.Err()
		case s.ended:
			return nil
		case s.failed != nil && b.records == 0:
			return s.tell()
		case s.failed != nil, b.records > 0 && b.bytes >= limit, b.records >= reader.MaxPageRecords:
			return nil
		}
		if b.records == 0 {
			if err := s.blocked(); err != nil {
				return err
			}
		}
		if drained {
			return nil
		}
		enough := b.records > 0 && (i.opts.FetchMinBytes <= 1 || b.bytes >= i.opts.FetchMinBytes)
		if !enough && wait.Err() == nil {
			i.poll(wait, s, false)
			continue
		}
		before := b.records
		drained = i.poll(wait, s, true) && b.records == before // nothing more is fetched already
	}
}

// poll moves records from the Kafka client into the backlog. It waits for records until ctx
// ends or holdPolls interrupts it, or just drains those that were fetched. The caller holds
// i.mu, which is released meanwhile, so the session may have ended after it. It is true unless
// interrupted.
func (i *Instance) poll(ctx context.Context, s *session, drain bool) bool {
	interrupted, cancel := false, func() {}
	if drain {
		ctx = nil // PollRecords does not wait then
	} else {
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
	}
	i.pollCancel = func() { interrupted = true; cancel() }
	i.mu.Unlock()
	fetches := s.client.PollRecords(ctx, pollRecords)
	i.mu.Lock()
	i.pollCancel = nil
	s.take(fetches)
	i.changed.Broadcast()
	// From here on a revocation finds these records in the backlog. This
	// only wakes who waits; none of that runs on our goroutine.
	s.client.AllowRebalance()
	return !interrupted
}

// take puts what a poll returned into the backlog. The caller holds the
// instance's mu.
func (s *session) take(fetches kgo.Fetches) {
	if s.ended {
		return
	}
	for f := range fetches {
		for t := range fetches[f].Topics {
			topic := &fetches[f].Topics[t]
			for p := range topic.Partitions {
				fetched := &topic.Partitions[p]
				tp := TopicPartition{Topic: topic.Topic, Partition: fetched.Partition}
				if part := s.parts[tp]; part != nil {
					if fetched.HighWatermark > 0 {
						part.end = fetched.HighWatermark
					}
					// The library reads a blocked partition all the same.
					// The seek that unblocks it tells it where to go on.
					if part.blocked == nil {
						s.backlog.add(part, fetched.Records)
					}
				}
				if fetched.Err == nil {
					continue
				}
				if errors.Is(fetched.Err, kerr.UnknownTopicID) {
					s.outlive(topic)
				}
				if err := s.fetchError(tp, fetched.Err); s.failed == nil { // it may block the partition after those records
					s.failed = err
				}
			}
		}
	}
}

// answer encodes the backlog into dst and moves the positions past it, both in
// one go: nothing can come in between that would change either. It returns how
// many records it has passed.
func (i *Instance) answer(s *session, dst []byte, taken *count, limit int, x codec.Extras) ([]byte, int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return dst, 0, i.closed
	}
	return s.encode(dst, taken, bounds{limit, i.m.settings.MaxBytes}, func(dst []byte, r *kgo.Record) ([]byte, error) {
		start := len(dst)
		if taken.records > 0 {
			dst = append(dst, ',')
		}
		body := len(dst)
		dst, err := reader.AppendShown(dst, r, i.opts.Format, x, i.opts.Undecodable)
		if len(dst) == body {
			dst = dst[:start]
		}
		return dst, err
	})
}

// count is how much an answer has: records, the bytes of their keys and values, and
// what was written of them, which may be more by far. The client asked for it then.
type count struct {
	records, bytes, written int
	asked                   time.Time
}

// bounds are those of an answer of more than one record: of the bytes of keys and
// values, and of what is written.
type bounds struct{ bytes, written int }

// admit reports whether a record of so many bytes may be taken too.
func (c *count) admit(size int, b bounds) bool {
	return c.records == 0 || c.bytes+size <= b.bytes && c.records < reader.MaxPageRecords
}

// appendOne appends one record, or nothing of one to skip.
type appendOne func(dst []byte, r *kgo.Record) ([]byte, error)

// encode has records from the front of the backlog appended to those that were
// taken before, within the bounds, and moves the positions past them. It returns
// how many it has passed, those that were skipped among them; an error says why
// it stopped at a record that it did not append. The caller holds the instance's mu.
func (s *session) encode(dst []byte, taken *count, within bounds, one appendOne) (_ []byte, passed int, err error) {
	from, passedBytes := taken.records, 0
	for full, n := false, 0; n < len(s.backlog.runs) && !full && err == nil; n++ {
		run := &s.backlog.runs[n]
		first := passed
		var to mark
		returned := reader.Returned{Format: s.inst.opts.Format, Topic: run.part.Topic, Asked: taken.asked}
		for _, r := range run.records {
			size, good := reader.Size(r), len(dst)
			if full = !taken.admit(size, within); full {
				break
			}
			dst, err = one(dst, r)
			full = err == nil && taken.records > 0 && taken.written+len(dst)-good > within.written
			if err != nil || full {
				dst = dst[:good]
				break
			}
			if len(dst) > good {
				returned.Add(r)
				taken.records++
				taken.bytes += size
				taken.written += len(dst) - good
			}
			passed++
			passedBytes += size
			to = mark{offset: r.Offset + 1, epoch: r.LeaderEpoch}
			r.Recycle() // its bytes are copied
		}
		if passed > first {
			s.moved(run.part, to, returned)
		}
	}
	s.backlog.advance(passed, passedBytes)
	if skipped := passed - (taken.records - from); skipped > 0 {
		s.inst.m.counts.skipped.Add(uint64(skipped))
	}
	return dst, passed, err
}

// moved moves the position of p to a mark, past records of which these were returned.
func (s *session) moved(p *partition, to mark, returned reader.Returned) {
	p.answered = to
	if read := s.inst.m.deps.Read; read != nil && returned.Records > 0 {
		returned.Ready = time.Now()
		read(returned)
	}
	if !p.onPage {
		p.onPage = true
		s.page = append(s.page, p)
	}
}
