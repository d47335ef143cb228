package consumer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// patternRefresh is how soon a new topic is found to match a pattern. A
// pattern has the client ask for all topics of the cluster, so it is not less.
const patternRefresh = 3 * time.Second

// Subscribe makes the instance a member of its group for these topics, in
// place of those it had before; with the same topics nothing happens, and with
// none it unsubscribes. Topics need not exist yet. Errors:
// [apierr.IllegalState] where there is an assignment, [apierr.Unprocessable]
// for an empty name, [apierr.Unauthorized] for a reserved topic.
func (i *Instance) Subscribe(ctx context.Context, topics []string) error {
	if len(topics) == 0 {
		return i.Unsubscribe(ctx)
	}
	if slices.Contains(topics, "") {
		return apierr.Unprocessable.New("The name of a topic is empty.")
	}
	if err := i.m.admit(slices.Values(topics)); err != nil {
		return err
	}
	topics = slices.Compact(slices.Sorted(slices.Values(topics)))
	return i.subscribe(ctx, topics, "")
}

// SubscribePattern is [Instance.Subscribe] for all topics, present and future,
// whose whole name matches the regular expression (RE2 syntax), Kafka's
// internal ones and the reserved ones aside. Errors: [apierr.Unprocessable] for one
// that is none, or compiles to too much.
func (i *Instance) SubscribePattern(ctx context.Context, pattern string) error {
	if err := checkPattern(pattern); err != nil {
		return err
	}
	return i.subscribe(ctx, nil, pattern)
}

func (i *Instance) subscribe(ctx context.Context, topics []string, pattern string) error {
	ctx, done, err := i.beginChange(ctx)
	if err != nil {
		return err
	}
	defer done()

	i.mu.Lock()
	now := i.session
	i.mu.Unlock()
	if now != nil { // its subscription never changes, so mu is not needed
		if !now.subscribed() {
			return apierr.IllegalState.New("Partitions are assigned to this consumer instance by hand. A subscription and an assignment exclude each other; remove the assignment first.")
		}
		if now.same(topics, pattern) {
			return i.record(ctx) // joining again would only stall the group
		}
	}
	next := newSession(i)
	next.topics, next.pattern = topics, pattern
	return i.replaceSession(ctx, next)
}

// Unsubscribe ends the subscription, and an assignment as well (as Kafka's own
// consumer does). Without either nothing happens.
func (i *Instance) Unsubscribe(ctx context.Context) error {
	ctx, done, err := i.beginChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	return i.replaceSession(ctx, nil)
}

// Subscription returns the names of the topics subscribed to, sorted; those
// that match at the moment for a pattern. Without a subscription it is empty.
func (i *Instance) Subscription() ([]string, error) {
	if err := i.beginCall(); err != nil {
		return nil, err
	}
	defer i.endCall()
	i.mu.Lock()
	defer i.mu.Unlock()
	switch s := i.session; {
	case s == nil:
		return nil, nil
	case s.pattern != "":
		return slices.Sorted(slices.Values(s.client.GetConsumeTopics())), nil
	default:
		return slices.Clone(s.topics), nil
	}
}

// IsSubscribed reports whether the instance has a subscription: by a pattern, or by names.
func (i *Instance) IsSubscribed(byPattern bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.session
	return s != nil && s.subscribed() && (s.pattern != "") == byPattern
}

// Topics returns the topics that a read of the instance may have records of: those of its
// subscription or assignment.
func (i *Instance) Topics() ([]string, error) {
	i.mu.Lock()
	subscribed := i.session == nil || i.session.subscribed()
	i.mu.Unlock()
	if subscribed {
		return i.Subscription()
	}
	tps, err := i.Assignment()
	if err != nil {
		return nil, err
	}
	topics := make([]string, len(tps))
	for n, tp := range tps {
		topics[n] = tp.Topic
	}
	return slices.Compact(topics), nil // they are sorted
}

