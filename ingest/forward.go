package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/spool"
)

// forwarder writes the entries of the spool to Kafka, in their order. It takes a round of entries,
// and the next one when Kafka has all of it: so the records of a key keep their order, whatever
// has to be sent again.
type forwarder struct {
	in    *Ingest
	spool *spool.Spool
	done  sync.WaitGroup
}

const (
	// maxRound bounds the bytes of a round; one entry may be larger.
	maxRound = 1 << 20
	// After a failure the same is sent again after this time, doubled each time up to the longest.
	firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second
)

// Start begins to forward what the spool has, if there is one. The function that it returns ends
// that, and waits for the round that is on its way.
func (in *Ingest) Start() (stop func()) {
	if in.spool == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{in: in, spool: in.spool}
	f.done.Go(func() { f.run(ctx) })
	return func() {
		cancel()
		f.done.Wait()
	}
}

func (f *forwarder) run(ctx context.Context) {
	for {
		r, err := f.gather(ctx)
		if errors.Is(err, spool.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err == nil && f.deliver(ctx, r) {
			err = f.spool.Done()
		}
		if err != nil {
			f.in.log.Error("the spool cannot be read", "err", err)
			f.spool.Rewind()
			pause(ctx, longestPause)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// pause waits, but no longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// round is the entries that are forwarded together: of each topic one after another.
type round []*share

// share is a round's records of one topic.
type share struct {
	topic   string
	entries [][]byte
	written []bool // by record, over all entries
	failed  error  // of the last attempt
}

// gather takes the next entries.
func (f *forwarder) gather(ctx context.Context) (r round, err error) {
	e, err := f.spool.Next(ctx)
	for size := 0; ; {
		if err != nil {
			return nil, err
		}
		topic, _, fault := topicOfEntry(e.Data)
		if fault != nil {
			f.in.log.Error("an entry of the spool cannot be read, and is kept in its folder dead", "err", fault, "bytes", len(e.Data))
			f.in.figures.Dead.Add(1)
			if err := f.in.dead.Append(e.Data); err != nil {
				return nil, err
			}
		} else {
			r = r.add(topic, slices.Clone(e.Data))
		}
		var ok bool
		if size += len(e.Data); size >= maxRound {
			return r, nil
		}
		if e, ok, err = f.spool.TryNext(); !ok && err == nil {
			return r, nil
		}
	}
}

func (r round) add(topic string, entry []byte) round {
	for _, s := range r {
		if s.topic == topic {
			s.entries = append(s.entries, entry)
			return r
		}
	}
	return append(r, &share{topic: topic, entries: [][]byte{entry}})
}

// deliver writes a round, and sends again what failed until Kafka has all that it will ever take.
// It returns false when ctx ended before.
func (f *forwarder) deliver(ctx context.Context, r round) bool {
	wait := firstPause
	for ctx.Err() == nil {
		var sending sync.WaitGroup
		for _, s := range r {
			sending.Go(func() { f.attempt(s) })
		}
		sending.Wait()
		r = slices.DeleteFunc(r, func(s *share) bool { return s.failed == nil })
		if len(r) == 0 {
			return true
		}
		pause(ctx, wait)
		wait = min(2*wait, longestPause)
	}
	return false
}

// attempt writes the records of a share that are not written. Those that Kafka will never take are
// buried; failed is why there are others left.
func (f *forwarder) attempt(s *share) {
	job, of := f.fill(s)
	if job.Len() == 0 {
		job.Release()
		s.failed = nil
		return
	}
	var failed, refused *apierr.Error
	var dead []int
	_, err := f.in.producer.Produce(job, s.topic, batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		for i := range job.Len() {
			switch _, _, err := job.Result(i); {
			case err == nil:
				s.written[of[i]] = true
			case mayPass(err.Kind):
				failed = err
			default:
				refused = err
				dead = append(dead, of[i])
			}
		}
		return dst
	})
	if err != nil {
		if failed = apierr.From(err); !mayPass(failed.Kind) {
			dead, refused, failed = of, failed, nil
		}
	}
	s.failed = nil
	if failed != nil {
		s.failed = failed
		f.in.figures.Repeated.Add(uint64(len(of)))
	}
	if len(dead) > 0 {
		if err := f.bury(s, dead, refused); err != nil {
			s.failed = err
		}
	}
	f.in.figures.Forwarded.Add(uint64(len(of) - len(dead)))
}

// bury keeps records that Kafka will never take in a spool of their own, for people to look at:
// their senders were told that they are accepted.
func (f *forwarder) bury(s *share, dead []int, why *apierr.Error) error {
	var slab pool.Slab
	index := 0
	for _, e := range s.entries {
		_, records, _ := topicOfEntry(e)
		for records.next(&slab, !slices.Contains(dead, index)) {
			index++
		}
	}
	if err := f.in.dead.Append(appendRecords(nil, s.topic, slab.Records, time.Now())); err != nil {
		f.in.log.Error("events that Kafka refuses cannot be kept, and are sent again", "topic", s.topic, "events", len(dead), "err", err)
		return err
	}
	for _, i := range dead {
		s.written[i] = true
	}
	f.in.figures.Dead.Add(uint64(len(dead)))
	f.in.log.Error("Kafka refuses events of the spool, which are kept in its folder dead", "topic", s.topic, "events", len(dead), "err", why)
	return nil
}

// fill makes a job of the records that are not written; of has, for each of its records, the index
// among all of the share.
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
		_, records, _ := topicOfEntry(job.Body[at : at+len(e)])
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
			index++
		}
	}
	return job, of
}

// mayPass reports whether a record that failed is sent again. One of which it is not known
// whether Kafka has it is: a double can be found by its key or its id, a loss cannot.
func mayPass(k *apierr.Kind) bool { return k.Retry || k == apierr.WriteUnknown }
