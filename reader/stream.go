package reader

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// A stream can begin at these positions besides an offset.
const (
	Beginning = kafka.StartOfLog // the first record of the log
	End       = kafka.EndOfLog   // the next record to come
)

const (
	// streamFetch bounds what one stream fetches for itself at a time, and so
	// what it holds while its client does not read.
	streamFetch = 256 << 10
	// lookTimeout bounds a fetch of one stream, during which its other partitions wait. A failed
	// fetch is retried after troubled, then after twice as long each time, up to maxTroubled.
	lookTimeout           = 2 * time.Second
	troubled, maxTroubled = time.Second, 8 * time.Second
)

// Frames writes the framing of the messages of a stream. Each method appends to dst and returns
// it. at is the position from which a client resumes that has seen everything so far; it is nil
// in the stream of an instance, which has its own positions.
type Frames interface {
	// Begin opens the stream.
	Begin(dst []byte, at *Positions) []byte
	// Open precedes a message, a JSON object on one line, and Close follows it. failure
	// distinguishes an error from records.
	Open(dst []byte, failure bool, at *Positions) []byte
	Close(dst []byte) []byte
	// Beat shows that the stream is alive.
	Beat(dst []byte, at *Positions) []byte
}

// StreamRead describes a stream of the records of a topic, existing and new ones, without an
// instance and without a group.
type StreamRead struct {
	// Topic to read.
	Topic string
	// Partitions to read; none means all, and those that are added later.
	Partitions []int32
	// Offset of the first record where there is just one partition; or
	// [Beginning] or [End].
	Offset int64
	// Since selects the records that are not older, in place of Offset, unless it is the zero
	// time.
	Since time.Time
	// Resume, if not nil, is the position to resume from, in place of both. Partitions that it
	// lacks are new and read from their beginning. If the topic was deleted and created again
	// since, all partitions are read from their beginning, and the client is notified.
	Resume *Positions
	// Keys, if not empty, selects the records with one of these keys.
	Keys [][]byte
	// Undecodable selects the treatment of records that are not in the format.
	Undecodable Undecodables
	// Format in which records are returned.
	Format codec.Format
	// Heartbeat is how long a stream may be silent; 0 means no limit.
	Heartbeat time.Duration
	// Frames stand around the records.
	Frames Frames
	// Show is the form of the records.
	Show
}

// Stream is an endless read of a topic. [Stream.Run] runs it, once.
type Stream struct {
	r      *Reader
	q      StreamRead
	known  *Schemas
	extras codec.Extras
	fetch  *kafka.Reader
	tail   *tail
	topic  kafka.Topic // as far as its partitions are read
	all    bool        // partitions that are added are read too
	news   bool        // the topic is not the one to resume in
	parts  []streamPart
	at     Positions
	out    Outlet
}

// streamPart is one partition of a stream.
type streamPart struct {
	partition int32
	offset    int64         // of the next record
	looked    time.Time     // when it was last fetched for this stream alone
	pause     time.Duration // until the next such fetch, without a notification
}

// pauses reports whether the stream does not fetch the partition yet.
func (p *streamPart) pauses() bool { return time.Since(p.looked) < p.pause }

// OpenStream determines the start of the stream. The returned stream holds no resources until it
// runs.
//
// Errors: [apierr.TopicNotFound], [apierr.PartitionNotFound], [apierr.BadRequest] for an offset
// with more than one partition, or positions in another topic, [apierr.OffsetNotFound] for an
// offset below the first, [apierr.BrokersAway], and Kafka's errors.
func (r *Reader) OpenStream(ctx context.Context, q StreamRead) (*Stream, error) {
	if err := r.admit(q.Topic); err != nil {
		return nil, err
	}
	if err := r.checkFormat(q.Format); err != nil {
		return nil, err
	}
	if err := r.away(); err != nil {
		return nil, err
	}
	fetch, err := r.fetcher()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.settings.RequestTimeout+faultTimeout)
	defer cancel()
	s := &Stream{r: r, q: q, fetch: fetch, all: len(q.Partitions) == 0}
	if s.topic, err = fetch.Topic(ctx, q.Topic); err != nil {
		return nil, r.explain(TopicPartition{Topic: q.Topic}, err)
	}
	s.at = positionsIn(q.Topic, s.topic.ID)
	if from := q.Resume; from != nil && !from.sameTopic(&s.at) {
		if from.topic != q.Topic {
			return nil, apierr.BadRequest.New("The id of the last event is one of topic %.249q, not of %s.", from.topic, q.Topic)
		}
		s.q.Resume, s.news = &Positions{}, true
	}
	which, err := s.which()
	if err != nil {
		return nil, err
	}
	starts, err := s.starts(ctx, which)
	if err != nil {
		return nil, err
	}
	for _, p := range which {
		s.add(p, starts[TopicPartition{Topic: q.Topic, Partition: p}])
	}
	return s, nil
}