// join builds the client of a subscription, which begins to join the group in
// the background. The caller holds the instance's mu.
func (s *session) join() error {
	i := s.inst
	opts := []kgo.Opt{
		kgo.ConsumerGroup(i.group),
		kgo.DisableAutoCommit(), // see package doc: the library commits what was polled
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(s.onAssigned),
		kgo.OnPartitionsRevoked(s.onRevoked),
		kgo.OnPartitionsLost(s.onLost),
		kgo.AdjustFetchOffsetsFn(s.startAt),
		kgo.WithHooks(&s.joins),
	}
	if id := i.memberID(); id != "" {
		opts = append(opts, kgo.InstanceID(id), kgo.WithHooks(fenceHook{s}))
	}
	if s.pattern == "" {
		opts = append(opts, kgo.ConsumeTopics(s.topics...))
	} else {
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(whole(s.pattern)), kgo.MetadataMaxAge(patternRefresh))
		if hidden := i.m.unmatched(); len(hidden) > 0 {
			opts = append(opts, kgo.ConsumeExcludeTopics(hidden...))
		}
	}
	if err := s.newClient(opts...); err != nil {
		return err
	}
	s.pause(s.client.GetConsumeTopics()) // until it is read
	return nil
}

// onAssigned is called by kgo with what a rebalance added.
func (s *session) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	rebalanced(&s.inst.m.counts.assigned, added)
	s.inst.mu.Lock()
	defer s.inst.mu.Unlock()
	for tp := range each(added) {
		s.parts[tp] = newPartition(tp)
	}
	s.between = false
	s.setJoined(true)
	if s.parked {
		s.pause(slices.Collect(maps.Keys(added))) // of a pattern, they may be new
	}
}

// startAt is called by kgo, after onAssigned, with the committed offsets of what
// was added, and returns where to start: an exact offset for every partition,
// because it becomes the session's position, and without an epoch, so that the
// client reads from there without asking for the epoch's end first. kgo takes a
// seek from here on: it keeps the offset of a SetOffsets that comes before the
// start over the offset returned here.
func (s *session) startAt(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	i := s.inst
	starts := make(map[TopicPartition]int64)
	ask := make(map[TopicPartition]int64)
	for topic, partitions := range offsets {
		for n, o := range partitions {
			tp := TopicPartition{Topic: topic, Partition: n}
			if starts[tp] = o.EpochOffset().Offset; starts[tp] < 0 { // nothing committed
				starts[tp] = -1
				ask[tp] = i.opts.resetTime()
			}
		}
	}
	listed, err := i.offsetsOfAssigned(ctx, ask)
	if err != nil {
		s.holdBack(ctx)
		return nil, err
	}
	s.starts = 0
	if i.placeAt(s, starts, listed, offsets) {
		i.recordLater()
	}
	return offsets, nil
}

// holdBack waits before the client is told that startAt failed. With group.protocol=consumer the
// client asks the coordinator for the committed offsets again and calls startAt, without a pause of
// its own when a connection was refused. Otherwise an instance asks thousands of times a second for
// as long as the leader of a partition is down.
func (s *session) holdBack(ctx context.Context) {
	s.starts++
	select {
	case <-time.After(kafka.Backoff(s.starts)):
	case <-ctx.Done():
	}
}

const (
	// addedPause is the pause between two looks at a partition that was added just now, addedLooks
	// how many there are.
	addedPause = 250 * time.Millisecond
	addedLooks = 20
)

