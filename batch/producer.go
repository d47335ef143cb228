package batch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/metrics"
)

// Client is the part of *[kgo.Client] that the produce side uses.
type Client interface {
	Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
	Flush(ctx context.Context) error
	Close()
}

// Cluster is the produce side's access to the cluster's metadata. Both functions must return from
// memory when they can; they run once per request.
type Cluster struct {
	// Topic returns the topic's name, as a string that outlives the request, and its number of
	// partitions. It creates the topic when that is allowed.
	Topic func(ctx context.Context, name string) (topic string, partitions int32, err error)
	// Afresh is Topic for a topic or a partition that seemed to be absent: it may ask the brokers,
	// as often as the rate limit allows, and creates nothing.
	Afresh func(ctx context.Context, name string) (topic string, partitions int32, err error)
	// Healthy returns nil, or the error that no broker can be reached.
	Healthy func() error
	// Lost, if not nil, returns why a leader of the topic cannot be reached: that of the
	// partition, or of some partition for [AnyPartition]. With all there is no other that could
	// take a record. It must return from memory.
	Lost func(topic string, partition int32) (all bool, err error)
	// Contradicted is called when Kafka refused a record and thereby contradicted the result of
	// Topic, which must then be looked up anew.
	Contradicted func()
	// Recreated is called when Kafka has another topic of that name than the one that records
	// were sent to. It makes the client forget the old topic, and returns when that is done. It
	// runs once at a time.
	Recreated func(topic string)
	// Waited, if not nil, is told of about one request in sixteen how long it
	// was from its records being ready until Kafka had answered for the last.
	Waited func(time.Duration)
}

// Producer lends jobs to the Kafka client. All methods may be called from any goroutine.
type Producer struct {
	client   Client
	cluster  Cluster
	settings Settings
	ctx      context.Context // of the process; ends when Close is done waiting
	cancel   context.CancelFunc

	flusher flusher

	renewing sync.Mutex    // held while Cluster.Recreated runs
	renewed  atomic.Uint64 // number of its calls

	jobs sync.Pool
	held atomic.Int64 // bytes of all jobs that are admitted
	// weight is the memory of a job by the bytes of its body, of late, in weightUnits.
	weight atomic.Int64

	taken, made, returned atomic.Uint64 // jobs: acquired, allocated for that, released
	refused               atomic.Uint64 // requests that exceeded the memory left
}

// New returns a producer that owns client.
func New(client Client, cluster Cluster, s Settings) *Producer {
	p := &Producer{client: client, cluster: cluster, settings: s}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.flusher.init(s.Linger, s.BatchBytes)
	return p
}

// Held returns the number of bytes that are admitted and not yet acked by Kafka.
func (p *Producer) Held() int64 { return p.held.Load() }

// Stats returns the state of the produce side, for the metrics.
func (p *Producer) Stats() metrics.Producer {
	returned := p.returned.Load() // read first: never more than were taken
	taken := p.taken.Load()
	return metrics.Producer{
		Held:    p.held.Load(),
		Limit:   p.settings.BufferBytes,
		Refused: p.refused.Load(),
		Jobs:    metrics.Pool{Name: "jobs", Gets: taken, Misses: p.made.Load(), Out: int64(taken - returned), KeptBytes: -1},
	}
}

// Close waits until Kafka has acked all records, but no longer than ctx, and closes the client.
// Records that are left then have failed; their requests were answered with 504. No Produce may
// be running.
func (p *Producer) Close(ctx context.Context) error {
	err := p.client.Flush(ctx)
	p.cancel()
	p.client.Close()
	if err != nil {
		return fmt.Errorf("cannot flush %d bytes to Kafka: %w", p.Held(), err)
	}
	return nil
}

// AnyPartition tells [Producer.Produce] that the request names no partition.
const AnyPartition int32 = -1

