package reader

import (
	"context"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

const (
	// tailBytes bounds the records that a tail holds besides its last poll. A run of records
	// counts runBytes besides its keys and values: it holds the memory that its batch was read
	// into.
	tailBytes, runBytes = 2 << 20, 16 << 10
	// tailPoll is how many records a tail takes from its client at a time.
	tailPoll = 1000
	// These constants bound a fetch of a tail's client, of all partitions and of one. Much more
	// than that does not arrive at once at the end of a log.
	tailFetchBytes, tailPartitionBytes = 2 << 20, 512 << 10
	// suspendFor is how long a partition for which the client has returned an error is left to
	// the streams' own fetches; settling is how long after the start streams fetch as well, since
	// the client may have a fetch at the broker without the partition.
	suspendFor, settling = time.Second, time.Second
	// grownEvery is how often the number of a topic's partitions is read while a stream of it
	// runs.
	grownEvery = 2 * time.Second
)

// tail is shared by the streams of one topic: it is one Kafka client that waits at the brokers
// for new records, and a cache of the last ones. A stream that is further behind fetches for
// itself until it has caught up. A tail need not know the position of a stream, and cannot make
// it lose a record: it reports a miss for records that it does not have.
//
// The client polls only while a stream waits, at the rate of the fastest stream.
type tail struct {
	tailKey
	r     *Reader
	fetch *kafka.Reader
	users int // guarded by Reader.mu

	mu      sync.Mutex
	work    *sync.Cond // on mu: waiting or ended changed
	bell    chan struct{}
	parts   map[int32]*followed
	order   []int32 // the partition of each run held, the oldest first
	bytes   int     // of all runs
	moves   map[int32]int64
	waiting int
	cancel  context.CancelFunc // of the poll in progress
	ended   bool
	count   int // of partitions, as of asked
	asked   time.Time
}

// tailKey identifies a tail. A topic that is deleted and created again gets another one: the
// client of the first does not continue with it.
type tailKey struct {
	topic string
	id    [16]byte
}

// followed is one partition of a tail: all its records from lo to before hi are in runs, and the
// client continues at hi.
type followed struct {
	lo, hi    int64
	runs      []*tailRun
	since     time.Time
	suspended bool // suspended until suspendFor after since
}

// tailRun is a run of records that streams share. A stream that reads it is a holder; the last
// holder recycles the records once the tail has evicted the run.
type tailRun struct {
	records []*kgo.Record
	next    int64 // past the last
	bytes   int
	holders int // guarded by tail.mu; the tail is one
}

// joinTail returns the tail of the topic of that name. The caller calls leave
// when done.
func (r *Reader) joinTail(name string, topic kafka.Topic, fetch *kafka.Reader) *tail {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := tailKey{name, topic.ID}
	t := r.tails[key]
	if t == nil {
		t = &tail{
			tailKey: key, r: r, fetch: fetch, bell: make(chan struct{}),
			parts: make(map[int32]*followed), moves: make(map[int32]int64),
		}
		t.work = sync.NewCond(&t.mu)
		r.tails[key] = t
		if !r.closed { // else the stream ends at once
			r.tailing.Go(t.run)
		}
	}
	t.users++
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.asked = max(t.count, topic.Partitions), time.Now()
	return t
}

// leave ends the caller's use of the tail. The last user ends the tail.
func (t *tail) leave() {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if t.users--; t.users > 0 {
		return
	}
	delete(t.r.tails, t.tailKey)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.interrupt()
	t.work.Signal()
}

// interrupt cancels the poll in progress. The caller holds t.mu.
func (t *tail) interrupt() {
	if t.cancel != nil {
		t.cancel()
	}
}

// partitions returns the present number of partitions of the topic.
func (t *tail) partitions(ctx context.Context) int {
	t.mu.Lock()
	count := t.count
	due := time.Since(t.asked) >= grownEvery
	if due {
		t.asked = time.Now() // so that the other streams do not ask too
	}
	t.mu.Unlock()
	if !due {
		return count
	}
	ctx, cancel := context.WithTimeout(ctx, faultTimeout)
	defer cancel()
	found, err := t.fetch.Topic(ctx, t.topic)
	if err != nil || found.ID != t.id {
		return count // reading shows a topic that was deleted
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count = max(t.count, found.Partitions)
	return t.count
}

// take returns the oldest run of the partition that has records from offset on, or nil. known is
// true if the tail knows that none exist so far. The caller returns the run with give.
func (t *tail) take(partition int32, offset int64) (run *tailRun, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.parts[partition]
	if f == nil || f.suspended || offset < f.lo || offset > f.hi {
		return nil, false
	}
	n := sort.Search(len(f.runs), func(n int) bool { return f.runs[n].next > offset })
	if n < len(f.runs) {
		f.runs[n].holders++
		return f.runs[n], true
	}
	return nil, time.Since(f.since) > settling
}

// give returns the run to the tail.
func (t *tail) give(run *tailRun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(run)
}

// release takes a holder off the run. The caller holds t.mu.
func (t *tail) release(run *tailRun) {
	if run.holders--; run.holders == 0 {
		for _, r := range run.records {
			r.Recycle()
		}
		run.records = nil
	}
}

// await waits until one of the positions may have new records. The caller has read all of them to
// the end of their partitions. await returns after wake at the latest, or after look where the
// tail is not sure to notify, or when ctx ends.
func (t *tail) await(ctx context.Context, parts []streamPart, timer *time.Timer, wake, look time.Duration) {
	t.mu.Lock()
	sure := true
	for i := range parts {
		ready, known := t.follow(&parts[i])
		if ready {
			t.mu.Unlock()
			return
		}
		sure = sure && known
	}
	bell := t.bell
	t.waiting++
	t.work.Signal()
	t.mu.Unlock()
	if !sure {
		wake = min(wake, look)
	}
	timer.Reset(wake)
	select {
	case <-bell:
	case <-timer.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	t.waiting--
	t.mu.Unlock()
}

// follow makes the tail read the partition from the position of p, unless it does. ready reports
// whether records from there are to be had at once, sure whether the tail is sure to notify when
// they come. The caller holds t.mu.
func (t *tail) follow(p *streamPart) (ready, sure bool) {
	partition, offset := p.partition, p.offset
	f := t.parts[partition]
	switch {
	case f == nil:
	case f.suspended && time.Since(f.since) < suspendFor:
		return false, false
	case f.suspended:
	case offset < f.lo: // the stream fetches them
		return !p.pauses(), false
	case offset < f.hi:
		return true, false
	case offset == f.hi, t.waiting > 0: // at the offset, or on its way to it
		return false, time.Since(f.since) > settling
	}
	if f != nil {
		t.drop(partition, f)
	}
	t.parts[partition] = &followed{lo: offset, hi: offset, since: time.Now()}
	t.moves[partition] = offset
	t.interrupt()
	return false, false
}

// drop evicts all runs of the partition. The caller holds t.mu.
func (t *tail) drop(partition int32, f *followed) {
	for _, run := range f.runs {
		t.bytes -= run.bytes
		t.release(run)
	}
	f.runs = nil
	t.order = slices.DeleteFunc(t.order, func(p int32) bool { return p == partition })
}

// run is the goroutine of the tail, and the only one that uses its client.
func (t *tail) run() {
	var client *kgo.Client
	defer func() {
		if client == nil {
			return
		}
		// The library's Close removes them as well, but a metadata response that arrives just
		// then would make it fetch them again.
		client.RemoveConsumePartitions(map[string][]int32{t.topic: slices.Collect(maps.Keys(t.parts))})
		client.Close()
	}()
	for {
		t.mu.Lock()
		for !t.ended && (t.waiting == 0 || !t.reading()) {
			t.work.Wait()
		}
		if t.ended {
			for p, f := range t.parts {
				t.drop(p, f)
			}
			t.mu.Unlock()
			return
		}
		ctx, cancel := context.WithCancel(t.r.life)
		t.cancel = cancel
		moves := t.moves
		t.moves = make(map[int32]int64)
		t.mu.Unlock()

		var fetches kgo.Fetches
		var err error
		if client, err = t.assign(client, moves); err == nil {
			fetches = client.PollRecords(ctx, tailPoll)
		} else {
			fetches = kgo.NewErrFetch(err)
		}
		t.mu.Lock()
		t.cancel = nil
		cancel()
		t.keep(fetches, err)
		t.mu.Unlock()
	}
}

// reading reports whether any partition is to be read. The caller holds t.mu.
func (t *tail) reading() bool {
	for _, f := range t.parts {
		if !f.suspended {
			return true
		}
	}
	return false
}

// assign makes the client read the partitions from these offsets. It builds the client first when
// the tail has none.
func (t *tail) assign(client *kgo.Client, moves map[int32]int64) (*kgo.Client, error) {
	if len(moves) == 0 && client != nil {
		return client, nil
	}
	starts := make(map[string]map[int32]kgo.Offset)
	var again []int32
	for partition, offset := range moves {
		if starts[t.topic] == nil {
			starts[t.topic] = make(map[int32]kgo.Offset)
		}
		starts[t.topic][partition] = kgo.NewOffset().At(offset)
		again = append(again, partition)
	}
	if client != nil {
		client.RemoveConsumePartitions(map[string][]int32{t.topic: again})
		client.AddConsumePartitions(starts)
		return client, nil
	}
	conf := t.r.conf
	conf.FetchMaxBytes, conf.MaxPartitionBytes = tailFetchBytes, tailPartitionBytes
	opts, err := kafka.ConsumerOpts(t.r.base, conf)
	if err != nil {
		return nil, err
	}
	isolation := kgo.ReadUncommitted()
	if t.r.committed() {
		isolation = kgo.ReadCommitted()
	}
	return kgo.NewClient(append(slices.Clip(opts),
		kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumePartitions(starts),
		kgo.FetchMinBytes(1),
	)...)
}

// keep caches the records of a poll and notifies the waiting streams. The caller holds t.mu.
func (t *tail) keep(fetches kgo.Fetches, failed error) {
	some := false
	for t.bytes > tailBytes {
		t.evict()
	}
	if failed != nil {
		for partition, f := range t.parts {
			t.suspend(partition, f)
		}
	}
	fetches.EachPartition(func(got kgo.FetchTopicPartition) {
		f := t.parts[got.Partition]
		_, moving := t.moves[got.Partition]
		if f == nil || f.suspended || moving {
			return // from its position before
		}
		if len(got.Records) > 0 {
			some = true
			t.add(got.Partition, f, got.Records)
		}
		if got.Err != nil && got.Topic == t.topic {
			some = true
			t.suspend(got.Partition, f)
		}
	})
	if some || failed != nil {
		close(t.bell)
		t.bell = make(chan struct{})
	}
}

// evict drops the oldest run. The caller holds t.mu.
func (t *tail) evict() {
	f := t.parts[t.order[0]]
	run := f.runs[0]
	f.runs[0] = nil
	f.runs, t.order = f.runs[1:], t.order[1:]
	f.lo = run.next
	t.bytes -= run.bytes
	t.release(run)
}

// add appends records that follow those before them.
func (t *tail) add(partition int32, f *followed, records []*kgo.Record) {
	run := &tailRun{records: records, next: records[len(records)-1].Offset + 1, bytes: runBytes, holders: 1}
	for _, r := range records {
		run.bytes += Size(r)
	}
	f.hi = run.next
	f.runs = append(f.runs, run)
	t.order = append(t.order, partition)
	t.bytes += run.bytes
}

// suspend leaves the partition to the streams' own fetches for a while, which find out its error,
// if it persists.
func (t *tail) suspend(partition int32, f *followed) {
	t.drop(partition, f)
	f.suspended, f.since = true, time.Now()
}
