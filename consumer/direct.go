package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/pool"
)

const (
	// faultTimeout is how long beyond its own timeout a direct read bears with
	// Kafka's troubles, a leader that moves for one.
	faultTimeout = 5 * time.Second
	// A direct read at the end of its partition looks again after firstLook,
	// then after twice as long each time, up to lastLook. It does not wait at
	// the broker, see [kafka.Reader].
	firstLook, lastLook = 5 * time.Millisecond, 100 * time.Millisecond
	// A read of few records fetches this much for each, and this much at least.
	recordGuess, leastGuess = 4 << 10, 16 << 10
)

// DirectRead asks for records of one partition, with no instance and no group.
type DirectRead struct {
	TopicPartition
	// Offset of the first record to answer.
	Offset int64
	// Since asks for the first record that is not older in place of Offset,
	// unless it is the zero time.
	Since time.Time
	// Count bounds the records of the answer if it is above 0. They are then
	// waited for no longer than any one: what is there is answered.
	Count int
	// Format that records are answered in.
	Format codec.Format
	// ReadOptions as for an instance, with the server's timeout for its own.
	ReadOptions
}

// AppendDirect appends a JSON array of the records to dst, which it takes, and
// returns the extended slice, grown by [pool.Grow]. It answers as soon as there is
// a record, up to MaxBytes of keys and values; a single record may be larger. Past
// the end of the partition it waits for records to come and answers, at its timeout
// or when [Manager.Drain] is called, an empty array. With an error dst is returned
// as long as it was.
//
// Errors: [apierr.TopicNotFound], [apierr.PartitionNotFound],
// [apierr.OffsetNotFound] for an offset below the first, which says the range,
// [apierr.Undecodable] for a first record that is not in the format, and what
// Kafka said; a leader that moves is followed.
func (m *Manager) AppendDirect(ctx context.Context, dst []byte, q DirectRead) ([]byte, error) {
	if err := m.admitTopic(q.Topic); err != nil {
		return dst, err
	}
	timeout := m.settings.RequestTimeout
	switch {
	case q.NoWait:
		timeout = 0
	case q.Timeout > 0:
		timeout = min(timeout, q.Timeout)
	}
	if q.MaxBytes <= 0 || q.MaxBytes > m.settings.MaxBytes {
		q.MaxBytes = m.settings.MaxBytes
	}
	if err := m.checkFormat(q.Format); err != nil {
		return dst, err
	}
	reader, err := m.cluster.reader()
	if err != nil {
		return dst, apierr.From(err)
	}
	d := directRead{
		m: m, reader: reader, q: q, deadline: time.Now().Add(timeout),
		page: page{limit: q.MaxBytes, count: maxPageRecords, format: q.Format},
	}
	d.page.most = m.settings.MaxBytes
	if q.Count > 0 {
		d.page.count = min(q.Count, maxPageRecords)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+faultTimeout)
	defer cancel()
	defer context.AfterFunc(m.life, cancel)()
	d.page.extras = q.extras(m.schemas(q.Format, ctx))
	start := len(dst)
	dst, err = d.read(ctx, append(dst, '['))
	if told := m.settings.Answered; told != nil && d.page.n > 0 {
		told(q.Format, q.Topic, d.page.n, d.page.bytes)
	}
	if err != nil && d.page.n == 0 {
		return dst[:start], explainRead(q.TopicPartition, err)
	}
	return append(dst, ']'), nil // what failed after the first record, the next read meets
}

// directRead is one call of AppendDirect.
type directRead struct {
	m        *Manager
	reader   *kafka.Reader
	q        DirectRead
	deadline time.Time // of waiting for records
	page     page
}

// read appends records until there are enough, or none came by the deadline.
func (d *directRead) read(ctx context.Context, dst []byte) ([]byte, error) {
	offset, err := d.start(ctx)
	if err != nil {
		return dst, err
	}
	pause := firstLook
	for {
		part, next, err := d.reader.Fetch(ctx, d.request(offset))
		if errors.Is(err, kerr.OffsetOutOfRange) {
			err = d.m.cluster.notBelow(ctx, d.q.TopicPartition, offset) // else it is past the end
		}
		if err != nil {
			return dst, err
		}
		if dst, err = d.page.fill(dst, part.Records); err != nil {
			return dst, err
		}
		moved := next > offset
		offset = next
		switch {
		case d.page.n > 0 && (d.q.Count == 0 || d.page.full() || !moved || offset >= part.HighWatermark):
			return dst, nil
		case moved: // past records of which there is nothing to answer, or not enough
			continue
		}
		wait := min(pause, time.Until(d.deadline))
		if wait <= 0 {
			return dst, nil
		}
		select {
		case <-time.After(wait):
		case <-d.m.unhurried.Done():
			return dst, nil
		case <-ctx.Done():
			return dst, ctx.Err()
		}
		pause = min(2*pause, lastLook)
	}
}

