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
	// tailBytes bounds what a tail holds besides its last poll. A run of
	// records counts runBytes beside its keys and values: it keeps the memory
	// that its batch was read into.
	tailBytes, runBytes = 2 << 20, 16 << 10
	// tailPoll is how many records a tail takes from its client at a time.
	tailPoll = 1000
	// What a client of a tail fetches at most, of all partitions and of one.
	// Much more than that does not come at once at the end of a log.
	tailFetchBytes, tailPartitionBytes = 2 << 20, 512 << 10
	// shyFor is how long a partition of which the client has told an error is
	// left to the reader; settling how long after the start the reader looks as
	// well, since the client may have a fetch at the broker without it.
	shyFor, settling = time.Second, time.Second
	// grownEvery is how often a topic is asked for its number of partitions
	// while somebody streams it.
	grownEvery = 2 * time.Second
)

// tail is what the streams of one topic share: one Kafka client that waits at
// the brokers for new records, and the last of those that came. Streams that
// are further behind fetch for themselves and come back. So a tail need not
// be right about where a stream stands, and cannot make it lose a record:
// what a tail does not have, it says so.
//
// The client reads on only while a stream waits, at the pace of the fastest.
type tail struct {
	tailKey
	r     *Reader
	fetch *kafka.Reader
	users int // guarded by Reader.mu

	mu      sync.Mutex
	work    *sync.Cond // on mu: waiting or ended changed
	bell    chan struct{}
	parts   map[int32]*followed
	order   []int32 // a partition for each run held, the oldest first
	bytes   int     // of all runs
	moves   map[int32]int64
	waiting int
	cancel  context.CancelFunc // of the poll that is running
	ended   bool
	count   int // of partitions, as of asked
	asked   time.Time
}

// tailKey names a tail. A topic that is deleted and created again gets another
// one: the client of the first does not go on with it.
type tailKey struct {
	topic string
	id    [16]byte
}

// followed is one partition of a tail: all its records from lo to before hi
// are in runs, and the client goes on at hi.
type followed struct {
	lo, hi int64
	runs   []*tailRun
	since  time.Time
	shy    bool // given up, until shyFor after since
}

// tailRun is a run of records that streams share. Who reads them holds it; the
// last one of those gives the records back once the tail has dropped it.
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
		if !r.closed { // else there is nothing to wait for: the stream ends at once
			r.tailing.Go(t.run)
		}
	}
	t.users++
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.asked = max(t.count, topic.Partitions), time.Now()
	return t
}

// leave says that one user less is there. The last one ends the tail.
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

// interrupt ends the poll that is running. The caller holds t.mu.
func (t *tail) interrupt() {
	if t.cancel != nil {
		t.cancel()
	}
}

// partitions is how many partitions the topic has by now.
func (t *tail) partitions(ctx context.Context) int {
	t.mu.Lock()
	count := t.count
	due := time.Since(t.asked) >= grownEvery
	if due {
		t.asked = time.Now() // the others need not ask
	}
	t.mu.Unlock()
	if !due {
		return count
	}
	ctx, cancel := context.WithTimeout(ctx, faultTimeout)
	defer cancel()
	found, err := t.fetch.Topic(ctx, t.topic)
	if err != nil || found.ID != t.id {
		return count // a topic that is gone shows when it is read
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count = max(t.count, found.Partitions)
	return t.count
}

// take returns the oldest run of the partition that has records from offset
// on; nil when there is none. known is true if it is known that there are none
// so far. The caller gives the run back.
func (t *tail) take(partition int32, offset int64) (run *tailRun, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.parts[partition]
	if f == nil || f.shy || offset < f.lo || offset > f.hi {
		return nil, false
	}
	n := sort.Search(len(f.runs), func(n int) bool { return f.runs[n].next > offset })
	if n < len(f.runs) {
		f.runs[n].holders++
		return f.runs[n], true
	}
	return nil, time.Since(f.since) > settling
}

// give gives back what take has returned.
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

// await waits until there may be something to read from one of the positions,
// which are all at the ends of their partitions as far as the caller knows; no
// longer than wake, or than look where the tail is not sure that it will know,
// or until ctx ends.
func (t *tail) await(ctx context.Context, parts []streamPart, timer *time.Timer, wake, look time.Duration) {
	t.mu.Lock()
	sure := true
	for i := range parts {
		ready, known := t.follow(parts[i].partition, parts[i].offset)
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

// follow has the tail read the partition on from offset, unless it does. It
// reports whether there is something from there on already, and whether the
// tail is sure to ring for it if not. The caller holds t.mu.
func (t *tail) follow(partition int32, offset int64) (ready, sure bool) {
	f := t.parts[partition]
	switch {
	case f == nil:
	case f.shy && time.Since(f.since) < shyFor:
		return false, false
	case f.shy:
	case offset < f.lo || offset < f.hi:
		return true, false
	case offset == f.hi, t.waiting > 0: // there, or on its way there
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

// drop forgets what the tail holds of the partition. The caller holds t.mu.
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
		// The library's Close gives them up as well, but what it learns of the
		// cluster just then would have it fetch them again.
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

// reading reports whether there is a partition to read. The caller holds t.mu.
func (t *tail) reading() bool {
	for _, f := range t.parts {
		if !f.shy {
			return true
		}
	}
	return false
}

// assign has the client read the partitions from these offsets. It makes one
// when there is none yet.
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

// keep takes what a poll has returned and rings the bell. The caller holds t.mu.
func (t *tail) keep(fetches kgo.Fetches, failed error) {
	some := false
	for t.bytes > tailBytes {
		t.evict()
	}
	if failed != nil {
		for partition, f := range t.parts {
			t.shun(partition, f)
		}
	}
	fetches.EachPartition(func(got kgo.FetchTopicPartition) {
		f := t.parts[got.Partition]
		_, moving := t.moves[got.Partition]
		if f == nil || f.shy || moving {
			return // from where it was before
		}
		if len(got.Records) > 0 {
			some = true
			t.add(got.Partition, f, got.Records)
		}
		if got.Err != nil && got.Topic == t.topic {
			some = true
			t.shun(got.Partition, f)
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

// add puts records that follow those before them at the end.
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

// shun leaves the partition to the reader for a while, which learns what is
// wrong with it, if anything still is.
func (t *tail) shun(partition int32, f *followed) {
	t.drop(partition, f)
	f.shy, f.since = true, time.Now()
}
