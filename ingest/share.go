package ingest

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/batch"
	"millrace/ingest/deadletter"
	"millrace/internal/apierr"
	"millrace/pool"
)

// share is a round's records of one topic.
type share struct {
	topic   string
	entries [][]byte
	written []bool                       // by record, over all entries
	most    int                          // records of a job; 0 is any number
	failed  atomic.Pointer[apierr.Error] // of the last attempt
	over    chan struct{}                // closed when nothing is sent any more
}

// send writes a share, and sends again what failed until Kafka has all that it will ever take, or
// ctx ends. It closes over then.
func (f *forwarder) send(ctx context.Context, s *share) {
	defer close(s.over)
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		for f.attempt(s) {
		}
		if s.failed.Load() == nil {
			return
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return
		}
	}
}

// attempt writes the records of a share that are not written, or as many as the producer takes at
// once; more says that others follow. Those that Kafka will never take are buried; failed is why
// there are others left.
func (f *forwarder) attempt(s *share) (more bool) {
	job, of := f.fill(s)
	if job.Len() == 0 {
		job.Release()
		s.failed.Store(nil)
		return false
	}
	if f.tooMany(job) {
		job.Release()
		s.most = len(of) / 2
		return true
	}
	var failed, refused *apierr.Error
	var dead []int
	left := 0
	_, err := f.in.producer.Produce(job, s.topic, batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		for i := range job.Len() {
			switch _, _, err := job.Result(i); {
			case err == nil:
				s.written[of[i]] = true
			case mayPass(err.Kind):
				failed = err
				left++
			default:
				refused = err
				dead = append(dead, of[i])
			}
		}
		return dst
	})
	if err != nil {
		left = len(of)
		if failed = apierr.From(err); !mayPass(failed.Kind) {
			dead, refused, failed, left = of, failed, nil, 0
		}
	}
	f.in.figures.Forwarded.Add(uint64(len(of) - len(dead) - left))
	f.in.figures.Repeated.Add(uint64(left))
	if len(dead) > 0 {
		if unburied := f.bury(s, dead, refused); unburied != nil {
			failed = unburied
		}
	}
	s.failed.Store(failed)
	return failed == nil && s.most > 0
}

// tooMany reports whether the producer can never take as many records at once. Nobody has refused
// them: its memory has no room for what each takes beside its bytes.
func (f *forwarder) tooMany(job *batch.Job) bool {
	limit, bytes := f.in.producer.Stats().Limit, int64(cap(job.Body))
	return job.Len() > 1 && bytes < limit-limit/8 && apierr.BodyTooLarge.Is(f.in.producer.Admit(job))
}

// bury keeps records that Kafka will never take, for people to look at: their senders were told
// that they are accepted. They go to the dead-letter topic of their route, or else into a spool of
// their own.
func (f *forwarder) bury(s *share, dead []int, why *apierr.Error) *apierr.Error {
	index := 0
	for _, e := range s.entries {
		var slab pool.Slab
		head, records, _ := headOfEntry(e)
		from := index
		for {
			_, is := slices.BinarySearch(dead, index)
			if !records.next(&slab, !is || s.written[index]) {
				break
			}
			index++
		}
		if len(slab.Records) == 0 {
			continue
		}
		if failed := f.buryRecords(head, slab.Records, why); failed != nil {
			f.in.log.Error("events that Kafka refuses cannot be kept, and are sent again", "topic", s.topic, "events", len(slab.Records), "err", failed)
			return failed
		}
		for _, i := range dead {
			s.written[i] = s.written[i] || i >= from && i < index
		}
	}
	return nil
}

// buryRecords is bury for the records of one entry.
func (f *forwarder) buryRecords(head entryHead, records []kgo.Record, why *apierr.Error) *apierr.Error {
	topic := f.in.table.Load().deadLetter(head.route)
	if topic != "" && topic != head.topic {
		failed := f.in.storeInKafka(f.deadJob(head, records, why), topic).first()
		if failed == nil {
			f.in.figures.DeadLetters.Add(uint64(len(records)))
			f.in.log.Error("Kafka refuses events of the spool, which are in the dead-letter topic", "topic", head.topic, "route", head.route, "events", len(records), "err", why)
			return nil
		}
		if mayPass(failed.Kind) {
			return failed
		}
	}
	if err := f.in.dead.Append(appendRecords(nil, head.topic, head.route, records, time.Now())); err != nil {
		return apierr.From(err)
	}
	f.in.figures.Dead.Add(uint64(len(records)))
	f.in.log.Error("Kafka refuses events of the spool, which are kept in its folder dead", "topic", head.topic, "route", head.route, "events", len(records), "err", why)
	return nil
}

// deadJob makes a job of dead letters of records, which it borrows until the job is submitted.
func (f *forwarder) deadJob(head entryHead, records []kgo.Record, why *apierr.Error) *batch.Job {
	w := deadWriter{job: f.in.producer.Acquire()}
	for i := range records {
		r := &records[i]
		w.record(r.Value)
		made := &w.job.Slab.Records[i]
		made.Key, made.Timestamp = r.Key, r.Timestamp
		for _, h := range r.Headers {
			w.header(h.Key, h.Value)
		}
		if r.Partition >= 0 {
			w.header(deadletter.Partition, strconv.AppendInt(nil, int64(r.Partition), 10))
		}
		w.reason(head.route, head.topic, why)
	}
	return w.job
}

// fill makes a job of the records that are not written, of the first of them if there are more than
// a job may have; of has, for each of its records, the index among all of the share.
func (f *forwarder) fill(s *share) (job *batch.Job, of []int) {
	job = f.in.producer.Acquire()
	size := 0
	for _, e := range s.entries {
		size += len(e)
	}
	b := pool.GetBuffer(size)
	for _, e := range s.entries {
		b.B = append(b.B, e...)
	}
	job.Body, b.B = b.B, job.Body
	b.Release()
	index := 0
	at := 0
	for _, e := range s.entries {
		_, records, _ := headOfEntry(job.Body[at : at+len(e)])
		at += len(e)
		for {
			if index == len(s.written) {
				s.written = append(s.written, false)
			}
			if !records.next(&job.Slab, s.written[index]) {
				break
			}
			if !s.written[index] {
				of = append(of, index)
			}
			if index++; len(of) == s.most && s.most > 0 {
				return job, of
			}
		}
	}
	return job, of
}

// mayPass reports whether a record that failed is sent again. One of which it is not known
// whether Kafka has it is: a double can be found by its key or its id, a loss cannot.
func mayPass(k *apierr.Kind) bool { return k.Retry || k == apierr.WriteUnknown }
