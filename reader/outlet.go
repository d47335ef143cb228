package reader

import (
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
)

const (
	// StreamChunk is about how much of a stream is sent at a time.
	StreamChunk = 64 << 10
	// flushAfter is how long a record may wait in the buffer for others, when few of the records
	// that are read are sent.
	flushAfter = 5 * time.Millisecond
)

// Outlet buffers the output of a stream. It holds a buffer only while it has output, so a stream
// that waits has none.
type Outlet struct {
	send func([]byte) error
	read func(Returned) // nil: not counted
	gone error          // the error of send
	sent time.Time      // when send last returned

	b     *pool.Buffer // nil while it is empty
	since time.Time    // when its first byte was written
	holds Returned     // of one topic in the buffer
}

// NewOutlet returns an outlet that calls send, which borrows its argument. read, if not nil, is
// called with the records that were sent, all of that format.
func NewOutlet(send func([]byte) error, f codec.Format, read func(Returned)) Outlet {
	return Outlet{send: send, holds: Returned{Format: f}, read: read}
}

// Gone returns the error of send, if it has failed.
func (o *Outlet) Gone() error { return o.gone }

// Sent returns when send last returned.
func (o *Outlet) Sent() time.Time { return o.sent }

// Buffer returns the buffer to append to. It belongs to the outlet.
func (o *Outlet) Buffer() *pool.Buffer {
	if o.b == nil {
		o.b = pool.GetBuffer(StreamChunk)
	}
	if len(o.b.B) == 0 {
		o.since = time.Now()
	}
	return o.b
}

// Close returns the buffer to its pool.
func (o *Outlet) Close() {
	if o.b != nil {
		o.b.Release()
		o.b = nil
	}
}

// Empty reports whether the outlet has nothing to send.
func (o *Outlet) Empty() bool { return o.b == nil || len(o.b.B) == 0 }

// Full reports whether the buffer holds a chunk.
func (o *Outlet) Full() bool { return o.b != nil && len(o.b.B) >= StreamChunk }

// Count counts a record that was put into the buffer.
func (o *Outlet) Count(r *kgo.Record) {
	if o.holds.Topic != r.Topic {
		o.report()
		o.holds.Topic = r.Topic
	}
	o.holds.Add(r)
}

// report calls read for the records in the buffer.
func (o *Outlet) report() {
	if o.read != nil && o.holds.Records > 0 {
		o.read(o.holds)
	}
	o.holds.Records, o.holds.Bytes = 0, 0
}

// Flush sends the contents of the buffer.
func (o *Outlet) Flush() error {
	if o.Empty() || o.gone != nil {
		return o.gone
	}
	o.holds.Asked, o.holds.Ready = o.sent, time.Now()
	o.gone = o.send(o.b.B)
	o.b.B = o.b.B[:0]
	o.sent = time.Now()
	if o.gone == nil {
		o.report()
	}
	return o.gone
}

// Put sends the contents of the buffer together with the bytes that f appends to it.
func (o *Outlet) Put(f func(dst []byte) []byte) error {
	b := o.Buffer()
	b.B = f(b.B)
	return o.Flush()
}

// Silent reports whether nothing was sent for at least that long; 0 means no limit.
func (o *Outlet) Silent(long time.Duration) bool {
	return long > 0 && time.Since(o.sent) >= long
}

// Fail ends the stream with err. It returns an error only if the client is gone.
func (o *Outlet) Fail(frames Frames, at *Positions, err error) error {
	if o.gone != nil {
		return o.gone
	}
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Offset: -1, Err: apierr.From(err)}
	}
	f.final = true
	return o.Put(func(dst []byte) []byte { return f.append(dst, frames, at) })
}

// Failure is an error in a stream, with the position of its record.
type Failure struct {
	TopicPartition
	// Offset of the record; -1: not about a record.
	Offset int64
	Err    *apierr.Error
	final  bool // the stream ends with it
}

// Error is that of Err.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// append appends the failure as a message of its own.
func (f *Failure) append(dst []byte, frames Frames, at *Positions) []byte {
	dst = codec.AppendError(frames.Open(dst, true, at), f.Err)
	dst = dst[:len(dst)-1] // the message continues
	if f.Offset >= 0 {
		dst = append(dst, `,"topic":`...)
		dst = json.AppendString(dst, f.Topic)
		dst = append(dst, `,"partition":`...)
		dst = strconv.AppendInt(dst, int64(f.Partition), 10)
		dst = append(dst, `,"offset":`...)
		dst = strconv.AppendInt(dst, f.Offset, 10)
	}
	dst = append(dst, `,"final":`...)
	dst = strconv.AppendBool(dst, f.final)
	return frames.Close(append(dst, '}'))
}
