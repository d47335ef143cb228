package batch

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/pool"
)

// Job is one produce request: its body, its records, and the result of each. [Producer.Acquire]
// makes one; its owner fills Body and Slab and then either gives it to [Producer.Produce] or
// calls [Job.Release].
type Job struct {
	// Body holds the bytes that keys and values are views of. Swap it with
	// the request's own buffer instead of copying.
	Body []byte
	// Arena holds the keys and values that were encoded for the job, by formats with a schema, in
	// place of views of Body.
	Arena []byte
	// Slab holds the records.
	Slab pool.Slab
	// Trace is the context of the records, where the request is traced, or
	// nil. It must never end, see the package comment.
	Trace context.Context
	// KeySchema and ValueSchema are the ids of the schemas that the records were encoded with, 0
	// for none; the response shows them.
	KeySchema, ValueSchema int32

	// errs has a slot for each record: why it is not in Kafka, or nil. Each slot is written at
	// most once, before the last promise or by it.
	errs   []error
	failed atomic.Int32 // slots of errs that are set

	pending atomic.Int32 // records whose promise has not run
	state   atomic.Int32 // waiting, answered, abandoned or canceled
	done    chan struct{}
	lead    chan struct{} // tells the job's handler to lead its group
	group   *group
	timer   *time.Timer
	promise func(*kgo.Record, error) // complete, bound once for all lives

	charge  int64  // bytes admitted for this job
	number  uint64 // of this life among those of all jobs
	renewed uint64 // Producer.renewed when its records were ready
	// partitions is how many the topic had when they were.
	partitions int32
	repeats    bool // errAgain marks the records to lend
	budget     codec.Budget
	ready      time.Time // when its records could go to Kafka; the timestamp of most
	producer   *Producer
	life       pool.Life
}

// The states of a job whose records are lent. The side that moves the job out of waiting decides
// who releases it: the handler, when the last promise ran first; the last promise, when the
// handler gave up first. A job that its handler canceled before it was lent is not the client's,
// and keeps its state; see [Job.wait].
const (
	waiting int32 = iota
	answered
	abandoned
	canceled
)

// recordBytes is the memory of a record besides its key and value: its slot in the slab and the
// client's book-keeping.
const recordBytes = 320