// which returns the partitions to read.
func (s *Stream) which() ([]int32, error) {
	which := slices.Compact(slices.Sorted(slices.Values(s.q.Partitions)))
	if s.all {
		for p := range s.topic.Partitions {
			which = append(which, int32(p))
		}
	}
	if n := len(which); n > 0 && int(which[n-1]) >= s.topic.Partitions {
		return nil, apierr.PartitionNotFound.New("Topic %s has no partition %d.", s.q.Topic, which[n-1])
	}
	return which, nil
}

func (s *Stream) add(partition int32, offset int64) {
	s.parts = append(s.parts, streamPart{partition: partition, offset: offset})
	s.at.Set(partition, offset)
}

// starts returns the first offset of each of the partitions.
func (s *Stream) starts(ctx context.Context, which []int32) (map[TopicPartition]int64, error) {
	q := &s.q
	ask, known := make(map[TopicPartition]int64), make(map[TopicPartition]int64)
	for _, p := range which {
		tp := TopicPartition{Topic: q.Topic, Partition: p}
		switch {
		case q.Resume != nil:
			if offset, ok := q.Resume.At(p); ok {
				known[tp] = offset
			} else {
				ask[tp] = Beginning
			}
		case !q.Since.IsZero():
			ask[tp] = max(q.Since.UnixMilli(), 0) // Kafka gives negative ones a meaning of their own
		case q.Offset >= 0 && len(which) > 1:
			return nil, apierr.BadRequest.New("Topic %s has %d partitions. A stream that begins at an offset reads one of them: choose it with partition=.", q.Topic, s.topic.Partitions)
		case q.Offset >= 0:
			return map[TopicPartition]int64{tp: q.Offset}, notBelow(ctx, s.fetch, tp, q.Offset)
		default:
			ask[tp] = q.Offset
		}
	}
	found, err := s.fetch.OffsetsAt(ctx, s.r.committed(), ask)
	if err != nil {
		return nil, s.r.explain(TopicPartition{Topic: q.Topic}, err)
	}
	for tp, offset := range known {
		found[tp] = offset
	}
	return found, nil
}

// Run sends the stream until ctx ends or [Reader.Drain] is called, which is its regular end, or
// send fails, whose error it returns. An error that no retry can cure, such as the deletion of
// the topic, is sent in the stream, which ends then. An outage of Kafka does not end the stream.
//
// send borrows its argument. While send waits for the client, no records are read beyond those
// that this stream holds already.
func (s *Stream) Run(ctx context.Context, send func([]byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.r.unhurried, cancel)()
	s.known = NewSchemas(s.r.deps.Schemas, s.q.Format, ctx)
	s.extras = s.q.Extras(s.known)
	s.tail = s.r.joinTail(s.q.Topic, s.topic, s.fetch)
	defer func() { s.tail.leave() }()
	s.out = NewOutlet(send, s.q.Format, s.r.deps.Read)
	defer s.out.Close()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	if err := s.out.Put(s.begin); err != nil {
		return err
	}
	for ctx.Err() == nil {
		s.grow(ctx)
		some, err := s.round(ctx)
		switch {
		case errors.Is(err, kafka.ErrRecreated):
			err = s.restart(ctx)
		case err == nil && !some:
			err = s.idle(ctx, timer)
		}
		if err != nil && ctx.Err() == nil {
			return s.out.Fail(s.q.Frames, &s.at, err)
		}
	}
	return s.out.Flush()
}

