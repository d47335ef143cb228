package v3

import (
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/batch"
	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/pool"
)

// flight is a row of records of a stream that are on their way together. It is one goroutine's at a
// time: the reader's, and from its channel on the sender's.
type flight struct {
	entries []codec.Entry
	job     *batch.Job // of the entries without an error; nil: there is none
	err     error      // why no entry's record is in Kafka
	held    int64      // bytes of the stream
}

var flights = sync.Pool{New: func() any { return new(flight) }}

// newFlight returns an empty flight. With a producer it has a job, of which the body is a copy of
// text.
func newFlight(p *batch.Producer, text []byte) *flight {
	f := flights.Get().(*flight)
	if p != nil {
		f.job = p.Acquire()
		b := pool.GetBuffer(len(text))
		b.B = append(b.B, text...)
		f.job.Body, b.B = b.B, f.job.Body
		b.Release()
	}
	return f
}

// drop releases the job, which was not submitted.
func (f *flight) drop() {
	if f.job != nil {
		f.job.Release()
		f.job = nil
	}
}

// release gives the flight back, with its job if that was not submitted.
func (f *flight) release() {
	f.drop()
	clear(f.entries)
	if cap(f.entries) > pool.MaxPooledRecords {
		f.entries = nil
	}
	f.entries, f.err, f.held = f.entries[:0], nil, 0
	flights.Put(f)
}

// sender sends the results of a stream's flights, in order.
type sender struct {
	of     *stream
	out    []byte
	now    *flight
	append func(dst []byte, job *batch.Job) []byte // results, made once
	clock  instant
	gone   bool // the client is; nothing is sent any more
	failed kindCounts
}

func (o *sender) begin(s *stream) {
	o.of = s
	o.append = o.results
}

// run ends when the channel is closed and empty. After a panic it takes the flights that are left,
// so that the reader does not wait for it.
func (o *sender) run() {
	whole := false
	defer func() {
		if !whole {
			o.gone = true
			o.of.x.Stop()
			for f := range o.of.flights {
				o.pass(f)
			}
		}
	}()
	b := pool.GetBuffer(0)
	o.out = b.B
	for f := range o.of.flights {
		o.pass(f)
	}
	b.B = o.out
	b.Release()
	whole = true
}

// pass waits for one flight's results, sends them, and gives the flight back.
func (o *sender) pass(f *flight) {
	if o.gone {
		if f.job != nil {
			f.job.Abandon()
			f.job = nil
		}
	} else {
		o.answer(f)
	}
	o.of.held.Add(-f.held)
	o.of.unsent.Add(-1)
	f.release()
	select {
	case o.of.sent <- struct{}{}:
	default:
	}
}

// answer sends the results of one flight.
func (o *sender) answer(f *flight) {
	o.now = f
	o.out = pool.Grow(o.out[:0], (len(o.of.head)+resultBytes)*len(f.entries))
	job := f.job
	if f.job = nil; job != nil {
		o.out, f.err = o.of.of.producer.Await(job, o.out[:0], o.append)
	}
	if job == nil || f.err != nil {
		o.out = o.results(o.out[:0], nil)
	}
	o.failed.tell(o.of.of.edge.RecordsFailed)
	if err := o.of.x.Send(o.out); err != nil {
		o.gone = true
		o.of.x.Stop()
	}
}

// resultBytes is about the size of a result without its head.
const resultBytes = 192

// results appends the results of the present flight. job is nil if no record of it is in Kafka.
func (o *sender) results(dst []byte, job *batch.Job) []byte {
	f, i := o.now, 0
	var written [codec.SchemaData + 1]uint64
	for n := range f.entries {
		e := &f.entries[n]
		failed := e.Err
		if failed == nil && job == nil {
			failed = apierr.From(f.err)
		}
		if failed != nil {
			o.failed.add(failed.Kind)
			dst = append(codec.AppendError(dst, failed), '\r', '\n')
			continue
		}
		partition, offset, failed := job.Result(i)
		if failed != nil {
			o.failed.add(failed.Kind)
			dst = append(codec.AppendError(dst, failed), '\r', '\n')
		} else {
			written[e.Value.Type]++
			dst = append(dst, `{"error_code":200,`...)
			dst = o.appendPlace(dst, partition, offset)
			dst = o.appendRecord(dst, e, &job.Slab.Records[i], job.Stamp())
			dst = append(dst, '}', '\r', '\n')
		}
		i++
	}
	for t, n := range written {
		if n > 0 {
			o.of.of.counts[t].Produced.Add(n)
		}
	}
	return dst
}

// appendPlace appends where a record is.
func (o *sender) appendPlace(dst []byte, partition int32, offset int64) []byte {
	dst = append(dst, o.of.head...)
	dst = strconv.AppendInt(dst, int64(partition), 10)
	dst = append(dst, `,"offset":`...)
	return strconv.AppendInt(dst, offset, 10)
}

// appendRecord appends what else is known of a record that is in Kafka: its time, which is ms if it
// has none of its own, and its data.
func (o *sender) appendRecord(dst []byte, e *codec.Entry, r *kgo.Record, ms int64) []byte {
	dst = append(dst, `,"timestamp":"`...)
	if !r.Timestamp.IsZero() {
		ms = r.Timestamp.UnixMilli()
	}
	dst = append(o.clock.append(dst, ms), '"')
	if e.Key.Type != codec.NoData {
		dst = appendData(append(dst, `,"key":`...), &e.Key, r.Key)
	}
	if e.Value.Type != codec.NoData {
		dst = appendData(append(dst, `,"value":`...), &e.Value, r.Value)
	}
	return dst
}

// appendData appends what is known of a key or value. Of stored, only the length may be used.
func appendData(dst []byte, d *codec.Data, stored []byte) []byte {
	size := len(stored)
	if stored == nil {
		size = -1
	}
	dst = append(append(dst, `{"type":"`...), d.Type.String()...)
	dst = append(dst, `","size":`...)
	return append(strconv.AppendInt(dst, int64(size), 10), '}')
}

// instant writes times, of which most are the same as the one before.
type instant struct {
	ms   int64
	text []byte
}

// append appends a time of so many milliseconds, as Java's Instant does: without a fraction of a
// second that is zero.
func (t *instant) append(dst []byte, ms int64) []byte {
	if t.text == nil || ms != t.ms {
		layout := "2006-01-02T15:04:05.000Z"
		if ms%1000 == 0 {
			layout = "2006-01-02T15:04:05Z"
		}
		t.ms, t.text = ms, time.UnixMilli(ms).UTC().AppendFormat(t.text[:0], layout)
	}
	return append(dst, t.text...)
}

// kindCounts counts failed records by the kind of their error, of which there are few at a time.
type kindCounts []struct {
	kind    *apierr.Kind
	records int
}

func (c *kindCounts) add(kind *apierr.Kind) {
	for i := range *c {
		if (*c)[i].kind == kind {
			(*c)[i].records++
			return
		}
	}
	*c = append(*c, struct {
		kind    *apierr.Kind
		records int
	}{kind, 1})
}

// tell calls f for each kind, and forgets them.
func (c *kindCounts) tell(f func(kind *apierr.Kind, records int)) {
	for _, of := range *c {
		f(of.kind, of.records)
	}
	*c = (*c)[:0]
}
