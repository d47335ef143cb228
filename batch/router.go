package batch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/kafka"
)

// router knows where partitions are: it looks leaders up, at first and when a broker says that
// they moved, gets the producer's id, and looks after the partitions that cannot send at the
// moment, for want of a leader or until their next attempt. It is one goroutine, and at most one
// look-up at a time.
type router struct {
	producer *Producer
	wake     chan struct{}

	mu       sync.Mutex
	topics   map[string]*topic
	parked   map[*partition]struct{}
	wanted   map[*topic]struct{} // to be looked up
	looking  bool
	nextLook time.Time
	fails    int
	current  producerEpoch // id -1 until there is one
	idle     int           // topics without a request for a while that are kept
	nextTidy time.Time
}

const (
	// lookEvery is the shortest interval between look-ups of routes.
	lookEvery = 20 * time.Millisecond
	// leaderless is the interval at which the leader of a partition that has none is looked up.
	leaderless = 100 * time.Millisecond
	// unknownFor is how long a topic that metadata has may be unknown to the broker that is
	// asked, which lags by a moment. After it the topic was deleted.
	unknownFor = 5 * time.Second
	// askTimeout bounds a look-up.
	askTimeout = 30 * time.Second
)

func newRouter(p *Producer) *router {
	return &router{
		producer: p, wake: make(chan struct{}, 1), topics: make(map[string]*topic), parked: make(map[*partition]struct{}),
		wanted: make(map[*topic]struct{}), current: producerEpoch{id: -1}, idle: idleTopics, nextTidy: time.Now().Add(tidyEvery),
	}
}

// topic returns the topic of that name with n partitions at least, which is looked up if it is
// new. The caller ends its use of the topic by [topic.leave].
func (r *router) topic(name string, n int32) (*topic, []*partition) {
	r.mu.Lock()
	t := r.topics[name]
	if known := t != nil && t.gone.Load() == nil; known {
		t.enter()
		r.mu.Unlock()
	} else {
		r.mu.Unlock()
		t = r.begin(name, t, (*topic).enter)
	}
	fresh := len(*t.partitions.Load()) < int(n)
	all := t.first(n)
	if fresh {
		r.lookUp(t)
	}
	return t, all
}

// all returns all topics.
func (r *router) all() []*topic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.topics))
}

// begin makes a topic in place of a former one of that name, or of none, unless another request
// has. It calls enter, if not nil, before the router can forget the topic.
func (r *router) begin(name string, former *topic, enter func(*topic)) *topic {
	epochs := former.epochs()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.topics == nil { // the producer is closed
		t, err := newTopic(r.producer, name), kgo.ErrClientClosed
		t.gone.Store(&err)
		return t
	}
	t := r.topics[name]
	if t == nil || t == former {
		t = newTopic(r.producer, name)
		t.former = epochs
		r.topics[name] = t
	}
	if enter != nil {
		enter(t)
	}
	return t
}

// lookUp has the leaders of a topic looked up soon.
func (r *router) lookUp(t *topic) {
	r.want(t)
	r.ring()
}

// park looks after a partition until it can send.
func (r *router) park(p *partition) {
	r.keep(p)
	r.ring()
}

// keep is park for who looks at the partition already.
func (r *router) keep(p *partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parked[p] = struct{}{}
}

func (r *router) ring() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// identity returns the producer id and its epoch for who begins with it; the id is -1 until there
// is one.
func (r *router) identity() producerEpoch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// renew has the next look-up replace the id whose epochs are used up.
func (r *router) renew(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current.id == id {
		r.current = producerEpoch{id: -1}
	}
}

// run ends with the producer's context.
func (r *router) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-r.producer.ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		now := time.Now()
		next := earlier(r.review(now), r.look(now))
		r.tidy(now)
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// review looks at all parked partitions, and returns when to do so again.
func (r *router) review(now time.Time) time.Time {
	r.mu.Lock()
	all := make([]*partition, 0, len(r.parked))
	for p := range r.parked {
		all = append(all, p)
	}
	clear(r.parked)
	r.mu.Unlock()
	next := now.Add(time.Second)
	for _, p := range all {
		done, again := p.review(now)
		if done {
			continue
		}
		r.keep(p)
		next = earlier(next, again)
		if p.leader.Load() != nil {
			continue
		}
		if again := time.Unix(0, p.topic.looked.Load()).Add(leaderless); again.After(now) {
			next = earlier(next, again)
		} else {
			r.want(p.topic)
		}
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// want is lookUp without ringing.
func (r *router) want(t *topic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted[t] = struct{}{}
}

// look begins the look-up of all wanted topics if it is time, and returns when to try again.
func (r *router) look(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wanted) == 0 || r.looking {
		return now.Add(time.Hour)
	}
	if now.Before(r.nextLook) {
		return r.nextLook
	}
	topics := make([]*topic, 0, len(r.wanted))
	for t := range r.wanted {
		topics = append(topics, t)
	}
	clear(r.wanted)
	r.looking, r.nextLook = true, now.Add(lookEvery)
	r.producer.tasks.Go(func() { r.find(topics) }) // ends with the library's time-out at the latest
	return now.Add(time.Hour)
}

// find looks the topics up.
func (r *router) find(topics []*topic) {
	ctx, cancel := context.WithTimeout(r.producer.ctx, askTimeout)
	defer cancel()
	nameless := r.identify(ctx)
	err := nameless
	if err == nil {
		err = r.locate(ctx, topics)
	}
	r.mu.Lock()
	r.looking = false
	if err == nil {
		r.fails = 0
	} else {
		r.fails++
		r.nextLook = time.Now().Add(kafka.Backoff(r.fails))
		for _, t := range topics {
			r.wanted[t] = struct{}{}
		}
	}
	r.mu.Unlock()
	if isFatal(err) {
		for _, t := range topics {
			t.refuse(err)
		}
	}
	if isFatal(nameless) {
		for _, t := range r.all() {
			t.refuseNameless(nameless)
		}
	}
	r.ring()
}

// isFatal reports whether a broker refused a look-up for good, so that nothing can be written.
// That a broker failed at it says nothing of the next look-up, though Kafka does not count that
// error among those to retry.
func isFatal(err error) bool {
	var code *kerr.Error
	return errors.As(err, &code) && !code.Retriable && !errors.Is(err, kerr.UnknownServerError)
}

// identify gets a producer id, unless there is one or none is needed.
func (r *router) identify(ctx context.Context) error {
	if !r.producer.settings.Idempotent || r.identity().id >= 0 {
		return nil
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	resp, err := r.producer.client.Ask(ctx, req)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.InitProducerIDResponse).ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("cannot get a producer id: %w", err)
	}
	got := resp.(*kmsg.InitProducerIDResponse)
	r.mu.Lock()
	r.current = producerEpoch{got.ProducerID, got.ProducerEpoch}
	r.mu.Unlock()
	return nil
}

