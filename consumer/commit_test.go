package consumer

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

func TestCommit(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, i *Instance, tp TopicPartition) {
		committed := func() []Offset {
			t.Helper()
			os, err := i.Committed(t.Context(), []TopicPartition{tp, {Topic: tp.Topic, Partition: 7}, {Topic: "no-such-topic", Partition: 0}, tp})
			ok(t, err)
			return os
		}
		want := func(offset int64, metadata string) {
			t.Helper()
			if got := committed(); !slices.Equal(got, []Offset{{tp, offset, metadata}}) {
				t.Fatalf("committed is %v, want %d %q", got, offset, metadata)
			}
		}
		if os := committed(); len(os) != 0 {
			t.Fatalf("committed before any commit: %v", os)
		}
		ok(t, i.Commit(t.Context(), nil)) // nothing was answered
		if os := committed(); len(os) != 0 {
			t.Fatalf("committed before any answer: %v", os)
		}
		// Ten are fetched, four answered.
		wantValues(t, read(t, i, ReadOptions{MaxBytes: 4}), span(0, 4))
		ok(t, i.Commit(t.Context(), nil))
		want(4, "")

		ok(t, i.Commit(t.Context(), []Offset{{tp, 7, "note"}}))
		want(8, "note")
		ok(t, i.Commit(t.Context(), []Offset{})) // none given is not all
		want(8, "note")
		wantKind(t, i.Commit(t.Context(), []Offset{{tp, -1, ""}}), apierr.Unprocessable)
		wantKind(t, i.Commit(t.Context(), []Offset{{tp, math.MaxInt64, ""}}), apierr.Unprocessable) // has no next one
		want(8, "note")

		wantValues(t, readN(t, i, 6), span(4, 6))
		ok(t, i.CommitAsync(nil))
		testkit.Eventually(t, patience, "the asynchronous commit arrives", func() bool { os := committed(); return len(os) == 1 && os[0].Offset == 10 })
		ok(t, i.CommitAsync([]Offset{{tp, 2, ""}}))
		testkit.Eventually(t, patience, "the asynchronous commit arrives", func() bool { os := committed(); return len(os) == 1 && os[0].Offset == 3 })
		ok(t, i.Commit(t.Context(), nil)) // all that was answered, though that was committed once
		want(10, "")
		wantKind(t, i.CommitAsync([]Offset{{tp, -5, ""}}), apierr.Unprocessable)

		// A seek is a position, too.
		ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: 5}}, nil))
		ok(t, i.Commit(t.Context(), nil))
		want(5, "")
	})
}

func TestCommitWithoutASession(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Commit(t.Context(), nil))
	ok(t, i.Commit(t.Context(), []Offset{{TopicPartition{Topic: topic, Partition: 0}, 4, ""}}))
	if at := committedRaw(t, b, i.Group(), TopicPartition{Topic: topic, Partition: 0}); at != 5 {
		t.Errorf("committed %d, want 5", at)
	}
}

func TestCommitToWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, i *Instance, tp TopicPartition) {
		wantKind(t, i.Commit(t.Context(), []Offset{{tp, 1, ""}, {TopicPartition{Topic: tp.Topic, Partition: 7}, 1, ""}}), apierr.PartitionNotFound)
		wantKind(t, i.Commit(t.Context(), []Offset{{TopicPartition{Topic: testkit.Topic(t), Partition: 0}, 1, ""}}), apierr.TopicNotFound)
	})
}

func TestAutoCommitCommitsWhatIsConfirmed(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 9)...)
	m := newManager(t, b, func(s *Settings) { s.AutoCommitInterval = 20 * time.Millisecond })
	o := jsonOptions(m)
	o.AutoCommit = true
	for _, how := range []string{"assignment", "subscription"} {
		t.Run(how, func(t *testing.T) {
			i := create(t, m, testkit.Group(t), o)
			tp := TopicPartition{Topic: topic, Partition: 0}
			if how == "assignment" {
				ok(t, i.Assign(t.Context(), []TopicPartition{tp}))
			} else {
				ok(t, i.Subscribe(t.Context(), []string{topic}))
			}
			wantValues(t, read(t, i, ReadOptions{MaxBytes: 3}), span(0, 3))
			if at := committedAfterATick(t, b, i, tp); at != -1 {
				t.Errorf("committed %d of an answer that may not have arrived", at)
			}
			wantValues(t, read(t, i, ReadOptions{MaxBytes: 3}), span(3, 3))
			testkit.Eventually(t, patience, "the first answer is committed", func() bool { return committedRaw(t, b, i.Group(), tp) == 3 })
			if at := committedAfterATick(t, b, i, tp); at != 3 {
				t.Errorf("committed %d of an answer that may not have arrived", at)
			}
		})
	}
}