// Acquire returns an empty job. The caller owns it.
func (p *Producer) Acquire() *Job {
	j, _ := p.jobs.Get().(*Job)
	if j == nil {
		p.made.Add(1)
		j = &Job{producer: p, done: make(chan struct{}, 1), lead: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		j.timer.Stop()
		j.promise = j.complete
		j.budget.Grown = j.arenaGrown
	}
	j.number = p.taken.Add(1)
	j.life.Begin()
	return j
}

// Release takes the job back, with all its views. Its bytes are no longer
// admitted. The buffers, the channels, timer and promise are kept for the next life;
// ready, number, renewed, partitions and repeats are set anew before they are read.
func (j *Job) Release() {
	j.discard()
	j.charge = 0
	j.group = nil
	j.Trace = nil
	j.KeySchema, j.ValueSchema = 0, 0
	j.Slab.Reset()
	if j.failed.Load() > 0 {
		clear(j.errs)
		j.failed.Store(0)
	}
	if cap(j.errs) > pool.MaxPooledRecords {
		j.errs = nil
	}
	pool.Poison(j.Body)
	j.Body = j.Body[:0]
	if cap(j.Body) > pool.MaxPooledBytes {
		j.Body = nil
	}
	pool.Poison(j.Arena)
	j.Arena = j.Arena[:0]
	if cap(j.Arena) > pool.MaxPooledBytes {
		j.Arena = nil
	}
	j.state.Store(waiting)
	j.producer.jobs.Put(j)
}

// discard ends the job's life without returning it to the pool: its bytes are no longer admitted.
func (j *Job) discard() {
	j.life.End()
	j.producer.held.Add(-j.charge)
	j.producer.returned.Add(1)
}

// Len returns the number of records.
func (j *Job) Len() int { return len(j.Slab.Records) }

// Written returns the number of records that are in Kafka. It may be called where [Job.Result]
// may.
func (j *Job) Written() int { return j.Len() - int(j.failed.Load()) }

// Result returns the partition and offset of record i, or why it is not in Kafka. It may be
// called by the function that [Producer.Produce] calls to write the response.
func (j *Job) Result(i int) (partition int32, offset int64, err *apierr.Error) {
	if e := j.errs[i]; e != nil {
		return 0, 0, recordError(e)
	}
	return j.Slab.Records[i].Partition, j.Slab.Records[i].Offset, nil
}

// recordError returns the error of one record as its client reads it.
func recordError(err error) *apierr.Error {
	if errors.Is(err, kafka.ErrNoPartition) {
		// The cluster has the partition, or the record had not been lent; the client library has
		// not learned of the partition yet.
		return apierr.KafkaRetriable.Wrap(err, "The partition is new and not ready for use. Send the record again.")
	}
	if errors.Is(err, kerr.UnknownTopicID) { // perhaps another topic of that name exists
		return apierr.KafkaRetriable.Wrap(err, "The topic was deleted, and may have been created again. Send the record again.")
	}
	return apierr.FromWrite(err)
}

// contradicts reports whether a record failed because its topic or partition is not as the
// metadata has it. A partition without a leader counts too: the client library reports it after
// retries for all of the delivery timeout.
func (j *Job) contradicts() bool {
	if j.failed.Load() == 0 {
		return false
	}
	for _, err := range j.errs {
		if errors.Is(err, kafka.ErrNoPartition) {
			return true
		}
		for _, moved := range misled {
			if errors.Is(err, moved) {
				return true
			}
		}
	}
	return false
}

// misled are the errors of Kafka that mean that the metadata was wrong.
var misled = []error{
	kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.FencedLeaderEpoch, kerr.KafkaStorageError,
}

// outlivedItsTopic reports whether a record failed because its topic was deleted, and perhaps
// created again. The client library never switches to another topic of the same name by itself.
func (j *Job) outlivedItsTopic() bool {
	return j.failed.Load() > 0 && slices.ContainsFunc(j.errs, func(err error) bool { return errors.Is(err, kerr.UnknownTopicID) })
}

// fail notes why record i is not in Kafka.
func (j *Job) fail(i int, err error) {
	j.errs[i] = err
	j.failed.Add(1)
}

// lend gives all records that can be written to the client: those without an error, or, once all
// have settled, those that are sent again.
func (j *Job) lend() {
	// The job may be complete, abandoned and released as soon as the client has the last record:
	// the loop must not read it after that.
	records, errs, client, promise := j.Slab.Records, j.errs, j.producer.client, j.promise
	var due error
	if j.repeats {
		due = errAgain
	}
	for i, left := 0, j.pending.Load(); left > 0; i++ {
		if errs[i] == due {
			left--
			errs[i] = nil
			client.Produce(forever, &records[i], promise)
		}
	}
}

// forever is the context of every record, see the package comment.
var forever = context.Background()

// complete is the promise of every record of the job. It runs on the client's
// goroutine and must stay O(1); see the package comment.
func (j *Job) complete(r *kgo.Record, err error) {
	if err != nil {
		j.fail(pool.Index(j.Slab.Records, r), kafka.ProduceError(r, err))
	}
	if j.pending.Add(-1) > 0 {
		return
	}
	p, f := j.producer, j.group
	if j.state.CompareAndSwap(waiting, answered) {
		j.done <- struct{}{} // the handler owns the job from here on
	} else {
		j.Release()
	}
	p.flusher.settled(f)
}

// wait blocks until all promises have run, and returns answered; or until the timeout, or until
// the brokers of the partition are lost, which it returns too. After those the job must not be
// used any more: it was abandoned, or, when none of its records had been lent yet, canceled. When
// the job is called to lead its group, wait does that meanwhile.
func (j *Job) wait(timeout time.Duration, partition int32) (state int32, lost error) {
	p, topic, began := j.producer, j.Slab.Records[0].Topic, time.Now()
	j.timer.Reset(min(timeout, lookEvery))
	for {
		select {
		case <-j.done:
			j.timer.Stop()
			return answered, nil
		case <-j.lead:
			p.flusher.lead()
			continue
		case <-j.timer.C:
		}
		waited := time.Since(began)
		if lost = p.isLost(topic, partition, waited); lost != nil || waited >= timeout {
			break
		}
		j.timer.Reset(min(timeout-waited, lookEvery))
	}
	if p.flusher.cancel(j) {
		j.Release()
		return canceled, lost
	}
	if j.state.CompareAndSwap(waiting, abandoned) {
		return abandoned, lost
	}
	<-j.done // the last promise came first
	return answered, nil
}

// failure returns the one reason for which all records failed, or nil when a
// record is in Kafka or the reasons differ.
func (j *Job) failure() error {
	if int(j.failed.Load()) < j.Len() {
		return nil
	}
	first := recordError(j.errs[0])
	last := j.errs[0]
	for _, err := range j.errs[1:j.Len()] {
		if err == last {
			continue // records of a batch that failed share the error
		}
		if last = err; recordError(err).Kind != first.Kind {
			return nil
		}
	}
	return first
}
