package consumer

import (
	"sync"
	"testing"
	"time"

	"millrace/codec"
	"millrace/internal/testkit"
	"millrace/metrics"
	"millrace/reader"
)

// The metrics follow the readers, and ask Kafka nothing.
func TestStats(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 10, 10)...) // two digits each
	var mu sync.Mutex
	records, bytes := 0, 0
	begun := time.Now()
	counted := func(r reader.Returned) {
		mu.Lock()
		defer mu.Unlock()
		if r.Format != codec.JSON || r.Topic != topic {
			t.Errorf("records of %s in format %s", r.Topic, r.Format)
		}
		if r.Asked.Before(begun) || r.Ready.Before(r.Asked) || r.First.IsZero() || r.Last.Before(r.First) {
			t.Errorf("the times of what was returned are %+v", r)
		}
		records, bytes = records+r.Records, bytes+r.Bytes
	}
	m := newManagerWith(t, b, func(s *Settings) { s.MaxInstances = 7 }, Deps{Read: counted})
	group := testkit.Group(t)
	i := create(t, m, group, jsonOptions(m))
	if s := m.Stats(); s.Instances != 1 || s.Created != 1 || s.Limit != 7 || s.Partitions != 0 || s.Lags != nil {
		t.Errorf("before the subscription: %+v", s)
	}
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	if rs := read(t, i, ReadOptions{MaxBytes: 8}); len(rs) != 4 {
		t.Fatalf("read %d records", len(rs))
	}
	s := m.Stats()
	if s.Partitions != 1 || s.Assigned != 1 || s.Backlog != 6 || s.BacklogBytes != 12 {
		t.Errorf("after a read: %+v", s)
	}
	if len(s.Lags) != 1 || s.Lags[0] != (metrics.Lag{Group: group, Topic: topic, Records: 6}) {
		t.Errorf("lags are %v", s.Lags)
	}
	readN(t, i, 6)
	ok(t, i.Commit(t.Context(), nil))
	s = m.Stats()
	if s.Committed != 1 || s.CommitsFailed != 0 || s.Backlog != 0 || s.Lags[0].Records != 0 {
		t.Errorf("at the end of the log: %+v", s)
	}
	if mu.Lock(); records != 10 || bytes != 20 {
		t.Errorf("%d records of %d bytes were told", records, bytes)
	}
	mu.Unlock()
	ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic, Partition: 0}, Offset: 3}}, nil))
	if s := m.Stats(); s.Lags[0].Records != 7 {
		t.Errorf("after a seek: %+v", s.Lags)
	}
	ok(t, m.Delete(t.Context(), group, i.Name()))
	if s := m.Stats(); s.Instances != 0 || s.Expired != 0 || s.Revoked+s.Dropped != 1 {
		t.Errorf("at the end: %+v", s)
	}
}

func TestExpiredInstancesAreCounted(t *testing.T) {
	t.Parallel()
	m := newManager(t, testkit.Fake(t).Broker, func(s *Settings) { s.InstanceTimeout = 20 * time.Millisecond })
	create(t, m, testkit.Group(t), jsonOptions(m))
	testkit.Eventually(t, patience, "the instance to expire", func() bool { return m.Stats().Expired == 1 })
}
