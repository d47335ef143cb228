package batch

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// topic is a topic that records were written to. One that is deleted and created again is
// another topic.
type topic struct {
	producer  *Producer
	name      string
	nameBytes []byte

	id         atomic.Pointer[[16]byte]     // nil until a broker tells it; older ones have none
	partitions atomic.Pointer[[]*partition] // in order; grows
	gone       atomic.Pointer[error]        // why nothing can be written any more
	ending     atomic.Bool                  // nothing is sent any more, as the heir is being made
	heir       atomic.Pointer[topic]        // of that name and size, created since; gets the queues
	lack       atomic.Int64                 // since when no broker knows it, in Unix nanoseconds
	looked     atomic.Int64                 // when its leaders were looked up last
	limit      atomic.Int64                 // bytes that a batch should have at most, 0 if not known
	rules      atomic.Pointer[rules]        // nil: not known
	asking     atomic.Bool                  // for rules
	uses       atomic.Int64                 // requests that frame records, and batches
	recent     atomic.Bool                  // a request came since the router looked last
	told       int                          // partitions that brokers told of last; of the look-up
	// former has the epoch that each partition of the topic of that name before this one used
	// last. Perhaps it is the same topic, which brokers did not know for a while: they would take
	// batches of the same epoch with sequences from 0 for ones that they have, and ack them.
	former []producerEpoch

	mu     sync.Mutex // of the choice among partitions, and of growing
	sticky int        // the partition of keyless records; modulo the count, which may change
	bytes  int        // given to it so far
}

func newTopic(p *Producer, name string) *topic {
	t := &topic{producer: p, name: name, nameBytes: []byte(name), sticky: int(rand.Uint32() >> 1)}
	t.partitions.Store(&[]*partition{})
	return t
}

// first returns the first n partitions, which are made if they are new.
func (t *topic) first(n int32) []*partition {
	if all := *t.partitions.Load(); len(all) >= int(n) {
		return all[:n]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append([]*partition(nil), *t.partitions.Load()...)
	for i := int32(len(all)); i < n; i++ {
		p := &partition{topic: t, index: i, producer: producerEpoch{id: -1}, former: producerEpoch{id: -1}, leaderEpoch: -1}
		if int(i) < len(t.former) {
			p.former = t.former[i]
		}
		all = append(all, p)
	}
	t.partitions.Store(&all)
	return all[:n]
}

// epochs returns the epoch that each partition used last.
func (t *topic) epochs() []producerEpoch {
	if t == nil {
		return nil
	}
	all := *t.partitions.Load()
	out := make([]producerEpoch, len(all))
	for i, p := range all {
		p.mu.Lock()
		if out[i] = p.producer; p.producer.id < 0 {
			out[i] = p.former
		}
		p.mu.Unlock()
	}
	return out
}

// choose gives the records that name no partition one, as Kafka's Java producer does:
//
//   - a key that is not nil, even an empty one, is hashed with murmur2 over all partitions,
//     whether or not they have a leader, so that keys are assigned as by Java;
//   - other records stay on one partition for stickyBytes and then move to the next that has a
//     leader (after KIP-794), which makes full batches and is even over time. The first partition
//     is random, so that many nodes do not start in step.
func (t *topic) choose(records []kgo.Record, among []*partition, stickyBytes int) {
	var pick *partition
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range records {
		r := &records[i]
		switch {
		case r.Partition != AnyPartition:
		case r.Key != nil:
			r.Partition = kafka.KeyPartition(r.Key, len(among))
		default:
			if pick == nil {
				pick = t.pick(among)
			}
			r.Partition = pick.index
			if t.bytes += stickyLen(r); t.bytes >= stickyBytes {
				t.sticky, t.bytes, pick = int(pick.index)+1, 0, nil
			}
		}
	}
}

// pick returns the partition of the next keyless record: the sticky one, or the first behind it
// that can be written to.
func (t *topic) pick(among []*partition) *partition {
	n := len(among)
	for i := range n {
		if p := among[(t.sticky+i)%n]; p.leader.Load() != nil && p.lost() == nil {
			t.sticky = int(p.index)
			return p
		}
	}
	return among[t.sticky%n]
}

// recordOverhead is about the size of a record in a batch besides its bytes. It makes empty
// records count, so that they rotate over the partitions too.
const recordOverhead = 8

func stickyLen(r *kgo.Record) int {
	n := recordOverhead + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// learn remembers that the topic takes no batch as large as b. Batches to come are half as large,
// until it is known how large they may be.
func (t *topic) learn(b *batch) {
	limit := int64(b.wireLen() / 2)
	if b.records() == 1 {
		return // what is too large alone says little of batches
	}
	for was := t.limit.Load(); was == 0 || limit < was; was = t.limit.Load() {
		if t.limit.CompareAndSwap(was, limit) {
			return
		}
	}
}

// succeeded ends a topic that was deleted and created again. Batches that are not written go to the
// new one if that has as many partitions. With another number, keys would be in other partitions. A
// request that has heard of the new one may have grown this one meanwhile, before it had ended.
// Nothing is sent once the heir is told the epochs: brokers that take topics by name would write it
// to the new one, and know the first batches of the heir again if these had the same epoch.
func (t *topic) succeeded(partitions int) {
	t.ending.Store(true)
	heir := t.producer.router.begin(t.name, t, nil)
	heir.first(int32(partitions))
	if partitions == t.told && partitions == len(*t.partitions.Load()) {
		t.heir.Store(heir)
	}
	t.end(kerr.UnknownTopicID)
	t.producer.router.lookUp(heir)
}

// end has all that waits for the topic fail.
func (t *topic) end(err error) {
	t.gone.CompareAndSwap(nil, &err)
	for _, p := range *t.partitions.Load() {
		p.leader.Store(nil)
		p.mu.Lock()
		if p.out == 0 {
			p.failQueue(err)
		}
		p.mu.Unlock()
	}
}

// batchLimit is how large a batch of several records may be. It is a guess at what the topic takes,
// so no record is refused for it.
func (p *Producer) batchLimit(t *topic) int {
	if limit := t.limit.Load(); limit > 0 {
		return int(min(limit, int64(p.settings.BatchBytes)))
	}
	return p.settings.BatchBytes
}
