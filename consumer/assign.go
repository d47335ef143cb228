package consumer

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
)

// Assign has the instance read these partitions, in place of those it had
// before, without membership in its group; none ends the assignment.
// Partitions that it keeps keep their position; others start at the group's
// committed offset or where the reset policy says, fixed now; a topic that does
// not exist yet starts at 0. Errors: [apierr.IllegalState] where there is a
// subscription, [apierr.PartitionNotFound], and what Kafka said.
func (i *Instance) Assign(ctx context.Context, tps []TopicPartition) error {
	if err := i.m.admitPartitions(slices.Values(tps)); err != nil {
		return err
	}
	ctx, done, err := i.beginChange(ctx)
	if err != nil {
		return err
	}
	defer done()

	i.mu.Lock()
	now := i.session
	i.mu.Unlock()
	if now != nil && now.subscribed() {
		return apierr.IllegalState.New("This consumer instance has a subscription. A subscription and an assignment exclude each other; delete the subscription first.")
	}
	if len(tps) == 0 {
		return i.replaceSession(ctx, nil)
	}
	next := newSession(i)
	fresh := make([]TopicPartition, 0, len(tps))
	for _, tp := range tps {
		next.parts[tp] = newPartition(tp)
		if now == nil || now.parts[tp] == nil { // only we change the parts of an assignment
			fresh = append(fresh, tp)
		}
	}
	if err := i.startAssigned(ctx, next, fresh); err != nil {
		return i.explain(err)
	}
	return i.replaceSession(ctx, next)
}

// startAssigned finds out where the partitions start that were not assigned before. Asking the log
// for each of them shows that they exist.
func (i *Instance) startAssigned(ctx context.Context, next *session, fresh []TopicPartition) error {
	if len(fresh) == 0 {
		return nil
	}
	ask := make(map[TopicPartition]int64, len(fresh))
	for _, tp := range fresh {
		ask[tp] = i.opts.resetTime()
	}
	ends, err := i.cluster().offsetsAt(ctx, i.opts.IsolationLevel, ask)
	if apierr.TopicNotFound.Is(err) {
		ends, err = i.cluster().offsetsOfPresent(ctx, i.opts.IsolationLevel, ask)
	}
	if err != nil {
		return err
	}
	committed, err := i.cluster().committed(ctx, i.group, fresh)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for tp, at := range ends {
		p := next.parts[tp]
		p.placed = true
		if o, ok := committed[tp]; ok {
			i.begin(p, o.Offset, at)
		} else {
			i.begin(p, -1, at)
		}
	}
	return nil
}

// adopt takes over the partitions that a former assignment had as well, with
// all that is known of them. The caller holds the instance's mu.
func (s *session) adopt(former *session) {
	for tp := range s.parts {
		if p := former.parts[tp]; p != nil && !p.outlived {
			s.parts[tp] = p
		}
	}
	s.page = former.page
}

// Assignment returns the partitions that the instance reads, sorted: those
// assigned by hand, or those that the group gave it so far.
func (i *Instance) Assignment() ([]TopicPartition, error) {
	if err := i.beginCall(); err != nil {
		return nil, err
	}
	defer i.endCall()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.session == nil {
		return nil, nil
	}
	return i.session.sorted(), nil
}

// open makes sure that the session has a client. That of an assignment is
// built at the first read, when the seeks that usually come before it are
// done. The caller holds the instance's mu.
func (s *session) open() error {
	if s.client != nil {
		return nil
	}
	starts := make(map[string]map[int32]kgo.Offset)
	for tp, p := range s.parts {
		addOffset(starts, tp, p.position())
	}
	return s.newClient(kgo.ConsumePartitions(starts))
}

func addOffset(to map[string]map[int32]kgo.Offset, tp TopicPartition, at int64) {
	if to[tp.Topic] == nil {
		to[tp.Topic] = make(map[int32]kgo.Offset)
	}
	to[tp.Topic][tp.Partition] = kgo.NewOffset().At(at)
}
