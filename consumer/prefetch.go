package consumer

import (
	"context"
	"maps"
	"math/bits"
	"runtime/debug"
	"slices"
	"time"

	"millrace/internal/kafka"
)

// Each subscription and assignment has a Kafka client of its own, which fetches
// ahead for as long as it may. That is what makes a client that reads in a loop
// fast, and what would fill the memory with what nobody asks for: a thousand
// instances that nobody reads could hold consumer.fetch.max.bytes each. So one
// that is not read is parked: it fetches nothing, and what it had fetched is
// dropped, to be fetched again. It stays in its group all the same. A new
// subscription is parked until its first read.
const (
	// parkAfter is how long a session goes unread before it is parked.
	parkAfter = 5 * time.Second
	// prefetchBudget is about how much all clients together ask Kafka for ahead:
	// those that are not parked share it, in equal parts. leastPrefetch is what
	// each may ask for all the same. A record batch comes whole, however little
	// is asked for.
	prefetchBudget = 32 << 20
	leastPrefetch  = 16 << 10
	// heldBudget is how much of what was fetched all sessions together may hold, with recordCost
	// for each record beside its bytes. Over it, those that have gone unread longest are parked,
	// beginning with parkSoonest; it is looked for every parkLook. A client that reads in a loop
	// is not parked for a shorter pause.
	heldBudget  = 64 << 20
	recordCost  = 256
	parkSoonest = 100 * time.Millisecond
	parkLook    = 100 * time.Millisecond
	// reclaimBytes is how much parked sessions drop before memory is given back
	// to the system, and reclaimQuiet how long none drops anything before that.
	reclaimBytes = 64 << 20
	reclaimQuiet = 2 * time.Second
)

// unpark has the session's client fetch, as much as is its share. The caller
// holds the instance's mu.
func (s *session) unpark() {
	m := s.inst.m
	if s.parked {
		s.parked = false
		m.fetching.Add(1)
		s.client.ResumeFetchTopics(s.client.PauseFetchTopics()...)
	}
	// In powers of two, so that it seldom changes.
	share := prefetchBudget >> bits.Len64(uint64(max(m.fetching.Load(), 1)-1))
	if share == s.share {
		return
	}
	s.share = share
	each := max(share/max(len(s.client.DiscoveredBrokers()), 1), leastPrefetch)
	s.client.UpdateFetchMaxBytes(min(s.fetchBytes, int32(each)), min(s.partitionBytes, int32(each)))
}

// parkDue returns the session if it is to be parked now because it went unread
// for so long, or was and its client got something that was on its way then;
// otherwise nil. held is what it holds in memory, either way.
func (i *Instance) parkDue(now time.Time, unread time.Duration) (due *session, held int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.session
	if s == nil || s.client == nil || i.closed != nil {
		return nil, 0
	}
	ahead := int(s.client.BufferedFetchRecords())
	held = int(s.client.BufferedFetchBytes()) + s.backlog.bytes + recordCost*(ahead+s.backlog.records)
	if i.busy > 0 || now.Sub(i.lastUsed) < unread || s.parked && ahead == 0 {
		return nil, held
	}
	return s, held
}

// boundPrefetch parks those that have gone unread longest while all together hold more
// than they may.
func (m *Manager) boundPrefetch(now time.Time) {
	if m.fetching.Load() == 0 {
		return
	}
	type reader struct {
		i    *Instance
		held int
		used time.Time
	}
	m.mu.Lock()
	all := m.list()
	m.mu.Unlock()
	var idle []reader
	sum := 0
	for _, i := range all {
		due, held := i.parkDue(now, parkSoonest)
		sum += held
		if due != nil {
			i.mu.Lock()
			idle = append(idle, reader{i, held, i.lastUsed})
			i.mu.Unlock()
		}
	}
	if sum <= heldBudget {
		return
	}
	slices.SortFunc(idle, func(a, b reader) int { return a.used.Compare(b.used) })
	for _, r := range idle {
		if sum <= heldBudget {
			return
		}
		sum -= r.held
		m.background.Go(func() { r.i.park(now, parkSoonest) })
	}
}

// park has the client of a session that is not read fetch no more, and drops
// what it has fetched. The arguments are as for parkDue.
func (i *Instance) park(now time.Time, unread time.Duration) {
	select {
	case i.lease <- struct{}{}:
		defer func() { <-i.lease }()
	default:
		return // it is read
	}
	s, held := i.parkDue(now, unread)
	if s == nil {
		return
	}
	i.m.dropped.Add(int64(held))
	ctx, cancel := i.bound(i.m.life, kafkaTimeout)
	defer cancel()
	i.mu.Lock()
	defer i.mu.Unlock()
	if s.ended || i.holders > 0 {
		return // who holds the polls changes what would be parked
	}
	s.pause(s.topicsRead())
	i.poll(ctx, s, true) // takes off the client what it holds of paused topics
	if err := s.refetch(ctx); err != nil && i.closed == nil {
		i.m.log.Warn("cannot drop what was fetched for a consumer instance that is not read", "group", i.group, "instance", i.opts.Name, "err", err)
	}
}

// reclaim gives memory back to the system when many sessions have been parked. The
// runtime would keep it for long: the heap may grow to twice what it was when the
// most was held, and a process with little to do collects every two minutes only.
type reclaim struct {
	dropped int64     // as seen last
	since   time.Time // when that was new
	done    int64     // dropped as of the last time that memory was given back
}

// due reports whether it is time to. dropped is all that was dropped so far.
func (r *reclaim) due(dropped int64, now time.Time) bool {
	if dropped != r.dropped {
		r.dropped, r.since = dropped, now
	}
	if dropped-r.done < reclaimBytes || now.Sub(r.since) < reclaimQuiet {
		return false
	}
	r.done = dropped
	return true
}

// giveBack is what is done then. It takes the time of a garbage collection.
func giveBack() {
	kafka.EmptyFetchPools()
	debug.FreeOSMemory()
}

// pause has the client fetch nothing of the topics. The caller holds the
// instance's mu.
func (s *session) pause(topics []string) {
	if !s.parked {
		s.parked = true
		s.inst.m.fetching.Add(-1)
	}
	if len(topics) > 0 { // else it would only tell which are paused
		s.client.PauseFetchTopics(topics...)
	}
}

// topicsRead returns the topics that the client is to read.
func (s *session) topicsRead() []string {
	topics := s.client.GetConsumeTopics()
	for tp := range s.parts {
		topics = append(topics, tp.Topic)
	}
	return topics
}

// refetch drops the backlog and has the client go on with what is to be answered
// next. The caller holds the lease and the instance's mu, which is released
// while waiting.
func (s *session) refetch(ctx context.Context) error {
	if s.ended || s.backlog.records == 0 {
		return nil
	}
	s.inst.holdPolls()
	defer s.inst.releasePolls()
	to := make(map[TopicPartition]int64)
	for _, r := range s.backlog.runs {
		to[r.part.TopicPartition] = r.part.position()
	}
	dropped := maps.Clone(to) // placing empties it
	err := s.placeClient(ctx, to)
	if err != nil { // those left in to: the backlog is what the client does not have any more
		maps.DeleteFunc(dropped, func(tp TopicPartition, _ int64) bool { _, left := to[tp]; return left })
	}
	s.backlog.drop(func(p *partition) bool { _, ok := dropped[p.TopicPartition]; return ok })
	return err
}
