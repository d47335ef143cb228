package consumer

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

func assigned(t *testing.T, i *Instance) []TopicPartition {
	t.Helper()
	tps, err := i.Assignment()
	ok(t, err)
	return tps
}

// TestRebalanceWithABacklog has a second instance join while the first holds
// fetched records that it has not answered. With auto-commit on and every page
// confirmed before the next, the two together read everything at least once,
// and only what was not confirmed twice.
func TestRebalanceWithABacklog(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const parts, each = 4, 100 // fewer than one poll takes
		topic := testkit.CreateTopic(t, b, parts)
		for p := range int32(parts) {
			produce(t, b, numbers(topic, p, 0, each)...)
		}
		m := newManager(t, b, nil)
		o := jsonOptions(m)
		o.AutoCommit = true
		group := testkit.Group(t)
		one := create(t, m, group, o)
		ok(t, one.Subscribe(t.Context(), []string{topic}))
		seen := make(map[TopicPartition]map[int64]int)
		total, pageSize := 0, 0
		note := func(rs []record) {
			pageSize = len(rs)
			for _, r := range rs {
				tp := TopicPartition{Topic: r.Topic, Partition: r.Partition}
				if seen[tp] == nil {
					seen[tp] = make(map[int64]int)
				}
				if seen[tp][r.Offset]++; seen[tp][r.Offset] == 1 {
					total++
				}
			}
		}
		note(read(t, one, ReadOptions{MaxBytes: 20}))
		gather(t, one, parts*each-total)
		for total < 50 {
			note(read(t, one, ReadOptions{MaxBytes: 20}))
		}
		lastPage := pageSize
		held := make(map[int32]bool)
		one.mu.Lock()
		for _, run := range one.session.backlog.runs {
			held[run.part.Partition] = true
		}
		one.mu.Unlock()
		if len(held) != parts {
			t.Fatalf("the backlog has records of the partitions %v only", held)
		}

		one.mu.Lock()
		before := maps.Clone(one.session.parts)
		one.mu.Unlock()
		two := create(t, m, group, o)
		ok(t, two.Subscribe(t.Context(), []string{topic}))
		testkit.Eventually(t, patience, "the partitions are shared", func() bool {
			a, b := assigned(t, one), assigned(t, two)
			for _, tp := range a {
				if slices.Contains(b, tp) {
					return false
				}
			}
			return len(a) == parts/2 && len(b) == parts/2
		})
		one.mu.Lock()
		for tp, p := range one.session.parts { // one that is revoked and given back would be another
			if p != before[tp] {
				t.Errorf("%s stays with its reader, but was taken from it meanwhile", tp)
			}
		}
		one.mu.Unlock()
		if n := m.counts.lost.Load(); n != 0 {
			t.Errorf("%d times partitions were lost", n)
		}
		for deadline := time.Now().Add(patience); total < parts*each; {
			if time.Now().After(deadline) {
				t.Fatalf("read %d of %d records", total, parts*each)
			}
			note(read(t, one, ReadOptions{MaxBytes: 500, Timeout: 20 * time.Millisecond}))
			note(read(t, two, ReadOptions{MaxBytes: 500, Timeout: 20 * time.Millisecond}))
		}
		doubled := 0
		for _, offsets := range seen {
			for _, n := range offsets {
				doubled += n - 1
			}
		}
		if doubled > lastPage {
			t.Errorf("%d records came twice, but only %d were not confirmed at the rebalance", doubled, lastPage)
		}

		// When one leaves, the other gets everything.
		ok(t, m.Delete(t.Context(), group, two.Name()))
		testkit.Eventually(t, patience, "the first has all partitions again", func() bool { return len(assigned(t, one)) == parts })
	})
}