// Produce writes the job's records to topic, those without a partition of their own to the given
// one, or to one of the producer's choice for [AnyPartition]. When Kafka has acked, it calls
// answer, which appends the results of [Job.Result] to dst, and returns that.
//
// It fails, and appends nothing, when no record was written for one common reason: with
// [apierr.NotWritten] when none was sent in time. It fails with [apierr.WriteUnknown] when a
// broker was lost, or took too long, with records on their way; they may still be written.
//
// Produce takes the job, whether it succeeds or fails. It borrows dst.
func (p *Producer) Produce(j *Job, topic string, partition int32, dst []byte, answer func([]byte, *Job) []byte) ([]byte, error) {
	if err := p.submit(j, topic, partition); err != nil {
		j.Release()
		return dst, err
	}
	if err := p.settle(j, topic, partition); err != nil {
		return dst, err // the job is gone
	}
	whole := false
	defer func() {
		if !whole { // a panic below has left it in an unknown state
			j.discard()
		}
	}()
	if p.cluster.Waited != nil && j.number%16 == 0 {
		p.cluster.Waited(time.Since(j.ready))
	}
	err := j.failure()
	if err == nil {
		dst = answer(dst, j)
	}
	whole = true
	j.Release()
	return dst, err
}

// settle waits until all records of the job have settled, those that are sent again among them.
// After an error the job must not be used any more.
func (p *Producer) settle(j *Job, topic string, partition int32) error {
	for {
		switch state, lost := j.wait(p.settings.Timeout, partition); {
		case state == abandoned && lost != nil:
			return unknownAfter(lost)
		case state == abandoned:
			return apierr.WriteUnknown.New("Kafka did not answer within %d ms. Some records may be written all the same; sending them again may double them.",
				p.settings.Timeout.Milliseconds())
		case state == canceled && lost != nil:
			return refusedBy(topic, lost)
		case state == canceled:
			return apierr.NotWritten.New("The records could not be sent to Kafka within %d ms. None was written; send them again.",
				p.settings.Timeout.Milliseconds())
		}
		if j.contradicts() {
			p.cluster.Contradicted()
		}
		if j.outlivedItsTopic() {
			p.renew(j)
		}
		if !p.again(j, topic) {
			return nil
		}
	}
}

// submit lends the records to the client, through flusher. After an error no record was lent, and
// none will be.
func (p *Producer) submit(j *Job, topic string, partition int32) error {
	if err := p.cluster.Healthy(); err != nil {
		return err
	}
	if err := p.admit(j, cap(j.Arena)); err != nil {
		return err
	}
	name, partitions, err := p.cluster.Topic(p.ctx, topic)
	if err != nil {
		return err
	}
	valid := j.prepare(name, partition, partitions)
	valid += p.lookAgain(j, topic)
	if valid == 0 {
		return j.failure()
	}
	if p.cluster.Lost != nil {
		if all, err := p.cluster.Lost(name, partition); all {
			return refusedBy(name, err)
		}
	}
	j.pending.Store(int32(valid))
	p.flusher.join(j)
	return nil
}

// Budget returns what the encoding of the job's records may cost, for formats whose bytes are not
// those of the body: all of the producer's memory that the job itself does not take. The arena's
// growth is charged as it happens, so that requests cannot hold more together than
// producer.buffer.memory.
func (p *Producer) Budget(j *Job) (*codec.Budget, error) {
	if err := p.admit(j, cap(j.Arena)); err != nil {
		return nil, err
	}
	j.budget.Begin(int(p.settings.BufferBytes - j.size(0)))
	return &j.budget, nil
}

// Ready returns why a request with a body of n bytes would be refused as things are,
// or nil. It is for a caller who can save itself the reading and decoding of it. A job
// takes more memory than its body: by how much is guessed from others of late, but only
// while more than half of the memory is held, so that no guess refuses for good.
func (p *Producer) Ready(n int) error {
	if err := p.cluster.Healthy(); err != nil {
		return err
	}
	if int64(n) > p.settings.BufferBytes {
		return apierr.BodyTooLarge.New("The request body has %d bytes; producer.buffer.memory is %d. Send fewer records at once.", n, p.settings.BufferBytes)
	}
	held, needed := p.held.Load(), int64(n)
	if n >= weighed && held > p.settings.BufferBytes/2 {
		needed = max(needed, needed*p.weight.Load()/weightUnit)
	}
	if held+needed > p.settings.BufferBytes {
		p.refused.Add(1)
		return apierr.Overloaded.Err()
	}
	return nil
}

