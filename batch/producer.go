package batch

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/fair"
	"millrace/internal/kafka"
	"millrace/metrics"
)

// Cluster is the produce side's access to the rest of the node. Topic and Healthy must return from
// memory when they can; they run once per request.
type Cluster struct {
	// Topic returns the topic's name, as a string that outlives the request, and its number of
	// partitions. It creates the topic when that is allowed.
	Topic func(ctx context.Context, name string) (topic string, partitions int32, err error)
	// Afresh is Topic for a topic or a partition that seemed to be absent: it may ask the brokers,
	// as often as the rate limit allows, and creates nothing.
	Afresh func(ctx context.Context, name string) (topic string, partitions int32, err error)
	// Lost, if not nil, returns why a broker cannot be reached, or for -1 why none can, and nil
	// while an answer may be expected. It must return from memory.
	Lost func(broker int32) error
	// Quiet, if not nil, reports whether a broker that is not lost lets requests wait and answers
	// nobody. It must return from memory.
	Quiet func(broker int32) bool
	// Healthy returns nil, or the error that no broker can be reached.
	Healthy func() error
	// Contradicted is called when Kafka refused a record and thereby contradicted the result of
	// Topic, which must then be looked up anew.
	Contradicted func()
	// Waited, if not nil, is told of about one request in sixteen how long it
	// was from its records being ready until Kafka had answered for the last.
	Waited func(time.Duration)
	// Written, if not nil, is told of each batch that a broker acked. It must not block.
	Written func(broker int32, topic string, partition int32, b kgo.ProduceBatchMetrics)
	// Held, if not nil, counts the bytes that this producer and others have admitted together, all
	// of them with the same bound.
	Held *fair.Sum
	// Begin and End, if not nil, are called with each record before it is framed, and when it
	// is answered, with its partition and offset or its error.
	Begin func(r *kgo.Record)
	End   func(r *kgo.Record, err error)
}

// Producer writes jobs to Kafka. All methods may be called from any goroutine.
type Producer struct {
	client     Client
	compressor kgo.Compressor
	cluster    Cluster
	settings   settings
	ctx        context.Context // of the process; ends when Close is done waiting
	cancel     context.CancelFunc
	tasks      sync.WaitGroup // the router, its look-ups, and workers of senders

	router  *router
	mu      sync.Mutex // of senders
	senders map[int32]*sender

	cut      atomic.Pointer[error] // why no broker can be reached, if none can; of the watch
	buffered atomic.Int64          // records that are framed and not answered
	closing  atomic.Bool
	empty    chan struct{} // told while closing when buffered is 0

	jobs sync.Pool
	held *fair.Sum // bytes of all jobs that are admitted
	// weight is the memory of a job by the bytes of its body, of late, in weightUnits.
	weight atomic.Int64

	taken, made, returned atomic.Uint64 // jobs: acquired, allocated for that, released
	refused               atomic.Uint64 // requests that exceeded the memory left
}

