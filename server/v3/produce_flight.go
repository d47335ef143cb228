package v3

import (
	"sync"

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
	located []located  // the schemas of each entry's data, or empty where no data has one
	spans   []span     // memory of an encoder
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
	clear(f.located)
	f.located = f.located[:0]
	if cap(f.entries) > pool.MaxPooledRecords {
		f.entries, f.located, f.spans = nil, nil, nil
	}
	f.entries, f.err, f.held = f.entries[:0], nil, 0
	flights.Put(f)
}

// outcome is what became of one entry: its record is in Kafka, or err says why it is not.
type outcome struct {
	err       *apierr.Error
	record    int // of the job
	partition int32
	offset    int64
}

// landed is a flight with its job, nil if no record of it is in Kafka.
type landed struct {
	*flight
	of *batch.Job
}

// each yields the index of each entry, in order, and what became of it.
func (l landed) each(yield func(n int, o outcome) bool) {
	record := 0
	for n := range l.entries {
		o := outcome{err: l.entries[n].Err, record: record}
		switch {
		case o.err != nil:
		case l.of == nil:
			o.err = apierr.From(l.err)
		default:
			o.partition, o.offset, o.err = l.of.Result(record)
			record++
		}
		if !yield(n, o) {
			return
		}
	}
}
