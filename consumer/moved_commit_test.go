package consumer

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// refuseCommits answers a commit with an error for each partition.
func refuseCommits(req *kmsg.OffsetCommitRequest, why *kerr.Error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, why.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// A commit that is repeated after a rebalance leaves out what has moved to another member, which
// may be further on. Of an offset that the client has named it is told.
func TestRepeatedCommitLeavesOutWhatHasMoved(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(topic string) []Offset{
		"all that was answered": func(string) []Offset { return nil },
		"named": func(topic string) []Offset {
			return []Offset{{TopicPartition{Topic: topic, Partition: 0}, 4, ""}, {TopicPartition{Topic: topic, Partition: 1}, 4, ""}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := testkit.Fake(t)
			topic := testkit.CreateTopic(t, f.Broker, 2)
			produce(t, f.Broker, numbers(topic, 0, 0, 5)...)
			produce(t, f.Broker, numbers(topic, 1, 0, 5)...)
			m := newManager(t, f.Broker, nil)
			one := create(t, m, testkit.Group(t), jsonOptions(m))
			ok(t, one.Subscribe(t.Context(), []string{topic}))
			readN(t, one, 10)

			member, _ := one.session.client.GroupMetadata()
			var moved atomic.Bool
			refused := make(chan struct{}, 1)
			f.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
				f.KeepControl()
				commit := req.(*kmsg.OffsetCommitRequest)
				if commit.MemberID != member || moved.Load() {
					return nil, nil, false
				}
				select {
				case refused <- struct{}{}:
				default:
				}
				return refuseCommits(commit, kerr.RebalanceInProgress), nil, true
			})
			done := make(chan error, 1)
			go func() { done <- one.Commit(t.Context(), of(topic)) }()
			<-refused
			two := create(t, m, one.Group(), jsonOptions(m))
			ok(t, two.Subscribe(t.Context(), []string{topic}))
			testkit.Eventually(t, patience, "the partitions are shared", func() bool { return len(assigned(t, two)) == 1 })
			at := assigned(t, two)[0]
			ok(t, two.Commit(t.Context(), []Offset{{at, 8, ""}}))
			moved.Store(true)
			switch err := <-done; {
			case of(topic) == nil:
				ok(t, err)
			default:
				wantKind(t, err, apierr.IllegalState)
			}
			kept := TopicPartition{Topic: topic, Partition: 1 - at.Partition}
			if theirs, ours := committedRaw(t, f.Broker, one.Group(), at), committedRaw(t, f.Broker, one.Group(), kept); theirs != 9 || ours != 5 {
				t.Errorf("the group has %d of the partition that moved and %d of the other, want 9 and 5", theirs, ours)
			}
		})
	}
}

// awaitingTurn asks for a commit of all that was answered and holds it until the returned
// function, which waits for its end, is called.
func awaitingTurn(t *testing.T, i *Instance) (end func() error) {
	t.Helper()
	i.commits <- struct{}{}
	done := make(chan error, 1)
	go func() { done <- i.Commit(t.Context(), nil) }()
	testkit.Eventually(t, patience, "the commit waits", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.busy > 0
	})
	return func() error { <-i.commits; return <-done }
}

// A member that the group has dropped, and that has yet to join again, commits when it has: what
// it has read is nobody else's.
func TestCommitOfAMemberThatWasDropped(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	produce(t, f.Broker, numbers(topic, 0, 0, 5)...)
	m := newManager(t, f.Broker, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	readN(t, i, 5)
	end := awaitingTurn(t, i)
	f.ControlKey(int16(kmsg.SyncGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
	i.session.client.ForceRebalance()
	testkit.Eventually(t, patience, "the member is dropped", func() bool { return m.counts.lost.Load() > 0 && len(assigned(t, i)) == 0 })
	ok(t, end())
	if at := committedRaw(t, f.Broker, i.Group(), TopicPartition{Topic: topic, Partition: 0}); at != 5 {
		t.Errorf("the group has %d, want 5", at)
	}
}

// A partition that went to another member and came back is where that member has left it.
func TestCommitLeavesOutWhatHasMovedAndComeBack(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	produce(t, b, numbers(topic, 0, 0, 5)...)
	produce(t, b, numbers(topic, 1, 0, 5)...)
	m := newManager(t, b, nil)
	one := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, one.Subscribe(t.Context(), []string{topic}))
	readN(t, one, 10)
	end := awaitingTurn(t, one)
	two := create(t, m, one.Group(), jsonOptions(m))
	ok(t, two.Subscribe(t.Context(), []string{topic}))
	testkit.Eventually(t, patience, "the partitions are shared", func() bool { return len(assigned(t, two)) == 1 })
	at := assigned(t, two)[0]
	ok(t, two.Commit(t.Context(), []Offset{{at, 8, ""}}))
	ok(t, m.Delete(t.Context(), two.Group(), two.Name()))
	testkit.Eventually(t, patience, "the partition is back", func() bool { return len(assigned(t, one)) == 2 })
	ok(t, end())
	kept := TopicPartition{Topic: topic, Partition: 1 - at.Partition}
	if moved, ours := committedRaw(t, b, one.Group(), at), committedRaw(t, b, one.Group(), kept); moved != 9 || ours != 5 {
		t.Errorf("the group has %d of the partition that came back and %d of the other, want 9 and 5", moved, ours)
	}
}
