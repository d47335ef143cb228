package v3

import (
	"millrace/batch"
	"millrace/codec"
	"millrace/pool"
)

// sender sends the results of a stream's flights, in order.
type sender struct {
	of      *stream
	out     []byte
	now     *flight
	results results
	append  func(dst []byte, job *batch.Job) []byte // appendResults, made once
	gone    bool                                    // the client is; nothing is sent any more
}

func (o *sender) begin(s *stream) {
	o.of = s
	o.results = results{of: s.of, head: s.head, topic: s.topic, client: s.client}
	o.append = o.appendResults
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
	o.out = pool.Grow(o.out[:0], o.results.size(len(f.entries)))
	job := f.job
	if f.job = nil; job != nil {
		o.out, f.err = o.of.of.producer.Await(job, o.out[:0], o.append)
	}
	if job == nil || f.err != nil {
		o.out = o.appendResults(o.out[:0], nil)
	}
	o.results.count()
	if len(o.out) == 0 { // an empty chunk would end the response
		return
	}
	if err := o.of.x.Send(o.out); err != nil {
		o.gone = true
		o.of.x.Stop()
	}
}

// appendResults appends a line for each entry of the present flight. job is nil if no record of it
// is in Kafka.
func (o *sender) appendResults(dst []byte, job *batch.Job) []byte {
	for n, outcome := range (landed{o.now, job}).each {
		if outcome.err == nil && o.of.minimal {
			o.results.written[o.now.entries[n].Value.Type]++
			continue
		}
		if outcome.err != nil {
			o.results.failed.Add(o.of.topic, outcome.err, 1)
			dst = codec.AppendError(dst, outcome.err)
		} else {
			dst = o.results.append(append(dst, `{"error_code":200,`...), landed{o.now, job}, n, outcome)
		}
		dst = append(dst, '\r', '\n')
	}
	return dst
}
