package consumer

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/reader"
)

// InstanceStream is an endless read of an instance. [InstanceStream.Run] runs
// it, once; until then it holds nothing.
//
// Records that were written to the client count as answered, and as confirmed when something
// was written after them. When a write fails, the records that are not confirmed are given
// back: the instance reads them again.
type InstanceStream struct {
	i      *Instance
	q      StreamOptions
	known  *reader.Schemas
	extras codec.Extras
	out    reader.Outlet
	last   []written // the answer before the present one, until that is written
}

// StreamOptions are what a client chooses for the stream of an instance.
type StreamOptions struct {
	// Undecodable says what becomes of records that are not in the instance's
	// format, in place of what its own options say.
	Undecodable reader.Undecodables
	// Heartbeat is how long the stream may be silent; 0 means without a bound.
	Heartbeat time.Duration
	// Frames stand around the records.
	Frames reader.Frames
	// Show says how records are shown.
	reader.Show
}

// written is how far a written answer got in a partition.
type written struct {
	part     *partition
	to       mark // past the answer
	answered mark // of the partition when it was looked at last, to see a seek
}

// OpenStream returns a stream of the instance, which it confirms the last
// answer of. Errors: as of [Instance.AppendRecords] before there are records. A stream that is
// open outlasts an outage of Kafka.
func (i *Instance) OpenStream(ctx context.Context, q StreamOptions) (*InstanceStream, error) {
	if err := i.beginCall(); err != nil {
		return nil, err
	}
	defer i.endCall()
	i.confirm()
	if err := i.takeReadTurn(ctx); err != nil {
		return nil, err
	}
	i.mu.Lock()
	var err error
	if s := i.session; s != nil && s.backlog.records == 0 {
		err = s.unreachable()
	}
	i.mu.Unlock()
	<-i.lease
	if err != nil {
		return nil, err
	}
	known := reader.NewSchemas(i.m.deps.Schemas, i.opts.Format, nil)
	return &InstanceStream{i: i, q: q, known: known, extras: q.Extras(known)}, nil
}

// takeReadTurn takes the lease and makes sure that there is something to read from.
func (i *Instance) takeReadTurn(ctx context.Context) error {
	turn, cancel := i.bound(ctx, i.opts.RequestTimeout)
	defer cancel()
	if err := i.takeTurn(ctx, turn); err != nil {
		return err
	}
	if _, err := i.beginRead(ctx, turn); err != nil {
		<-i.lease
		return err
	}
	return nil
}

// setStreaming notes whether the lease is a stream's.
func (i *Instance) setStreaming(is bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.streaming = is
}

// Run sends the stream until ctx ends or [Manager.Drain] is called, which is
// its end in order, or send fails, whose error it returns. Other errors are told
// in the stream, which ends then. Other reads of the instance wait meanwhile.
func (st *InstanceStream) Run(ctx context.Context, send func([]byte) error) error {
	i := st.i
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.m.unhurried, cancel)()
	st.out = reader.NewOutlet(send, i.opts.Format, nil) // the session counts the records
	defer st.out.Close()
	err := i.beginCall()
	if err == nil {
		defer i.endCall()
		if err = i.takeReadTurn(ctx); err == nil {
			defer func() { <-i.lease }()
			i.setStreaming(true)
			defer i.setStreaming(false)
		}
	}
	if err == nil {
		err = st.out.Put(func(dst []byte) []byte { return st.q.Frames.Begin(dst, nil) })
	}
	for err == nil && ctx.Err() == nil {
		err = st.page(ctx)
	}
	if err == nil || ctx.Err() != nil {
		return st.out.Gone()
	}
	return st.out.Fail(st.q.Frames, nil, err)
}