// committedAfterATick is what Kafka has after auto-commit has looked at i again.
func committedAfterATick(t *testing.T, b testkit.Broker, i *Instance, tp TopicPartition) int64 {
	t.Helper()
	last := func() time.Time { i.mu.Lock(); defer i.mu.Unlock(); return i.lastCommit }
	for range 2 {
		before := last()
		testkit.Eventually(t, patience, "auto-commit looks", func() bool { return last() != before })
	}
	return committedRaw(t, b, i.Group(), tp)
}

func TestRevocationCommitsWhatIsConfirmed(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	produce(t, b, numbers(topic, 0, 0, 9)...)
	produce(t, b, numbers(topic, 1, 0, 9)...)
	m := newManager(t, b, nil) // auto-commit looks once an hour
	o := jsonOptions(m)
	o.AutoCommit = true
	one := create(t, m, testkit.Group(t), o)
	ok(t, one.Subscribe(t.Context(), []string{topic}))
	readN(t, one, 18)
	nothing(t, one) // confirms
	two := create(t, m, one.Group(), o)
	ok(t, two.Subscribe(t.Context(), []string{topic}))
	testkit.Eventually(t, patience, "the partitions are shared", func() bool { return len(assigned(t, two)) == 1 })
	if at := committedRaw(t, b, one.Group(), assigned(t, two)[0]); at != 9 {
		t.Errorf("committed %d for the revoked partition, want 9", at)
	}
	nothing(t, two)
}

func TestCommitFailure(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	m := newManager(t, f.Broker, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	testkit.Eventually(t, patience, "it is assigned", func() bool { return len(assigned(t, i)) == 1 })
	f.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return refuseCommits(req.(*kmsg.OffsetCommitRequest), kerr.TopicAuthorizationFailed), nil, true
	})
	wantKind(t, i.Commit(t.Context(), []Offset{{TopicPartition{Topic: topic, Partition: 0}, 1, ""}}), apierr.Unauthorized)
}

// The answered offset is committed again after an offset of the client's own, though each of
// the three commits was asked for while the one before it was in flight.
func TestCommitAfterOneThatOvertookAnAnswer(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	produce(t, f.Broker, numbers(topic, 0, 0, 10)...)
	i := newReader(t, newManager(t, f.Broker, nil), topic, 1)
	tp := TopicPartition{Topic: topic, Partition: 0}
	wantValues(t, readN(t, i, 10), span(0, 10))
	var requests atomic.Int32
	f.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		switch requests.Add(1) {
		case 1:
			ok(t, i.CommitAsync([]Offset{{tp, 2, ""}}))
		case 2:
			ok(t, i.CommitAsync(nil))
		}
		return nil, nil, false
	})
	ok(t, i.Commit(t.Context(), nil))
	testkit.Eventually(t, patience, "the third commit", func() bool { return requests.Load() == 3 && committedRaw(t, f.Broker, i.Group(), tp) == 10 })
}

// TestLateCommitDoesNotUndoALaterOne holds up a commit before it is sent and
// lets one that was asked for after it go first.
func TestLateCommitDoesNotUndoALaterOne(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	i := newReader(t, newManager(t, b, nil), topic, 1)
	tp := TopicPartition{Topic: topic, Partition: 0}
	early, err := i.askCommit(t.Context(), []Offset{{tp, 1, ""}})
	ok(t, err)
	defer i.endCall()
	ok(t, i.Commit(t.Context(), []Offset{{tp, 5, ""}}))
	ok(t, i.issue(t.Context(), early))
	if at := committedRaw(t, b, i.Group(), tp); at != 6 {
		t.Errorf("committed %d, want 6", at)
	}
}

// A commit that was overtaken by one that failed is made, late as it is.
func TestLateCommitAfterALaterOneThatFailed(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	i := newReader(t, newManager(t, f.Broker, nil), topic, 1)
	tp := TopicPartition{Topic: topic, Partition: 0}
	early, err := i.askCommit(t.Context(), []Offset{{tp, 1, ""}})
	ok(t, err)
	defer i.endCall()
	f.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return refuseCommits(req.(*kmsg.OffsetCommitRequest), kerr.TopicAuthorizationFailed), nil, true
	})
	wantKind(t, i.Commit(t.Context(), []Offset{{tp, 5, ""}}), apierr.Unauthorized)
	ok(t, i.issue(t.Context(), early))
	if at := committedRaw(t, f.Broker, i.Group(), tp); at != 2 {
		t.Errorf("committed %d, want 2", at)
	}
}
