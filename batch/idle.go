package batch

import (
	"math"
	"time"
)

// A topic that no request has named for a while is forgotten, once there are many: topics come and
// go, and a node may run for months. The state that its partitions had with their brokers goes with
// it, but for one thing: a partition that begins anew must not use an epoch of the producer that it
// has used, as the broker would take its first batches for ones that it has, and ack them. So all
// partitions that begin after a topic was forgotten do so with a higher epoch than it had.

const (
	// idleTopics is how many topics are kept however long nothing came for them.
	idleTopics = 1000
	// tidyEvery is the interval at which topics are looked at; one of which nothing was heard for
	// that long, or up to twice as long, is idle.
	tidyEvery = 5 * time.Minute
)

// enter begins a use of the topic; the router holds its lock, so that it does not forget the topic.
func (t *topic) enter() {
	t.uses.Add(1)
	if !t.recent.Load() {
		t.recent.Store(true)
	}
}

// leave ends a use.
func (t *topic) leave() { t.uses.Add(-1) }

// tidy forgets topics that are idle, if there are more than are kept in any case.
func (r *router) tidy(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.nextTidy) {
		return
	}
	r.nextTidy = now.Add(tidyEvery)
	for name, t := range r.topics {
		if t.recent.Swap(false) || len(r.topics) <= r.idle || t.uses.Load() > 0 {
			continue
		}
		// Nobody uses the topic, and none can begin to before r.mu is free.
		epoch, ok := t.lastEpoch(r.current.id)
		if !ok || epoch == math.MaxInt16 {
			continue
		}
		r.current.epoch = max(r.current.epoch, epoch+1)
		delete(r.topics, name)
		delete(r.wanted, t)
	}
}

// lastEpoch returns the highest epoch of a producer id that a partition of the topic has used, or
// that one of a topic of that name did before, and -1 for none. It is not ok while a partition
// is locked: waiting for that lock with the router's held could block all requests.
func (t *topic) lastEpoch(id int64) (epoch int16, ok bool) {
	epoch = -1
	for _, former := range t.former {
		if former.id == id {
			epoch = max(epoch, former.epoch)
		}
	}
	for _, p := range *t.partitions.Load() {
		if !p.mu.TryLock() {
			return 0, false
		}
		if p.producer.id == id {
			epoch = max(epoch, p.producer.epoch)
		}
		busy := p.parked || len(p.queue)+len(p.flight) > 0
		p.mu.Unlock()
		if busy {
			return 0, false
		}
	}
	return epoch, true
}
