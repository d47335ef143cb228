package consumer

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// lagOf is what the metrics show of a group, -1 when they show nothing.
func lagOf(m *Manager, group string) int64 {
	shown := int64(-1)
	for _, l := range m.Stats().Lags {
		if l.Group == group {
			shown = max(shown, 0) + l.Records
		}
	}
	return shown
}

// A reader that never reads, or stops, is seen to fall behind.
func TestLagOfThoseWhoDoNotRead(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 2)
		m := newManager(t, b, func(s *Settings) { s.LagInterval = 50 * time.Millisecond })
		subscribed, assigned := testkit.Group(t), testkit.Group(t)
		i := create(t, m, subscribed, jsonOptions(m))
		ok(t, i.Subscribe(t.Context(), []string{topic}))
		ok(t, create(t, m, assigned, jsonOptions(m)).Assign(t.Context(), partitions(topic, 1)))
		becomes := func(group string, want int64) {
			t.Helper()
			testkit.Eventually(t, patience, "the lag to become what it is", func() bool { return lagOf(m, group) == want })
			for _, g := range m.Overview(10).Groups {
				if g.Group == group && (g.Lag != want || !g.LagKnown) {
					t.Errorf("people see %+v, the metrics show %d", g, want)
				}
			}
		}
		becomes(subscribed, 0)
		becomes(assigned, 0)
		produce(t, b, append(numbers(topic, 0, 10, 10), numbers(topic, 1, 10, 3)...)...)
		becomes(subscribed, 13)
		becomes(assigned, 10)
		readN(t, i, 13)
		becomes(subscribed, 0)
		produce(t, b, numbers(topic, 1, 10, 4)...)
		becomes(subscribed, 4)
		produce(t, b, numbers(topic, 1, 10, 5)...)
		becomes(subscribed, 9)
		becomes(assigned, 10)
	})
}

// However many instances and groups there are, and however often their lag is
// looked at, the broker is asked once an interval, and never for what is
// committed; with nobody there it is not asked at all.
func TestLagQueriesAreFew(t *testing.T) {
	t.Parallel()
	const groups, interval = 20, 100 * time.Millisecond
	b := testkit.Fake(t, kfake.SeedTopics(3, "a", "b"))
	m := newManager(t, b.Broker, func(s *Settings) { s.LagInterval = interval })
	counted := func(key kmsg.Key) interface{ Hits() int } {
		return b.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Observe: true, Count: -1})
	}
	idle := counted(kmsg.ListOffsets)
	began := time.Now()
	testkit.Eventually(t, patience, "some intervals to pass", func() bool { return time.Since(began) > 3*interval })
	if n := idle.Hits(); n != 0 {
		t.Errorf("%d queries with no instance there", n)
	}
	var names []string
	for range groups {
		group := testkit.Group(t)
		names = append(names, group)
		ok(t, create(t, m, group, jsonOptions(m)).Subscribe(t.Context(), []string{"a", "b"}))
		ok(t, create(t, m, group, jsonOptions(m)).Assign(t.Context(), partitions("a", 3)))
	}
	testkit.Eventually(t, patience, "all partitions to be placed and their lag to be known", func() bool {
		for _, name := range names {
			if lagOf(m, name) != 0 {
				return false
			}
		}
		return m.Stats().Partitions == groups*9
	})

	began = time.Now()
	ends, committed := counted(kmsg.ListOffsets), counted(kmsg.OffsetFetch)
	scrapes := 0
	testkit.Eventually(t, patience, "five intervals and queries", func() bool {
		for range 100 {
			m.Stats()
			m.Overview(100)
			scrapes++
		}
		return ends.Hits() >= 5 && time.Since(began) > 5*interval
	})
	// A tick that came late is followed by one in time, and a group that is still joining asks where
	// it begins. For lag it would be two queries for each group and interval.
	if n, most := ends.Hits(), int(time.Since(began)/interval)+2+groups/2; n > most {
		t.Errorf("%d queries in %v, %d at most are allowed", n, time.Since(began), most)
	}
	if n := committed.Hits(); n > 2 {
		t.Errorf("%d queries for committed offsets", n)
	}
	t.Logf("%d queries, %d scrapes, %v", ends.Hits(), scrapes, time.Since(began))
}

// A partition whose end the broker cannot tell keeps its last known end, and a topic that is
// gone is not shown any more.
func TestLagOfWhatIsGone(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "kept", "gone"))
	m := newManager(t, b.Broker, func(s *Settings) { s.LagInterval = 50 * time.Millisecond })
	produce(t, b.Broker, append(numbers("kept", 0, 1, 3), numbers("gone", 0, 1, 2)...)...)
	group := testkit.Group(t)
	ok(t, create(t, m, group, jsonOptions(m)).Assign(t.Context(), append(partitions("kept", 1), partitions("gone", 1)...)))
	testkit.Eventually(t, patience, "both lags to be known", func() bool { return lagOf(m, group) == 5 })
	_, err := kadm.NewClient(testkit.Client(t, b.Broker)).DeleteTopics(t.Context(), "gone")
	ok(t, err)
	testkit.Eventually(t, patience, "the topic to be forgotten", func() bool { return lagOf(m, group) == 3 })
}