// begin opens the stream, and reports in it a topic that was recreated since the client's
// position.
func (s *Stream) begin(dst []byte) []byte {
	dst = s.q.Frames.Begin(dst, &s.at)
	if s.news {
		dst = s.recreated(dst)
	}
	return dst
}

// recreated reports in the stream that the records are another topic's from here on.
func (s *Stream) recreated(dst []byte) []byte {
	f := &Failure{Offset: -1, Err: apierr.OffsetNotFound.New("Topic %s was deleted and created again. The stream goes on with the first record that it has now.", s.q.Topic)}
	return f.append(dst, s.q.Frames, &s.at)
}

// restart begins with the topic that has the name now.
func (s *Stream) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := s.fetch.Topic(ctx, s.q.Topic)
	if err != nil {
		return s.explain(TopicPartition{Topic: s.q.Topic}, -1, err)
	}
	s.tail.leave()
	s.topic, s.at, s.parts = found, positionsIn(s.q.Topic, found.ID), nil
	s.tail = s.r.joinTail(s.q.Topic, found, s.fetch)
	which, err := s.which()
	if err != nil {
		return err
	}
	for _, p := range which {
		s.add(p, 0)
	}
	return s.out.Put(s.recreated)
}

// idle sends the buffered records and waits for more.
func (s *Stream) idle(ctx context.Context, timer *time.Timer) error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	s.out.Close()
	wake := grownEvery
	if s.q.Heartbeat > 0 {
		wake = min(wake, time.Until(s.out.sent.Add(s.q.Heartbeat)))
	}
	look := lastLook
	for i := range s.parts {
		look = min(look, max(s.parts[i].pause, firstLook))
	}
	s.tail.await(ctx, s.parts, timer, wake, look)
	return s.keepUp()
}

// keepUp sends records that have waited long enough for more, or a heartbeat when one is due. It
// is called after every read, because records that do not match may come without end: without
// keepUp a client that is cut off in between would read them again, each time.
func (s *Stream) keepUp() error {
	switch {
	case s.out.Silent(s.q.Heartbeat):
		return s.out.Put(func(dst []byte) []byte { return s.q.Frames.Beat(dst, &s.at) })
	case !s.out.Empty() && time.Since(s.out.since) >= flushAfter:
		return s.out.Flush()
	}
	return nil
}

// grow adds the partitions that were added to the topic meanwhile, from their beginning.
func (s *Stream) grow(ctx context.Context) {
	if !s.all {
		return
	}
	for count := s.tail.partitions(ctx); s.topic.Partitions < count; s.topic.Partitions++ {
		s.add(int32(s.topic.Partitions), 0)
	}
}

// round appends the available records of each partition, and sends a buffer that is a chunk or
// has waited. It reports whether any partition made progress.
func (s *Stream) round(ctx context.Context) (some bool, err error) {
	s.known.Forget()
	for i := range s.parts {
		p := &s.parts[i]
		before := p.offset
		run, known := s.tail.take(p.partition, p.offset)
		switch {
		case run != nil:
			p.pause = 0
			err = s.encode(p, run.records, run.next)
			s.tail.give(run)
		case known:
			p.pause = lastLook
			continue
		case p.pauses():
			continue
		default:
			err = s.look(ctx, p)
		}
		some = some || p.offset > before
		if err == nil {
			err = s.keepUp()
		}
		if err != nil {
			return some, err
		}
	}
	return some, nil
}

// look fetches for this stream alone.
func (s *Stream) look(ctx context.Context, p *streamPart) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	part, next, err := s.fetch.Fetch(ctx, kafka.PartitionRead{
		Topic: s.q.Topic, TopicID: s.topic.ID, Partition: p.partition, Offset: p.offset, MaxBytes: streamFetch,
		ReadCommitted: s.r.committed(), Impatient: true,
	})
	p.looked = time.Now()
	if err != nil {
		return s.trouble(ctx, p, err)
	}
	p.pause = min(max(2*p.pause, firstLook), lastLook)
	if next > p.offset {
		p.pause = 0
	}
	err = s.encode(p, part.Records, next)
	for _, r := range part.Records {
		r.Recycle()
	}
	return err
}

