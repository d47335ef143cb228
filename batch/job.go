package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/fair"
	"millrace/internal/kafka"
	"millrace/pool"
)

// Job is one produce request: its body, its records, and the result of each. [Producer.Acquire]
// makes one; its owner fills Body and Slab and then either gives it to [Producer.Produce] or
// calls [Job.Release].
type Job struct {
	// Body holds the bytes that keys and values are views of, in memory of package pool. Swap it
	// with the request's own buffer instead of copying. It goes back once all records are framed.
	Body []byte
	// Arena holds the keys and values that were encoded for the job, by formats with a schema, in
	// place of views of Body.
	Arena []byte
	// Lent is how many bytes the keys, values and headers have that are views of memory of somebody
	// else, who keeps it until the job was submitted.
	Lent int
	// Slab holds the records, until they are framed where [Producer.Produce] is called.
	Slab pool.Slab
	// Trace is the context of the records, where the request is traced, or nil.
	Trace context.Context
	// Request is the request that the job is of, for the owner's own use while it makes the
	// response, or nil. The request may be over once the job is abandoned.
	Request any
	// Holder is the caller that the job's memory is charged to, as one of those that share the
	// producer's, or nil. It is set before the job is admitted.
	Holder *fair.Holder
	// KeySchema and ValueSchema are the ids of the schemas that the records were encoded with, 0
	// for none; the response shows them.
	KeySchema, ValueSchema int32

	// answers has the result of each run of records at the index of the run's first record; what
	// lies between is of former lives. Each run is written once, before left is counted down for
	// it. Runs do not overlap, so that they may be answered by several goroutines at once.
	answers []answer
	cursor  int // first record of the run that Result looked at last
	failed  atomic.Int32

	left   atomic.Int32 // runs that are not answered, and one while records are framed
	state  atomic.Int32 // waiting, answered or abandoned
	done   chan bool    // false: the time to wait is over
	limit  limit
	framed int   // records that were framed
	count  int   // records of a slab that was returned
	stamp  int64 // the timestamp of records without one of their own, in milliseconds

	charge   int64  // bytes admitted for this job, without those that it has given back
	share    int64  // what counts for Holder: charge, and the bytes that batches hold now
	spare    int64  // memory of the body that was none of its bytes
	number   uint64 // of this life among those of all jobs
	budget   codec.Budget
	ready    time.Time // when its records could go to Kafka
	producer *Producer
	lease    *pool.Slab // where Slab goes back to, nil if it did
	life     pool.Life
}

// answer is the result of a run of records: they are in a partition from offset on, or failed.
type answer struct {
	offset           int64
	err              error
	partition, count int32
}

// The states of a job whose records are framed. The side that moves the job out of waiting decides
// who releases it: the handler, when the last run was answered first; the last run, when the
// handler gave up first.
const (
	waiting int32 = iota
	answered
	abandoned
)

// recordBytes is the memory of a record besides its key and value and its frame: slotBytes for its
// slot in the slab, which goes back first, and its answer, with the room of slices that have grown.
// jobBytes is the memory of a job besides its records.
const (
	slotBytes   = int(unsafe.Sizeof(kgo.Record{}))
	recordBytes = 320
	jobBytes    = 1 << 10
)

// Acquire returns an empty job. The caller owns it.
func (p *Producer) Acquire() *Job {
	j, _ := p.jobs.Get().(*Job)
	if j == nil {
		p.made.Add(1)
		j = &Job{producer: p, done: make(chan bool, 2)}
		j.limit.over = j.done
		j.budget.Grown = j.arenaGrown
	}
	if j.lease == nil {
		j.lease = slabs.Get().(*pool.Slab)
		j.Slab = *j.lease
	}
	j.number = p.taken.Add(1)
	j.life.Begin()
	return j
}

// Release takes the job back, with all its views. Its bytes are no longer admitted. The buffers,
// the channel and the limit are kept for the next life; ready, stamp, number and answers are set
// anew before they are read.
func (j *Job) Release() {
	j.discard()
	j.charge, j.share, j.spare = 0, 0, 0
	j.Trace, j.Request, j.Holder, j.Lent = nil, nil, nil, 0
	j.KeySchema, j.ValueSchema = 0, 0
	j.Slab.Reset()
	if j.failed.Load() > 0 {
		clear(j.answers[:cap(j.answers)]) // they hold errors
		j.failed.Store(0)
	}
	if cap(j.answers) > pool.MaxPooledRecords {
		j.answers = nil
	}
	j.cursor, j.framed, j.count = 0, 0, 0
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
	j.producer.held.Add(nil, -j.charge)
	j.producer.held.Assign(j.Holder.Records(), -j.share)
	j.producer.returned.Add(1)
}

// Len returns the number of records.
func (j *Job) Len() int { return j.count + len(j.Slab.Records) }

// slabs are those that no job has. A job that waits for Kafka needs none, so that few are in use,
// and those are in the processor's caches.
var slabs = sync.Pool{New: func() any { return new(pool.Slab) }}

// returnSlab gives the slab back before the job ends. Spans need the records until their end.
func (j *Job) returnSlab() {
	if j.producer.cluster.End != nil {
		return
	}
	j.count = len(j.Slab.Records)
	bytes := int64(j.Slab.HeaderBytes() + j.count*slotBytes)
	j.charge -= bytes
	j.producer.held.Add(nil, -bytes)
	j.share -= bytes + j.spare
	j.producer.held.Assign(j.Holder.Records(), -bytes-j.spare)
	j.spare = 0
	j.Slab.Reset()
	*j.lease = j.Slab
	slabs.Put(j.lease)
	j.Slab, j.lease = pool.Slab{}, nil
}