// New returns a producer that owns client, and compresses with c. k are the settings of Kafka's
// own producer; s.BatchBytes outweighs theirs.
func New(client Client, c kgo.Compressor, cluster Cluster, s Settings, k kafka.Producer) *Producer {
	p := &Producer{client: client, compressor: c, cluster: cluster, settings: s.with(k), senders: make(map[int32]*sender), empty: make(chan struct{}, 1), held: cluster.Held}
	if p.held == nil {
		p.held = new(fair.Sum)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.router = newRouter(p)
	p.tasks.Go(p.router.run) // ends with ctx
	if cluster.Lost != nil {
		p.tasks.Go(p.watch) // ends with ctx
	}
	return p
}

// Held returns the number of bytes that are admitted and not yet acked by Kafka.
func (p *Producer) Held() int64 { return p.held.Held() }

// Buffered returns the number of records that Kafka has not answered for.
func (p *Producer) Buffered() int64 { return p.buffered.Load() }

// Stats returns the state of the produce side, for the metrics.
func (p *Producer) Stats() metrics.Producer {
	returned := p.returned.Load() // read first: never more than were taken
	taken := p.taken.Load()
	return metrics.Producer{
		Held:    p.held.Held(),
		Limit:   p.settings.BufferBytes,
		Refused: p.refused.Load(),
		Jobs:    metrics.Pool{Name: "jobs", Gets: taken, Misses: p.made.Load(), Out: int64(taken - returned), KeptBytes: -1},
	}
}

// Close waits until Kafka has answered for all records, but no longer than ctx, and closes the
// client. Records that are left then have failed; their requests were answered with 504. No
// Produce may be running.
func (p *Producer) Close(ctx context.Context) (err error) {
	p.closing.Store(true)
	for p.buffered.Load() > 0 && err == nil {
		select {
		case <-p.empty:
		case <-ctx.Done():
			err = fmt.Errorf("cannot flush %d bytes to Kafka: %w", p.Held(), ctx.Err())
		}
	}
	p.cancel()
	p.client.Close() // requests in flight fail, and so do look-ups
	p.mu.Lock()
	for _, s := range p.senders {
		s.close()
	}
	p.mu.Unlock()
	p.tasks.Wait()
	p.router.mu.Lock()
	topics := p.router.topics
	p.router.topics = nil
	p.router.mu.Unlock()
	for _, t := range topics {
		t.end(kgo.ErrClientClosed)
	}
	return err
}

// drained tells Close when nothing is left.
func (p *Producer) drained() {
	if p.closing.Load() && p.buffered.Load() == 0 {
		select {
		case p.empty <- struct{}{}:
		default:
		}
	}
}

// sender returns the sender of a broker.
func (p *Producer) sender(id int32) *sender {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.senders[id]
	if s == nil {
		s = newSender(p, id)
		s.closed = p.ctx.Err() != nil
		p.senders[id] = s
	}
	return s
}

// AnyPartition tells [Producer.Produce] that the request names no partition.
const AnyPartition int32 = -1

// failedRecord is the partition of a record that failed before it was framed.
const failedRecord = math.MinInt32

// Produce writes the job's records to topic, those without a partition of their own to the given
// one, or to one of the producer's choice for [AnyPartition]. When Kafka has acked, it calls
// answer, which appends the results of [Job.Result] to dst, and returns that.
//
// It fails, and appends nothing, when no record was written for one common reason: with
// [apierr.NotWritten] when none was sent because brokers cannot be reached. It fails with
// [apierr.WriteUnknown] when a broker was lost, or took too long, with all records on their way;
// they may still be written.
//
// Produce takes the job, whether it succeeds or fails. It borrows dst.
func (p *Producer) Produce(j *Job, topic string, partition int32, dst []byte, answer func([]byte, *Job) []byte) ([]byte, error) {
	if err := p.Submit(j, topic, partition); err != nil {
		return dst, err
	}
	j.returnSlab()
	return p.Await(j, dst, answer)
}

// Submit is the first half of Produce, which returns when the records are on their way: for callers
// that have several jobs in flight. It takes the job if it fails. Otherwise the caller still owns
// the job, may call nothing of it but [Job.Len], and ends it with [Producer.Await] or
// [Job.Abandon]. Jobs that one goroutine submits are written in their order, in each partition.
func (p *Producer) Submit(j *Job, topic string, partition int32) error {
	if err := p.submit(j, topic, partition); err != nil {
		j.Release()
		return err
	}
	return nil
}

// Await is the second half of Produce. The time that it waits counts from Submit. Any goroutine may
// call it.
func (p *Producer) Await(j *Job, dst []byte, answer func([]byte, *Job) []byte) ([]byte, error) {
	if !j.wait(j.ready.Add(p.settings.Timeout)) {
		return dst, apierr.WriteUnknown.New("Kafka did not answer within %d ms. Some records may be written all the same; sending them again may double them.",
			p.settings.Timeout.Milliseconds())
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
	if j.contradicts() {
		p.cluster.Contradicted()
	}
	j.endSpans()
	err := j.failure()
	if err == nil {
		dst = answer(dst, j)
	}
	whole = true
	j.Release()
	return dst, err
}

// submit frames the records. After an error no record was framed.
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
	valid, partitions := p.prepare(j, name, partition, partitions)
	t, among := p.router.topic(name, partitions)
	defer t.leave()
	if j.screen(t, valid) == 0 {
		if err := j.failure(); err != nil {
			return err
		}
	}
	t.choose(j.Slab.Records, among, p.settings.StickyBytes)
	j.beginSpans(name)
	j.left.Store(1)
	for i := 0; i < j.Len(); {
		at := j.Slab.Records[i].Partition
		if at < 0 {
			i++
			continue
		}
		if why := among[at].lost(); why != nil {
			j.fail(i, refusedBy(name, *why))
			i++
			continue
		}
		next, tell := among[at].add(j, i)
		tell.tell()
		i = next
	}
	j.returnBody() // the frames are charged in its place; nothing looks at it any more
	j.drop()       // the last answer may have come before
	return nil
}

// prepare sets what the records have in common and gives each record with a partition that does
// not exist its error. It returns the number of the others, and of the topic's partitions: they
// are looked up once more if a record names one that they lack, which may have been added since.
func (p *Producer) prepare(j *Job, topic string, partition, partitions int32) (valid int, of int32) {
	if cap(j.answers) < j.Len() {
		j.answers = make([]answer, j.Len())
	}
	j.answers = j.answers[:cap(j.answers)]
	j.ready = time.Now() // one reading of the clock a request, not a record
	j.stamp = j.ready.UnixMilli()
	looked := false
	for i := range j.Slab.Records {
		r := &j.Slab.Records[i]
		if r.Partition == AnyPartition {
			r.Partition = partition
		}
		if r.Partition >= partitions && !looked {
			partitions, looked = p.lookAgain(topic, partitions), true
		}
		if r.Partition >= partitions || r.Partition == codec.NegativePartition {
			j.fail(i, noPartition(topic, r.Partition, partitions))
			r.Partition = failedRecord
			continue
		}
		valid++
	}
	return valid, partitions
}

// lookAgain returns how many partitions the topic has by now.
func (p *Producer) lookAgain(topic string, partitions int32) int32 {
	if p.cluster.Afresh == nil {
		return partitions
	}
	_, now, err := p.cluster.Afresh(p.ctx, topic)
	if err != nil {
		return partitions
	}
	return max(partitions, now)
}

// tooLarge fails a record that is in no batch because none may be as large.
func (j *Job) tooLarge(i, size int) {
	j.fail(i, apierr.BodyTooLarge.New("The record takes %d bytes in Kafka; at most %d are allowed (producer.max.request.size).", size, j.producer.settings.BatchBytes))
}

func noPartition(topic string, partition, partitions int32) *apierr.Error {
	if partition < 0 {
		return apierr.PartitionNotFound.New("Topic %s has no negative partition; its %d partitions count from 0.", topic, partitions)
	}
	return apierr.PartitionNotFound.New("Topic %s has no partition %d; its %d partitions count from 0.", topic, partition, partitions)
}
