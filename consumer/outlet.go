package consumer

import (
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/pool"
)

const (
	// streamChunk is about how much of a stream is sent at a time.
	streamChunk = 64 << 10
	// flushAfter is how long a record may wait in the buffer for others, where
	// few of those that are read are sent.
	flushAfter = 5 * time.Millisecond
)

// outlet collects what a stream is to send. It holds a buffer only while there
// is something in it, so a stream that waits has none.
type outlet struct {
	send func([]byte) error
	told func(f codec.Format, topic string, records, bytes int) // nil: nobody counts
	gone error                                                  // what send has returned
	sent time.Time                                              // when it was last called

	b              *pool.Buffer // nil while it is empty
	since          time.Time    // when the first of it came
	format         codec.Format
	topic          string
	records, bytes int // of that topic in the buffer; bytes of keys and values
}

// open makes sure that there is a buffer.
func (o *outlet) open() {
	if o.b == nil {
		o.b = pool.GetBuffer(streamChunk)
	}
	if len(o.b.B) == 0 {
		o.since = time.Now()
	}
}

// close gives the buffer back.
func (o *outlet) close() {
	if o.b != nil {
		o.b.Release()
		o.b = nil
	}
}

// empty reports whether there is nothing to send.
func (o *outlet) empty() bool { return o.b == nil || len(o.b.B) == 0 }

// full reports whether there is a chunk.
func (o *outlet) full() bool { return o.b != nil && len(o.b.B) >= streamChunk }

// count counts a record that was put into the buffer.
func (o *outlet) count(r *kgo.Record) {
	if o.topic != r.Topic {
		o.tell()
		o.topic = r.Topic
	}
	o.records++
	o.bytes += size(r)
}

// tell has the records counted that are in the buffer.
func (o *outlet) tell() {
	if o.told != nil && o.records > 0 {
		o.told(o.format, o.topic, o.records, o.bytes)
	}
	o.records, o.bytes = 0, 0
}

// flush sends what is in the buffer.
func (o *outlet) flush() error {
	if o.empty() || o.gone != nil {
		return o.gone
	}
	o.gone = o.send(o.b.B)
	o.b.B = o.b.B[:0]
	o.sent = time.Now()
	if o.gone == nil {
		o.tell()
	}
	return o.gone
}

// put sends what is in the buffer together with what f appends to it.
func (o *outlet) put(f func(dst []byte) []byte) error {
	o.open()
	o.b.B = f(o.b.B)
	return o.flush()
}

// silent reports whether nothing was sent for so long; 0 is for ever.
func (o *outlet) silent(long time.Duration) bool {
	return long > 0 && time.Since(o.sent) >= long
}

// fail ends the stream with err. It returns an error only if the client is gone.
func (o *outlet) fail(frames Frames, at *Positions, err error) error {
	if o.gone != nil {
		return o.gone
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{offset: -1, api: apierr.From(err)}
	}
	f.final = true
	return o.put(func(dst []byte) []byte { return f.append(dst, frames, at) })
}

// failure is what went wrong in a stream, and where.
type failure struct {
	TopicPartition
	offset int64 // -1: of no record
	api    *apierr.Error
	final  bool // the stream ends with it
}

func (f *failure) Error() string { return f.api.Error() }
func (f *failure) Unwrap() error { return f.api }

// append appends it as a message of its own.
func (f *failure) append(dst []byte, frames Frames, at *Positions) []byte {
	dst = f.api.Append(frames.Open(dst, true, at))
	dst = dst[:len(dst)-1] // it goes on
	if f.offset >= 0 {
		dst = append(dst, `,"topic":`...)
		dst = apierr.AppendJSONString(dst, f.Topic)
		dst = append(dst, `,"partition":`...)
		dst = strconv.AppendInt(dst, int64(f.Partition), 10)
		dst = append(dst, `,"offset":`...)
		dst = strconv.AppendInt(dst, f.offset, 10)
	}
	dst = append(dst, `,"final":`...)
	dst = strconv.AppendBool(dst, f.final)
	return frames.Close(append(dst, '}'))
}
