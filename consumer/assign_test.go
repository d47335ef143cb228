package consumer

import (
	"slices"
	"testing"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

func TestAssign(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 3)
		for p := range int32(3) {
			produce(t, b, numbers(topic, p, int(p)*100, 10)...)
		}
		m := newManager(t, b, nil)
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		ok(t, i.Assign(t.Context(), []TopicPartition{{Topic: topic, Partition: 2}, {Topic: topic, Partition: 0}}))
		if want := []TopicPartition{{Topic: topic, Partition: 0}, {Topic: topic, Partition: 2}}; !slices.Equal(assigned(t, i), want) {
			t.Errorf("assigned is %v", assigned(t, i))
		}
		topics, err := i.Subscription()
		ok(t, err)
		if len(topics) != 0 {
			t.Errorf("an assignment has the subscription %v", topics)
		}
		readN(t, i, 20)

		// A partition that stays keeps its position; a new one starts.
		ok(t, i.Assign(t.Context(), []TopicPartition{{Topic: topic, Partition: 1}, {Topic: topic, Partition: 2}}))
		wantValues(t, readN(t, i, 10), span(100, 10))
		nothing(t, i)

		// The group's committed offset is where another instance starts.
		ok(t, i.Commit(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic, Partition: 1}, Offset: 4}}))
		other := create(t, m, i.Group(), jsonOptions(m))
		ok(t, other.Assign(t.Context(), []TopicPartition{{Topic: topic, Partition: 1}}))
		wantValues(t, readN(t, other, 5), span(105, 5))
	})
}

func TestAssignKeepsThePositionInsideAPage(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	produce(t, b, numbers(topic, 0, 0, 10)...)
	i := newReader(t, newManager(t, b, nil), topic, 1)
	wantValues(t, read(t, i, ReadOptions{MaxBytes: 3}), span(0, 3))
	ok(t, i.Assign(t.Context(), partitions(topic, 2)))
	wantValues(t, readN(t, i, 7), span(3, 7))
}

func TestAssignWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		i := newReader(t, newManager(t, b, nil), topic, 1)
		wantKind(t, i.Assign(t.Context(), []TopicPartition{{Topic: topic, Partition: 0}, {Topic: topic, Partition: 9}}), apierr.PartitionNotFound)
		wantKind(t, i.Assign(t.Context(), []TopicPartition{{Topic: topic, Partition: -1}}), apierr.PartitionNotFound)
		if want := partitions(topic, 1); !slices.Equal(assigned(t, i), want) {
			t.Errorf("a failed assignment changed it to %v", assigned(t, i))
		}
		later := []TopicPartition{{Topic: topic + "-later", Partition: 0}}
		ok(t, i.Assign(t.Context(), later))
		if !slices.Equal(assigned(t, i), later) {
			t.Errorf("assigned are %v", assigned(t, i))
		}
	})
}

// TestResetNoneOfAReadThatWaitsForTheGroup: when the read begins nothing is
// assigned, so that its poll is under way when the partition turns out to have
// no position, whether it has records or not.
func TestResetNoneOfAReadThatWaitsForTheGroup(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newManager(t, b, nil)
		o := jsonOptions(m)
		o.OffsetReset = none
		for n := range 5 {
			topic := testkit.CreateTopic(t, b, 1)
			produce(t, b, numbers(topic, 0, 0, n)...) // the first has no records
			i := create(t, m, testkit.Group(t), o)
			ok(t, i.Subscribe(t.Context(), []string{topic}))
			begin := time.Now()
			for range 2 {
				_, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
				wantKind(t, err, apierr.IllegalState)
			}
			if took := time.Since(begin); took >= patience {
				t.Errorf("the error came after %v, at the read's timeout", took)
			}
			ok(t, i.SeekToBeginning(t.Context(), nil))
			wantValues(t, readN(t, i, n), span(0, n))
			ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
		}
	})
}

func TestResetNone(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 5)...)
	m := newManager(t, b, nil)
	o := jsonOptions(m)
	o.OffsetReset = none
	for _, how := range []string{"assignment", "subscription"} {
		t.Run(how, func(t *testing.T) {
			i := create(t, m, testkit.Group(t), o)
			if how == "assignment" {
				ok(t, i.Assign(t.Context(), partitions(topic, 1)))
			} else {
				ok(t, i.Subscribe(t.Context(), []string{topic}))
				testkit.Eventually(t, patience, "it is assigned", func() bool { return len(assigned(t, i)) == 1 })
			}
			for range 2 {
				_, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
				wantKind(t, err, apierr.IllegalState)
			}
			ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic, Partition: 0}, Offset: 2}}, nil))
			wantValues(t, readN(t, i, 3), span(2, 3))

			// Out of range is an error as well, until the next seek.
			ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic, Partition: 0}, Offset: 1000}}, nil))
			_, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
			wantKind(t, err, apierr.IllegalState)
			ok(t, i.SeekToBeginning(t.Context(), nil))
			wantValues(t, readN(t, i, 5), span(0, 5))
		})
	}
}