// trouble decides about a failed fetch: nil if the stream continues.
func (s *Stream) trouble(ctx context.Context, p *streamPart, err error) error {
	tp := TopicPartition{Topic: s.q.Topic, Partition: p.partition}
	p.pause = min(max(2*p.pause, troubled), maxTroubled)
	var huge *kgo.ErrDecompressTooLarge
	switch {
	case errors.Is(err, kafka.ErrRecreated):
		return err
	case errors.Is(err, kerr.OffsetOutOfRange):
		p.pause = lastLook
		first, err := s.fetch.OffsetsAt(ctx, false, map[TopicPartition]int64{tp: kafka.StartOfLog})
		if err != nil || first[tp] <= p.offset {
			return nil // it is past the end, or Kafka cannot say
		}
		return s.skip(p, first[tp], apierr.OffsetNotFound.New("The records of partition %d of topic %s from offset %d to before %d are gone. The stream goes on after them.", p.partition, s.q.Topic, p.offset, first[tp]))
	case errors.As(err, &huge) && s.q.Undecodable != FailOn && huge.NextOffset > p.offset:
		return s.skip(p, huge.NextOffset, Explain(tp, err))
	}
	return s.explain(tp, p.offset, err)
}

// explain returns the error to report for one that no retry cures, nil for others.
func (s *Stream) explain(tp TopicPartition, offset int64, err error) error {
	why := &Failure{TopicPartition: tp, Offset: offset, Err: Explain(tp, err)}
	switch why.Err.Kind {
	case apierr.TopicNotFound, apierr.PartitionNotFound, apierr.Unauthorized, apierr.Undecodable:
		return why
	}
	if errors.Is(err, kgo.ErrClientClosed) {
		return why
	}
	return nil
}

// skip reports why the partition continues at offset.
func (s *Stream) skip(p *streamPart, offset int64, why *apierr.Error) error {
	f := &Failure{TopicPartition: TopicPartition{Topic: s.q.Topic, Partition: p.partition}, Offset: p.offset, Err: why}
	p.offset = offset
	s.at.Set(p.partition, offset)
	return s.out.Put(func(dst []byte) []byte { return f.append(dst, s.q.Frames, &s.at) })
}

// encode appends the matching ones of the records, which it borrows. Afterwards the partition
// continues at next.
func (s *Stream) encode(p *streamPart, records []*kgo.Record, next int64) error {
	for _, r := range records {
		if r.Offset < p.offset {
			continue
		}
		if len(s.q.Keys) == 0 || s.wanted(r) {
			s.at.Set(p.partition, r.Offset+1)
			if err := s.record(r); err != nil {
				s.at.Set(p.partition, p.offset)
				return &Failure{TopicPartition: TopicPartition{Topic: r.Topic, Partition: r.Partition}, Offset: r.Offset, Err: apierr.From(err)}
			}
		}
		p.offset = r.Offset + 1
		if s.out.Full() {
			if err := s.out.Flush(); err != nil {
				return err
			}
		}
	}
	p.offset = max(p.offset, next)
	s.at.Set(p.partition, p.offset)
	return nil
}

func (s *Stream) wanted(r *kgo.Record) bool {
	return r.Key != nil && slices.ContainsFunc(s.q.Keys, func(key []byte) bool { return bytes.Equal(key, r.Key) })
}

// record appends one record in its frame.
func (s *Stream) record(r *kgo.Record) error {
	b := s.out.Buffer()
	start := len(b.B)
	dst := s.q.Frames.Open(b.B, false, &s.at)
	body := len(dst)
	dst, err := AppendStreamed(dst, r, s.q.Format, s.extras, s.q.Undecodable)
	if err == nil && len(dst) == body {
		s.r.skipped.Add(1)
	}
	if err != nil || len(dst) == body {
		b.B = dst[:start]
		return err
	}
	b.B = s.q.Frames.Close(dst)
	s.out.Count(r)
	return nil
}