// page waits for records and sends them, or a heartbeat.
func (st *InstanceStream) page(ctx context.Context) error {
	i := st.i
	turn, cancel := i.bound(ctx, i.opts.RequestTimeout)
	defer cancel()
	s, err := i.beginRead(ctx, turn)
	if err != nil {
		return err
	}
	wait, done := context.WithCancel(ctx)
	if st.q.Heartbeat > 0 {
		wait, done = context.WithDeadline(ctx, st.out.Sent().Add(st.q.Heartbeat))
	}
	defer done()
	// The end of ctx ends the wait, and is no reason to drop records that were fetched.
	if err := i.collect(context.WithoutCancel(ctx), wait, s, reader.StreamChunk); err != nil {
		return err
	}
	n, err := st.encode(s)
	switch {
	case err != nil && n == 0 && st.known != nil:
		return st.known.Learn(ctx, i.opts.Format, err) // the records before it are on their way
	case err != nil && n == 0:
		return err
	}
	if n > 0 {
		st.known.Forget()
	}
	switch {
	case !st.out.Empty():
		return st.deliver(s)
	case ctx.Err() != nil || !st.out.Silent(st.q.Heartbeat):
		return nil // all were passed over, or the subscription has changed
	}
	if err := st.out.Put(func(dst []byte) []byte { return st.q.Frames.Beat(dst, nil) }); err != nil {
		st.giveBack(s)
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	s.confirm()
	st.last = st.last[:0]
	return nil
}

// encode takes what is in the backlog into the buffer and moves the positions. Records answered
// before are still to be confirmed: by the buffer when that is written, or, where all records
// are skipped, by the next write.
func (st *InstanceStream) encode(s *session) (n int, err error) {
	i := st.i
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return 0, i.closed
	}
	if s.backlog.records == 0 {
		return 0, nil
	}
	st.last = st.last[:0]
	for _, p := range s.page {
		st.last = append(st.last, written{part: p, to: p.answered})
		p.onPage = false
	}
	s.page = s.page[:0]
	b := st.out.Buffer()
	taken := count{asked: st.out.Sent()}
	b.B, n, err = s.encode(b.B, &taken, bounds{reader.StreamChunk, 4 * reader.StreamChunk}, func(dst []byte, r *kgo.Record) ([]byte, error) {
		start := len(dst)
		dst = st.q.Frames.Open(dst, false, nil)
		body := len(dst)
		dst, err := reader.AppendStreamed(dst, r, i.opts.Format, st.extras, st.q.Undecodable)
		if err != nil {
			return dst[:start], &reader.Failure{TopicPartition: TopicPartition{Topic: r.Topic, Partition: r.Partition}, Offset: r.Offset, Err: apierr.From(err)}
		}
		if len(dst) == body {
			return dst[:start], nil
		}
		return st.q.Frames.Close(dst), nil
	})
	if st.out.Empty() { // what was answered before still is the last
		for _, w := range st.last {
			if !w.part.onPage {
				w.part.onPage = true
				s.page = append(s.page, w.part)
			}
		}
		st.last = st.last[:0]
	}
	s.finishPage() // before it is written: its client may commit at once
	for k := range st.last {
		st.last[k].answered = st.last[k].part.answered
	}
	return n, err
}

// deliver sends what encode has taken. When that is done the answer before it
// is confirmed.
func (st *InstanceStream) deliver(s *session) error {
	if err := st.out.Flush(); err != nil {
		st.giveBack(s)
		return err
	}
	st.i.mu.Lock()
	defer st.i.mu.Unlock()
	for _, w := range st.last {
		if w.part.answered == w.answered { // no seek has said otherwise
			w.part.confirmed = w.to
		}
	}
	st.last = st.last[:0]
	return nil
}

// giveBack has the instance read again what is answered and not confirmed.
func (st *InstanceStream) giveBack(s *session) {
	i := st.i
	ctx, cancel := i.bound(context.Background(), kafkaTimeout)
	defer cancel()
	i.mu.Lock()
	defer i.mu.Unlock()
	to := make(map[TopicPartition]int64)
	for _, w := range st.last {
		if w.part.answered == w.answered {
			s.unreadOne(w.part, to)
		}
	}
	s.unread(to)
	if len(to) == 0 || s.ended {
		return
	}
	if err := s.move(ctx, to); err != nil && !apierr.InstanceNotFound.Is(err) {
		i.m.log.Warn("cannot give back what the client of a stream did not get", "group", i.group, "instance", i.opts.Name, "err", err)
	}
}