// weighed is the smallest body that is weighed, weightUnit what a weight of 1 is:
// as many bytes of memory as of body.
const weighed, weightUnit = 64 << 10, 64

// weigh notes how much memory a job takes beside its body. Of several that do so at the
// same time one may be forgotten.
func (p *Producer) weigh(j *Job, charge int64) {
	if len(j.Body) >= weighed {
		p.weight.Store((7*p.weight.Load() + charge*weightUnit/int64(len(j.Body))) / 8)
	}
}

// Admit charges the job's bytes to the producer's memory, or refuses it. A job that is
// not admitted yet is by [Producer.Produce]; who accounts for the bytes of its body
// until then calls this first, and lets go of them after it.
func (p *Producer) Admit(j *Job) error {
	if err := p.cluster.Healthy(); err != nil {
		return err
	}
	return p.admit(j, cap(j.Arena))
}

// arenaGrown is the budget's Grown.
func (j *Job) arenaGrown(capacity int) error { return j.producer.admit(j, capacity) }

// size returns the job's memory with an arena of so many bytes.
func (j *Job) size(arena int) int64 {
	return int64(cap(j.Body) + arena + j.Slab.HeaderBytes() + j.Len()*recordBytes)
}

// renew makes the client forget a topic that was recreated since j was sent to it, unless another
// job did so since. Otherwise the records of later jobs would be lost.
func (p *Producer) renew(j *Job) {
	p.renewing.Lock()
	defer p.renewing.Unlock()
	if p.renewed.Load() == j.renewed {
		p.cluster.Recreated(j.Slab.Records[0].Topic)
		p.renewed.Add(1)
	}
}

// admit charges the job's bytes, or those not charged yet, to the producer's memory, or refuses.
func (p *Producer) admit(j *Job, arena int) error {
	charge := j.size(arena)
	if charge > p.settings.BufferBytes {
		return apierr.BodyTooLarge.New("The request needs %d bytes of memory; producer.buffer.memory is %d. Send fewer records at once.",
			charge, p.settings.BufferBytes)
	}
	p.weigh(j, charge)
	more := charge - j.charge
	if p.held.Add(more) > p.settings.BufferBytes && more > 0 {
		p.held.Add(-more)
		p.refused.Add(1)
		return apierr.Overloaded.Err()
	}
	j.charge = charge
	return nil
}

// prepare sets what the records have in common and gives each record with a partition that does
// not exist its error. It returns the number of the others.
func (j *Job) prepare(topic string, partition, partitions int32) (valid int) {
	if cap(j.errs) < j.Len() {
		j.errs = make([]error, j.Len())
	}
	j.errs = j.errs[:j.Len()]
	j.partitions, j.repeats = partitions, false
	j.renewed = j.producer.renewed.Load()
	now := time.Now()
	j.ready = now
	own := kafka.OwnTimestamp
	if j.Trace != nil {
		own = kafka.OwnTimestampIn(j.Trace)
	}
	for i := range j.Slab.Records {
		r := &j.Slab.Records[i]
		r.Topic = topic
		if r.Timestamp.IsZero() {
			r.Timestamp = now // one clock reading per request, not per record
			r.Context = j.Trace
		} else {
			r.Context = own
		}
		if r.Partition == AnyPartition {
			r.Partition = partition
		}
		if r.Partition >= partitions || r.Partition == codec.NegativePartition {
			j.fail(i, noPartition(topic, r.Partition, partitions))
			continue
		}
		valid++
	}
	return valid
}

func noPartition(topic string, partition, partitions int32) *apierr.Error {
	if partition < 0 {
		return apierr.PartitionNotFound.New("Topic %s has no negative partition; its %d partitions count from 0.", topic, partitions)
	}
	return apierr.PartitionNotFound.New("Topic %s has no partition %d; its %d partitions count from 0.", topic, partition, partitions)
}
