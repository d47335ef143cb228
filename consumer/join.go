package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// rejoinPause is the pause after a commit that Kafka refused because the member
// has to join its group anew, which the client library learns by its heartbeats.
const rejoinPause = 100 * time.Millisecond

// awaitJoin waits until the session, which may be nil, is a member of its group or needs not
// be. A request that needs a membership waits for it, as a read does: a client does not see
// when its subscription has taken effect. The error says that it has not until ctx ended.
func (i *Instance) awaitJoin(ctx context.Context, s *session) error {
	if s == nil || !s.subscribed() {
		return nil
	}
	defer context.AfterFunc(ctx, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.changed.Broadcast()
	})()
	i.mu.Lock()
	defer i.mu.Unlock()
	for !s.joined && !s.ended {
		if i.closed != nil {
			return i.closed
		}
		if ctx.Err() != nil {
			return notJoined(ctx.Err())
		}
		i.changed.Wait()
	}
	return nil
}

func notJoined(cause error) error {
	return apierr.KafkaRetriable.Wrap(cause, "The group has not admitted this consumer instance yet, or not again after a rebalance. Try again.")
}

// setJoined notes whether the session is a member of its group. The caller holds
// the instance's mu.
func (s *session) setJoined(joined bool) {
	s.joined = joined
	s.inst.changed.Broadcast()
}

// awaitAssignment waits, for a seek, until the group has assigned partitions to
// the session for the first time. It does not wait for what the subscription
// cannot bring: partitions of another topic, or of one that does not exist.
func (i *Instance) awaitAssignment(ctx context.Context, tps []TopicPartition) error {
	i.mu.Lock()
	s := i.session
	waits := s != nil && s.subscribed() && !s.joined
	i.mu.Unlock()
	if !waits {
		return nil
	}
	for _, tp := range tps {
		if s.pattern == "" && !slices.Contains(s.topics, tp.Topic) {
			return nil
		}
	}
	if len(tps) == 0 { // all that come
		for _, topic := range s.topics {
			tps = append(tps, TopicPartition{Topic: topic})
		}
	}
	absent, err := i.cluster().absent(ctx, tps, nil)
	if err != nil || absent != nil {
		return err
	}
	return i.awaitJoin(ctx, s)
}

// afterJoin has do, which commits c, wait for the membership that it needs, and
// repeats it when Kafka does not know the member any more, or has begun to
// rebalance the group since.
func (i *Instance) afterJoin(ctx context.Context, c *commit, do func() error) error {
	if c.session == nil || !c.session.subscribed() || len(c.entries) == 0 {
		return do()
	}
	i.mu.Lock()
	joined := c.session.joined
	i.mu.Unlock()
	if !joined {
		absent, err := i.cluster().absent(ctx, c.partitions(), nil)
		if absent != nil {
			return absent
		}
		if err != nil {
			return err
		}
	}
	for {
		if err := i.awaitJoin(ctx, c.session); err != nil {
			return err
		}
		err := do()
		if !needsRejoin(err) {
			return err
		}
		select {
		case <-time.After(rejoinPause):
		case <-ctx.Done():
			return notJoined(err)
		}
	}
}

// needsRejoin reports whether Kafka refused a member's commit for a reason that
// the member gets over by joining its group anew.
func needsRejoin(err error) bool {
	for _, passing := range []error{kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch, kerr.FencedMemberEpoch} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}