func TestSubscribingAgain(t *testing.T) {
	b := testkit.Fake(t).Broker
	first, second := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(first, 0, 0, 3)...)
	produce(t, b, numbers(second, 0, 10, 3)...)
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{first}))
	wantValues(t, readN(t, i, 3), span(0, 3))

	client := i.session.client
	member, generation := client.GroupMetadata()
	ok(t, i.Subscribe(t.Context(), []string{first, first}))
	if m2, g2 := i.session.client.GroupMetadata(); i.session.client != client || m2 != member || g2 != generation {
		t.Errorf("subscribing to the same topics joined the group again")
	}
	nothing(t, i) // and nothing is read twice

	ok(t, i.Subscribe(t.Context(), []string{second}))
	topics, err := i.Subscription()
	ok(t, err)
	if !slices.Equal(topics, []string{second}) {
		t.Errorf("the subscription is %v", topics)
	}
	wantValues(t, readN(t, i, 3), span(10, 3))
	if n := len(members(t, b, i.Group())); n != 1 {
		t.Errorf("the group has %d members", n)
	}

	ok(t, i.Unsubscribe(t.Context()))
	ok(t, i.Unsubscribe(t.Context()))
	topics, err = i.Subscription()
	ok(t, err)
	if len(topics) != 0 || len(assigned(t, i)) != 0 || len(members(t, b, i.Group())) != 0 {
		t.Errorf("after unsubscribing: topics %v, partitions %v", topics, assigned(t, i))
	}
	_, err = i.AppendRecords(t.Context(), nil, ReadOptions{})
	wantKind(t, err, apierr.IllegalState)
}

func TestSubscriptionAndAssignmentExcludeEachOther(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	wantKind(t, i.Subscribe(t.Context(), []string{topic}), apierr.IllegalState)
	wantKind(t, i.SubscribePattern(t.Context(), topic), apierr.IllegalState)
	ok(t, i.Assign(t.Context(), nil))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	wantKind(t, i.Assign(t.Context(), partitions(topic, 1)), apierr.IllegalState)
	ok(t, i.Unsubscribe(t.Context()))
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
}

func TestBadSubscriptions(t *testing.T) {
	m := newManager(t, testkit.Fake(t).Broker, nil)
	i := create(t, m, "g", jsonOptions(m))
	wantKind(t, i.SubscribePattern(t.Context(), "a(b"), apierr.Unprocessable)
	wantKind(t, i.SubscribePattern(t.Context(), "a)(b"), apierr.Unprocessable)
	wantKind(t, i.SubscribePattern(t.Context(), `\Qa`), apierr.Unprocessable)
	wantKind(t, i.SubscribePattern(t.Context(), ""), apierr.Unprocessable)
	wantKind(t, i.Subscribe(t.Context(), []string{"a", ""}), apierr.Unprocessable)
}

func TestPatternFindsNewTopics(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		base := testkit.Topic(t)
		adm := kadm.NewClient(testkit.Client(t, b))
		make := func(name string) {
			if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, name); err != nil {
				t.Fatal(err)
			}
		}
		make(base + "-a")
		make(base + "-a-not") // a whole name must match
		m := newManager(t, b, nil)
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		ok(t, i.SubscribePattern(t.Context(), base+"-[ab]"))
		testkit.Eventually(t, patience, "the first topic is assigned", func() bool {
			return slices.Equal(assigned(t, i), []TopicPartition{{Topic: base + "-a", Partition: 0}})
		})
		make(base + "-b")
		begin := time.Now()
		testkit.Eventually(t, patience, "the new topic is assigned", func() bool {
			return slices.Equal(assigned(t, i), []TopicPartition{{Topic: base + "-a", Partition: 0}, {Topic: base + "-b", Partition: 0}})
		})
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("a new topic was found after %v", took)
		}
		topics, err := i.Subscription()
		ok(t, err)
		if !slices.Equal(topics, []string{base + "-a", base + "-b"}) {
			t.Errorf("the subscription is %v", topics)
		}
		produce(t, b, numbers(base+"-b", 0, 5, 1)...)
		wantValues(t, readN(t, i, 1), []int{5})
	})
}

func TestTopicThatComesLater(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.Topic(t)
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	nothing(t, i)
	if _, err := kadm.NewClient(testkit.Client(t, b)).CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	produce(t, b, numbers(topic, 0, 0, 1)...)
	wantValues(t, readN(t, i, 1), []int{0})
}