// Written returns the number of records that are in Kafka. It may be called where [Job.Result]
// may.
func (j *Job) Written() int { return j.Len() - int(j.failed.Load()) }

// Result returns the partition and offset of record i, or why it is not in Kafka. It may be
// called by the function that [Producer.Produce] calls to write the response. To ask for one
// record after another takes a constant time for each.
func (j *Job) Result(i int) (partition int32, offset int64, err *apierr.Error) {
	if i < j.cursor {
		j.cursor = 0
	}
	a := &j.answers[j.cursor]
	for i >= j.cursor+int(a.count) {
		j.cursor += int(a.count)
		a = &j.answers[j.cursor]
	}
	if a.err != nil {
		return 0, 0, recordFailure(a.err)
	}
	return a.partition, a.offset + int64(i-j.cursor), nil
}

// Row is [Job.Result] for record i and those behind it with the same fate: count records are in
// the partition at offsets that count up from offset, or failed with err.
func (j *Job) Row(i int) (count int, partition int32, offset int64, err *apierr.Error) {
	partition, offset, err = j.Result(i)
	return j.cursor + int(j.answers[j.cursor].count) - i, partition, offset, err
}

// runs yields the answers of the job, in the order of its records.
func (j *Job) runs(yield func(a *answer) bool) {
	for i := 0; i < j.Len(); i += int(j.answers[i].count) {
		if !yield(&j.answers[i]) {
			return
		}
	}
}

// recordFailure returns the error of one record as its client reads it.
func recordFailure(err error) *apierr.Error {
	if errors.Is(err, kafka.ErrNoPartition) {
		// The cluster has the partition; the broker that was asked has not learned of it yet.
		return apierr.KafkaRetriable.Wrap(err, "The partition is new and not ready for use. Send the record again.")
	}
	if errors.Is(err, kerr.UnknownTopicID) { // perhaps another topic of that name exists
		return apierr.KafkaRetriable.Wrap(err, "The topic was deleted, and may have been created again. Send the record again.")
	}
	return apierr.FromWrite(err)
}

// contradicts reports whether a record failed because its topic or partition is not as the
// metadata has it. A partition without a leader counts too.
func (j *Job) contradicts() bool {
	if j.failed.Load() == 0 {
		return false
	}
	for a := range j.runs {
		if errors.Is(a.err, kafka.ErrNoPartition) || slices.ContainsFunc(misled, func(moved error) bool { return errors.Is(a.err, moved) }) {
			return true
		}
	}
	return false
}

// fail notes why record i, which is in no batch, is not in Kafka.
func (j *Job) fail(i int, err error) {
	j.answers[i] = answer{count: 1, err: err}
	j.failed.Add(1)
}

// settle takes the answer to a run that begins with record first. The job may be another one's
// when it returns.
func (j *Job) settle(first int32, a answer) {
	j.answers[first] = a
	if a.err != nil {
		j.failed.Add(a.count)
	}
	j.drop()
}

// drop counts a run as answered. With the last one the handler owns the job from here on, or, if
// it gave up, nobody does.
func (j *Job) drop() {
	if j.left.Add(-1) > 0 {
		return
	}
	if j.state.CompareAndSwap(waiting, answered) {
		j.done <- true
		return
	}
	j.endSpans()
	j.Release()
}

// wait blocks until all runs are answered, and returns true, or until the given time, after which
// the job must not be used any more: it was abandoned.
func (j *Job) wait(until time.Time) bool {
	select {
	case <-j.done:
		return true
	default:
	}
	j.limit.begin(until)
	if <-j.done {
		if j.limit.end() {
			<-j.done // the end of the time came behind the answer
		}
		return true
	}
	if j.state.CompareAndSwap(waiting, abandoned) {
		return false
	}
	<-j.done // the last answer came first
	return true
}

// Abandon ends a job that was submitted and whose results nobody wants any more. Its bytes stay
// admitted until Kafka has answered.
func (j *Job) Abandon() {
	if j.state.CompareAndSwap(waiting, abandoned) {
		return
	}
	<-j.done
	j.endSpans()
	j.Release()
}

// Stamp returns the time, in milliseconds, of the records without one of their own. It may be
// called where [Job.Result] may.
func (j *Job) Stamp() int64 { return j.stamp }

// failure returns the one reason for which all records failed, or nil when a record is in Kafka
// or the reasons differ. The reason of several records that are too large names the first.
func (j *Job) failure() error {
	if int(j.failed.Load()) < j.Len() {
		return nil
	}
	var first *apierr.Error
	var last error
	for a := range j.runs {
		if a.err == last {
			continue // records of a batch that failed share the error
		}
		switch failed := recordFailure(a.err); {
		case first == nil:
			first = failed
			if failed.Kind == apierr.BodyTooLarge && j.Len() > 1 {
				first = failed.Kind.Wrap(failed, "records[0]: %s", failed.Message())
			}
		case failed.Kind != first.Kind:
			return nil
		}
		last = a.err
	}
	return first
}

// timestamp returns the time of a record: its own, or that of the request.
func (j *Job) timestamp(r *kgo.Record) int64 {
	if r.Timestamp.IsZero() {
		return j.stamp
	}
	return r.Timestamp.UnixMilli()
}
