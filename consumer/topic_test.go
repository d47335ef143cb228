package consumer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/reader"
)

func TestTopicSubscribesOnce(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic, other := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
		produce(t, b, numbers(topic, 0, 0, 3)...)
		m := newManager(t, b, nil)
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		if got := i.Progress(); got != nil {
			t.Errorf("before the first read the progress is %v", got)
		}
		_, err := i.AppendTopic(t.Context(), nil, "no-such-topic", ReadOptions{}, Delivery{})
		wantKind(t, err, apierr.TopicNotFound)

		answer, err := i.AppendTopic(t.Context(), nil, topic, ReadOptions{Show: reader.Show{Layout: codec.TopicLast}, MaxBytes: 2}, Delivery{})
		ok(t, err)
		wantValues(t, decode(t, answer), []int{0, 1})
		if want := fmt.Sprintf(`{"key":null,"value":1,"partition":0,"offset":1,"topic":%q}]`, topic); !strings.HasSuffix(string(answer), want) {
			t.Errorf("the answer is %s", answer)
		}
		_, err = i.AppendTopic(t.Context(), nil, other, ReadOptions{}, Delivery{})
		wantKind(t, err, apierr.OtherTopic)

		tp := TopicPartition{Topic: topic, Partition: 0}
		progress := func(want Progress) {
			t.Helper()
			if got := i.Progress(); len(got) != 1 || got[0] != want {
				t.Errorf("the progress is %v, want %v", got, want)
			}
		}
		progress(Progress{tp, 1, -1})
		ok(t, i.Commit(t.Context(), nil))
		progress(Progress{tp, 1, 1})
		if at := committedRaw(t, b, i.Group(), tp); at != 2 {
			t.Errorf("Kafka has %d", at)
		}
	})
}

// Of two first calls that name different topics one subscribes.
func TestTopicRace(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topics := []string{testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)}
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	errs := make(chan error, len(topics))
	for _, topic := range topics {
		go func() {
			_, err := i.AppendTopic(t.Context(), nil, topic, ReadOptions{Timeout: 100 * time.Millisecond}, Delivery{})
			errs <- err
		}()
	}
	a, z := <-errs, <-errs
	if a != nil {
		a, z = z, a
	}
	ok(t, a)
	wantKind(t, z, apierr.OtherTopic)
	if topics, err := i.Subscription(); err != nil || len(topics) != 1 {
		t.Errorf("subscribed to %v, %v", topics, err)
	}
}

// Partitions that are added to a topic are read once the manager is told, not when the metadata of
// the client is old.
func TestAddedPartitionIsRead(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	produce(t, b, numbers(topic, 0, 0, 1)...)
	readN(t, i, 1)
	if _, err := kadm.NewClient(testkit.Client(t, b)).UpdatePartitions(t.Context(), 2, topic); err != nil {
		t.Fatal(err)
	}
	m.Grown(topic)
	produce(t, b, numbers(topic, 1, 1, 1)...)
	if got := readN(t, i, 1); got[0].Partition != 1 {
		t.Errorf("read %v", got)
	}
}