// start is the offset to begin with.
func (d *directRead) start(ctx context.Context) (int64, error) {
	if d.q.Since.IsZero() {
		return d.q.Offset, nil
	}
	found, err := d.m.cluster.offsetsAt(ctx, d.m.settings.IsolationLevel, map[TopicPartition]int64{
		d.q.TopicPartition: max(d.q.Since.UnixMilli(), 0), // negative ones have a meaning of their own
	})
	return found[d.q.TopicPartition], err
}

// request is the fetch from offset on, for what the page has room for.
func (d *directRead) request(offset int64) kafka.PartitionRead {
	size := d.q.MaxBytes - d.page.bytes
	if d.q.Count > 0 {
		size = min(size, max(leastGuess, recordGuess*min(d.q.Count, maxPageRecords)))
	}
	return kafka.PartitionRead{
		Topic: d.q.Topic, Partition: d.q.Partition, Offset: offset, MaxBytes: size,
		ReadCommitted: d.m.settings.IsolationLevel == readCommitted,
	}
}

// explainRead turns what failed a read of a partition, with no instance, into
// what a client shall be told.
func explainRead(tp TopicPartition, err error) *apierr.Error {
	var known *apierr.Error
	var huge *kgo.ErrDecompressTooLarge
	switch {
	case errors.As(err, &known): // though its cause may be one of those below
		return known
	case errors.Is(err, kafka.ErrNoPartition):
		return apierr.PartitionNotFound.New("Topic %s has no partition %d.", tp.Topic, tp.Partition)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return apierr.TopicNotFound.Wrap(err, "Topic %s does not exist.", tp.Topic)
	case errors.As(err, &huge):
		return apierr.Undecodable.Wrap(err, "The records from offset %d of partition %d of topic %s decompress to more than this server holds. Read on from offset %d.", huge.Offset, tp.Partition, tp.Topic, huge.NextOffset)
	}
	api := apierr.From(fmt.Errorf("cannot read %s: %w", tp, err))
	if api.Kind == apierr.Internal { // not our fault: the library cannot make sense of the answer
		return apierr.KafkaError.Wrap(err, "The records of partition %d of topic %s cannot be fetched.", tp.Partition, tp.Topic)
	}
	return api
}

// page is an answer in the making.
type page struct {
	limit, count int // of bytes and records
	most         int // of bytes that are written
	format       codec.Format
	extras       codec.Extras

	n, bytes, written int // records that it has, their keys and values, what was written
}

func (p *page) full() bool { return p.n >= p.count || p.bytes >= p.limit }

// fill appends as many of the records, which it takes, as the page may still
// have. An error says why it stopped at a record that it did not append.
func (p *page) fill(dst []byte, records []*kgo.Record) ([]byte, error) {
	var err error
	dst = pool.Grow(dst, p.room(records))
	for _, r := range records {
		if err == nil && p.admits(r) {
			dst, err = p.append(dst, r)
		}
		r.Recycle() // the last one gives the batch's memory back
	}
	return dst, err
}

// room guesses what those of the records, all of one topic, take that the page may
// still have.
func (p *page) room(records []*kgo.Record) int {
	n, bytes := p.n, p.bytes
	for _, r := range records {
		if n >= p.count || n > 0 && bytes+size(r) > p.limit {
			break
		}
		n++
		bytes += size(r)
	}
	if n == p.n {
		return 0
	}
	return answerRoom(n-p.n, bytes-p.bytes, records[0].Topic, p.format)
}

// admits reports whether there is room for r, and closes the page if not.
func (p *page) admits(r *kgo.Record) bool {
	if p.n < p.count && (p.n == 0 || p.bytes+size(r) <= p.limit) {
		return true
	}
	p.count = p.n
	return false
}

func (p *page) append(dst []byte, r *kgo.Record) ([]byte, error) {
	good := len(dst)
	if p.n > 0 {
		dst = append(dst, ',')
	}
	dst, err := codec.AppendRecord(dst, r, p.format, p.extras)
	if err != nil {
		return dst[:good], err
	}
	if p.n > 0 && p.written+len(dst)-good > p.most {
		p.count = p.n // the page is full
		return dst[:good], nil
	}
	p.n++
	p.bytes += size(r)
	p.written += len(dst) - good
	return dst, nil
}
