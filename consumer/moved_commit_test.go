package consumer

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// refuseCommits answers a commit as Kafka does while it rebalances the group.
func refuseCommits(req *kmsg.OffsetCommitRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, kerr.RebalanceInProgress.Code
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
				return refuseCommits(commit), nil, true
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