// locate asks any broker for the leaders of topics.
func (r *router) locate(ctx context.Context, topics []*topic) error {
	req := kmsg.NewPtrMetadataRequest()
	byName := make(map[string]*topic, len(topics))
	for _, t := range topics {
		t.looked.Store(time.Now().UnixNano())
		byName[t.name] = t
		of := kmsg.NewMetadataRequestTopic()
		of.Topic = kmsg.StringPtr(t.name)
		req.Topics = append(req.Topics, of)
	}
	resp, err := r.producer.client.Ask(ctx, req)
	if err != nil {
		return fmt.Errorf("cannot look up leaders: %w", err)
	}
	for i := range resp.(*kmsg.MetadataResponse).Topics {
		found := &resp.(*kmsg.MetadataResponse).Topics[i]
		if found.Topic == nil || byName[*found.Topic] == nil {
			continue
		}
		byName[*found.Topic].located(found)
	}
	return nil
}

// located takes what a broker says of the topic.
func (t *topic) located(found *kmsg.MetadataResponseTopic) {
	err := kerr.ErrorForCode(found.ErrorCode)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		t.missing(err)
		return
	case isFatal(err):
		t.refuse(err)
		return
	case err != nil:
		return
	}
	if id := found.TopicID; id != [16]byte{} {
		if known := t.id.Load(); known == nil {
			t.id.Store(&id)
		} else if *known != id {
			t.succeeded(len(found.Partitions))
			return
		}
	}
	t.lack.Store(0)
	t.told = len(found.Partitions)
	all := *t.partitions.Load()
	for _, p := range all[min(len(found.Partitions), len(all)):] {
		p.missing()
	}
	for i := range found.Partitions {
		if f := &found.Partitions[i]; f.Partition >= 0 && int(f.Partition) < len(all) {
			all[f.Partition].located(f)
		}
	}
}

// maxRewinds is how many look-ups may name an epoch that is lower than one that was known.
const maxRewinds = 5

// located takes what a broker says of the partition, unless another broker has named a leader of
// a higher epoch meanwhile. A broker that lags catches up; if several look-ups name the lower
// epoch, the topic was deleted and created again, and counts anew. Where topics have no ids (before
// Kafka 2.8) nothing else tells so, and otherwise the node would ask the former leader without end.
func (p *partition) located(f *kmsg.MetadataResponseTopicPartition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.LeaderEpoch < p.leaderEpoch && f.LeaderEpoch >= 0 {
		if p.rewinds++; p.rewinds < maxRewinds {
			return
		}
	}
	p.rewinds = 0
	if f.Leader < 0 {
		p.leader.Store(nil)
		return
	}
	p.lack = time.Time{}
	s := p.topic.producer.sender(f.Leader)
	if p.leader.Swap(s) != s {
		p.until = time.Time{}
	}
	p.leaderEpoch = f.LeaderEpoch
	p.list(time.Now())
}

// missing notes that the topic does not have the partition, which metadata has. A broker may lag.
func (p *partition) missing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := time.Now(); {
	case p.lack.IsZero():
		p.lack = now
	case now.Sub(p.lack) >= unknownFor && p.out == 0:
		p.failQueue(kafka.ErrNoPartition)
	}
}

// missing notes that the topic is not known. A broker may lag; after a while it does not exist.
func (t *topic) missing(err error) {
	now := time.Now()
	if t.lack.CompareAndSwap(0, now.UnixNano()) {
		return
	}
	if now.Sub(time.Unix(0, t.lack.Load())) >= unknownFor {
		t.end(err)
	}
}

// refuse fails what waits, and nothing that comes later.
func (t *topic) refuse(err error) {
	for _, p := range *t.partitions.Load() {
		p.mu.Lock()
		if p.out == 0 {
			p.failQueue(err)
		}
		p.mu.Unlock()
	}
}

// refuseNameless is refuse for what waits for an id of the producer.
func (t *topic) refuseNameless(err error) {
	for _, p := range *t.partitions.Load() {
		p.mu.Lock()
		if p.out == 0 && p.producer.id < 0 {
			p.failQueue(err)
		}
		p.mu.Unlock()
	}
}