// offsetsOfAssigned returns offsets of partitions that the group has assigned, so that they exist.
// The client that asks may not have heard of one that was added just now, and asks again then: a
// read would be answered with 404 otherwise, once.
func (i *Instance) offsetsOfAssigned(ctx context.Context, ask map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	for n := 1; ; n++ {
		listed, err := i.cluster().offsetsAt(ctx, i.opts.IsolationLevel, ask)
		if n == addedLooks || !apierr.PartitionNotFound.Is(err) {
			return listed, err
		}
		select {
		case <-time.After(addedPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// placeAt does the work of place once it is known what the group has committed
// and where the log begins or ends. It is true when that is news for the directory.
func (i *Instance) placeAt(s *session, starts, listed map[TopicPartition]int64, offsets map[string]map[int32]kgo.Offset) (news bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for tp, committed := range starts {
		p := s.parts[tp]
		if p == nil {
			continue
		}
		if p.start < 0 { // else a seek has come first
			news = i.begin(p, committed, listed[tp]) || news
			if p.blocked != nil && i.pollCancel != nil {
				i.pollCancel() // no records will come to end it
			}
		}
		p.placed, p.stored = true, committed
		offsets[tp.Topic][tp.Partition] = kgo.NewOffset().At(p.position())
	}
	return news
}

// fenceHook ends a session whose static membership was taken over by another
// node. The client would join again, and take it back.
type fenceHook struct{ s *session }

// OnGroupManageError implements [kgo.HookGroupManageError].
func (h fenceHook) OnGroupManageError(err error) {
	if errors.Is(err, kerr.FencedInstanceID) {
		h.s.die()
		m := h.s.inst.m
		go func() { // the library waits for us
			m.mu.Lock()
			defer m.mu.Unlock()
			m.discard(h.s.inst)
		}()
	}
}

// resetTime is what to ask the log for where the group has committed nothing.
func (o *InstanceOptions) resetTime() int64 {
	if o.OffsetReset == latest {
		return kafka.EndOfLog
	}
	return kafka.StartOfLog
}

// onRevoked is called by kgo before partitions go to another member. Their records that are
// still in the backlog are that member's to answer. They go to it when onRevoked returns.
func (s *session) onRevoked(ctx context.Context, _ *kgo.Client, gone map[string][]int32) {
	rebalanced(&s.inst.m.counts.revoked, gone)
	i := s.inst
	c := s.forget(gone, false)
	i.recordLater()
	// Not bound by the life of the instance: at its end what was confirmed is still committed.
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	defer context.AfterFunc(i.m.life, cancel)()
	if len(c.entries) > 0 && s.awaitRevoking(ctx) {
		defer func() { <-i.commits }()
		if err := i.send(ctx, c); err != nil {
			i.m.log.Warn("cannot commit revoked partitions", "group", i.group, "instance", i.opts.Name, "err", err)
		}
		return
	}
	i.mu.Lock()
	ended := s.ended
	i.mu.Unlock()
	if !ended || len(gone) == 0 {
		return
	}
	select { // the last commit of the session has them, too
	case <-s.final:
	case <-ctx.Done():
	}
}

// awaitRevoking takes i.commits for the commit of what is revoked, until ctx ends. It is false
// when the session has ended: its last commit has that too.
func (s *session) awaitRevoking(ctx context.Context) bool {
	i := s.inst
	taken := false
	select {
	case i.commits <- struct{}{}:
		taken = true
	case <-s.over:
	case <-ctx.Done():
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	s.revoking = nil
	if taken && s.ended {
		<-i.commits
		taken = false
	}
	return taken
}

// onLost is called by kgo when the group has given the partitions away already.
func (s *session) onLost(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	rebalanced(&s.inst.m.counts.lost, gone)
	s.inst.mu.Lock()
	s.setJoined(false)
	s.inst.mu.Unlock()
	s.forget(gone, true)
	s.inst.recordLater()
}

// forget takes partitions out of the session and returns the commit of what was confirmed of
// them, empty where they are lost already, there is no auto-commit, or the session ended.
func (s *session) forget(gone map[string][]int32, lost bool) *commit {
	i := s.inst
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &commit{session: s, revoked: true}
	if s.ended {
		return c
	}
	i.commitSeq++
	c.seq = i.commitSeq
	for tp := range each(gone) {
		s.between = true // onAssigned comes next, and has all of them again where the protocol is eager
		p := s.parts[tp]
		if p == nil {
			continue
		}
		if i.opts.AutoCommit && !lost {
			c.add(p, p.confirmed)
		}
		delete(s.parts, tp)
		delete(i.positions, tp)
	}
	s.backlog.drop(func(p *partition) bool { return s.parts[p.TopicPartition] != p })
	if len(c.entries) > 0 {
		s.revoking = c
	}
	return c
}

// each goes through the partitions of kgo's way to list them.
func each(m map[string][]int32) func(func(TopicPartition) bool) {
	return func(yield func(TopicPartition) bool) {
		for topic, partitions := range m {
			for _, n := range partitions {
				if !yield(TopicPartition{Topic: topic, Partition: n}) {
					return
				}
			}
		}
	}
}
