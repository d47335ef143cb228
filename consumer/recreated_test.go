package consumer

import (
	"slices"
	"testing"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// An instance goes over to a topic that was created again. Until then it commits
// nothing of the old one, and it loses no position in another.
func TestRecreatedTopicAmongOthers(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(i *Instance, tps []TopicPartition) error{
		"subscribed": func(i *Instance, tps []TopicPartition) error {
			return i.Subscribe(t.Context(), []string{tps[0].Topic, tps[1].Topic})
		},
		"assigned": func(i *Instance, tps []TopicPartition) error { return i.Assign(t.Context(), tps) },
	} {
		t.Run(name, func(t *testing.T) {
			testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
				m := newManager(t, b, nil)
				again, other := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
				i := create(t, m, testkit.Group(t), jsonOptions(m))
				ok(t, start(i, []TopicPartition{{Topic: again, Partition: 0}, {Topic: other, Partition: 0}}))
				produce(t, b, slices.Concat(numbers(again, 0, 0, 3), numbers(other, 0, 100, 3))...)
				readN(t, i, 6)
				nothing(t, i)
				testkit.RecreateTopic(t, b, again, 1)
				produce(t, b, numbers(again, 0, 10, 5)...)
				testkit.Eventually(t, patience, "a read to be told that the topic was deleted", func() bool {
					_, err := i.AppendRecords(t.Context(), nil, ReadOptions{Timeout: time.Second}, Delivery{})
					return apierr.TopicNotFound.Is(err)
				})
				ok(t, i.Commit(t.Context(), nil))
				if at := committedRaw(t, b, i.group, TopicPartition{Topic: again, Partition: 0}); at != -1 {
					t.Errorf("offset %d was committed of a topic that was not read", at)
				}
				produce(t, b, numbers(other, 0, 103, 1)...)
				var got []int
				testkit.Eventually(t, patience, "the records of both topics", func() bool {
					answer, err := i.AppendRecords(t.Context(), nil, ReadOptions{Timeout: time.Second}, Delivery{})
					if err != nil && !apierr.TopicNotFound.Is(err) {
						t.Errorf("cannot read: %v", err)
					}
					if err == nil {
						got = append(got, values(t, decode(t, answer))...)
					}
					return len(got) >= 6
				})
				nothing(t, i)
				slices.Sort(got)
				if want := append(span(10, 5), 103); !slices.Equal(got, want) {
					t.Errorf("read %v, want %v", got, want)
				}
				ok(t, i.Commit(t.Context(), nil))
				if at := committedRaw(t, b, i.group, TopicPartition{Topic: again, Partition: 0}); at != 5 {
					t.Errorf("committed %d of the new topic, want 5", at)
				}
			})
		})
	}
}
