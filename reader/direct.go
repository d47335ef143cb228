package reader

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/codec"
	"millrace/internal/kafka"
)

const (
	// faultTimeout is how long beyond its own timeout a direct read waits out errors of Kafka,
	// such as a leader that moves.
	faultTimeout = 5 * time.Second
	// A direct read at the end of its partition fetches again after firstLook, then after twice
	// as long each time, up to lastLook. It does not wait at the broker, see [kafka.Reader].
	firstLook, lastLook = 5 * time.Millisecond, 100 * time.Millisecond
	// A read of few records fetches recordGuess for each, and leastGuess at least.
	recordGuess, leastGuess = 4 << 10, 16 << 10
)

// DirectRead describes a read of records of one partition, without an instance and without a
// group.
type DirectRead struct {
	TopicPartition
	// Offset of the first record to return.
	Offset int64
	// Since selects the first record that is not older, in place of Offset, unless it is the zero
	// time.
	Since time.Time
	// Count bounds the records of the page if it is above 0. The read still waits only for the
	// first record: it returns the records that exist then.
	Count int
	// Format in which records are returned.
	Format codec.Format
	// Timeout is how long to wait for records; 0 or less, or more than the setting,
	// means the setting.
	Timeout time.Duration
	// NoWait returns the records that exist, without waiting; Timeout is ignored then.
	NoWait bool
	// MaxBytes bounds keys and values of the response; 0 or less, or more than the
	// setting, means the setting.
	MaxBytes int
	// Show is the form of the records.
	Show
}

// Append appends a JSON array of the records to dst, which it takes, and returns the extended
// slice, grown by [pool.Grow]. It returns as soon as it has a record, with up to MaxBytes of keys
// and values; a single record may be larger. Past the end of the partition it waits for records,
// and returns an empty array at its timeout or when [Reader.Drain] is called. On an error dst is
// returned as long as it was.
//
// Errors: [apierr.TopicNotFound], [apierr.PartitionNotFound], [apierr.OffsetNotFound] for an
// offset below the first, with the range, [apierr.Undecodable] for a first record that is not in
// the format, [apierr.BrokersAway], and Kafka's errors. A leader that moves is no error: Append
// retries at the new one.
func (r *Reader) Append(ctx context.Context, dst []byte, q DirectRead) ([]byte, error) {
	asked := time.Now()
	if err := r.admit(q.Topic); err != nil {
		return dst, err
	}
	timeout := r.settings.RequestTimeout
	switch {
	case q.NoWait:
		timeout = 0
	case q.Timeout > 0:
		timeout = min(timeout, q.Timeout)
	}
	if q.MaxBytes <= 0 || q.MaxBytes > r.settings.MaxBytes {
		q.MaxBytes = r.settings.MaxBytes
	}
	if err := r.checkFormat(q.Format); err != nil {
		return dst, err
	}
	if err := r.away(); err != nil {
		return dst, err
	}
	fetch, err := r.fetcher()
	if err != nil {
		return dst, err
	}
	d := directRead{
		r: r, fetch: fetch, q: q, deadline: asked.Add(timeout),
		page: page{limit: q.MaxBytes, count: MaxPageRecords, format: q.Format},
	}
	d.page.most = r.settings.MaxBytes
	if q.Count > 0 {
		d.page.count = min(q.Count, MaxPageRecords)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+faultTimeout)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	d.page.extras = q.Extras(NewSchemas(r.deps.Schemas, q.Format, ctx))
	start := len(dst)
	dst, err = d.read(ctx, append(dst, '['))
	if read := r.deps.Read; read != nil && d.page.n > 0 {
		read(Returned{q.Format, q.Topic, d.page.n, d.page.bytes, d.page.first, d.page.last, asked, time.Now()})
	}
	if err != nil && d.page.n == 0 {
		return dst[:start], r.explain(q.TopicPartition, err)
	}
	return append(dst, ']'), nil // the next read meets the error after the first record
}

// directRead is one call of Append.
type directRead struct {
	r        *Reader
	fetch    *kafka.Reader
	q        DirectRead
	deadline time.Time // of the wait for records
	page     page
}

// read appends records until the page has enough, or none came by the deadline.
func (d *directRead) read(ctx context.Context, dst []byte) ([]byte, error) {
	offset, err := d.start(ctx)
	if err != nil {
		return dst, err
	}
	pause := firstLook
	for {
		part, next, err := d.fetch.Fetch(ctx, d.request(offset))
		if errors.Is(err, kerr.OffsetOutOfRange) {
			err = notBelow(ctx, d.fetch, d.q.TopicPartition, offset) // else it is past the end
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
		case moved: // past offsets with no record to return, or not enough
			continue
		}
		wait := min(pause, time.Until(d.deadline))
		if wait <= 0 {
			return dst, nil
		}
		select {
		case <-time.After(wait):
		case <-d.r.unhurried.Done():
			return dst, nil
		case <-ctx.Done():
			return dst, ctx.Err()
		}
		pause = min(2*pause, lastLook)
	}
}

// start returns the offset to begin with.
func (d *directRead) start(ctx context.Context) (int64, error) {
	if d.q.Since.IsZero() {
		return d.q.Offset, nil
	}
	found, err := d.fetch.OffsetsAt(ctx, d.r.committed(), map[TopicPartition]int64{
		d.q.TopicPartition: max(d.q.Since.UnixMilli(), 0), // Kafka gives negative ones a meaning of their own
	})
	return found[d.q.TopicPartition], err
}

// request returns the fetch from offset, sized to the room of the page.
func (d *directRead) request(offset int64) kafka.PartitionRead {
	size := d.q.MaxBytes - d.page.bytes
	if d.q.Count > 0 {
		size = min(size, max(leastGuess, recordGuess*min(d.q.Count, MaxPageRecords)))
	}
	return kafka.PartitionRead{
		Topic: d.q.Topic, Partition: d.q.Partition, Offset: offset, MaxBytes: size,
		ReadCommitted: d.r.committed(),
	}
}
