package consumer

import (
	"context"
	"runtime"
	"testing"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// bothWays runs test for an instance with an assignment and for one with a
// subscription, on both brokers; each has the partition 0 of a topic with the
// values 0 to 9, whose timestamps are 1000 to 1009 s.
func bothWays(t *testing.T, test func(t *testing.T, i *Instance, tp TopicPartition)) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		rs := numbers(topic, 0, 0, 10)
		for n, r := range rs {
			r.Timestamp = time.Unix(int64(1000+n), 0)
		}
		produce(t, b, rs...)
		m := newManager(t, b, nil)
		for _, how := range []string{"assignment", "subscription"} {
			t.Run(how, func(t *testing.T) {
				i := create(t, m, testkit.Group(t), jsonOptions(m))
				if how == "assignment" {
					ok(t, i.Assign(t.Context(), partitions(topic, 1)))
				} else {
					ok(t, i.Subscribe(t.Context(), []string{topic}))
					testkit.Eventually(t, patience, "it is assigned", func() bool { return len(assigned(t, i)) == 1 })
				}
				test(t, i, TopicPartition{Topic: topic, Partition: 0})
			})
		}
	})
}

func TestSeek(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, i *Instance, tp TopicPartition) {
		to := func(n int64) []Offset { return []Offset{{TopicPartition: tp, Offset: n}} }
		at := func(s int64) []Timestamp { return []Timestamp{{tp, time.Unix(s, 0)}} }
		all := []TopicPartition{tp}

		// Before anything was read: for a subscription this races with the
		// client's start at the partition.
		ok(t, i.Seek(t.Context(), to(7), nil))
		wantValues(t, readN(t, i, 3), span(7, 3))

		// A seek drops what is in the backlog.
		ok(t, i.Seek(t.Context(), to(0), nil))
		wantValues(t, read(t, i, ReadOptions{MaxBytes: 2}), span(0, 2))
		ok(t, i.Seek(t.Context(), to(5), nil))
		wantValues(t, readN(t, i, 5), span(5, 5))

		ok(t, i.SeekToBeginning(t.Context(), all))
		wantValues(t, readN(t, i, 10), span(0, 10))
		ok(t, i.SeekToBeginning(t.Context(), nil)) // all that are assigned
		wantValues(t, read(t, i, ReadOptions{MaxBytes: 4}), span(0, 4))
		ok(t, i.SeekToEnd(t.Context(), all))
		nothing(t, i)

		ok(t, i.Seek(t.Context(), nil, at(1006)))
		wantValues(t, readN(t, i, 4), span(6, 4))
		ok(t, i.Seek(t.Context(), nil, at(1)))
		wantValues(t, readN(t, i, 10), span(0, 10))
		ok(t, i.Seek(t.Context(), to(0), at(1e6))) // past the end is the end
		nothing(t, i)
		ok(t, i.Seek(t.Context(), nil, nil))
		nothing(t, i)

		wantKind(t, i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: 1}, {TopicPartition: TopicPartition{Topic: tp.Topic, Partition: 5}, Offset: 1}}, nil), apierr.IllegalState)
		wantKind(t, i.Seek(t.Context(), nil, []Timestamp{{TopicPartition{Topic: "other", Partition: 0}, time.Now()}}), apierr.IllegalState)
		wantKind(t, i.SeekToEnd(t.Context(), []TopicPartition{{Topic: tp.Topic, Partition: 1}}), apierr.IllegalState)
		wantKind(t, i.Seek(t.Context(), to(-1), nil), apierr.Unprocessable)
		nothing(t, i) // none of those moved anything
	})
}

// TestSeekIsNeverLost seeks without a pause while the group assigns a
// partition. The last seek is the first one after place has told kgo where to
// start, when kgo may not have done so yet and would pass over it.
func TestSeekIsNeverLost(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	tp := TopicPartition{Topic: topic, Partition: 0}
	produce(t, b, numbers(topic, 0, 0, 10)...)
	m := newManager(t, b, nil)
	for range 10 {
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		ok(t, i.Subscribe(t.Context(), []string{topic}))
		placed := func() bool {
			i.mu.Lock()
			defer i.mu.Unlock()
			p := i.session.parts[tp]
			return p != nil && p.placed
		}
		at := 0
		for deadline := time.Now().Add(patience); ; {
			runtime.Gosched() // or on one processor nothing else happens
			last := placed()
			to := (at + 1) % 10
			err := i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: int64(to)}}, nil)
			if err == nil {
				at = to
			} else {
				wantKind(t, err, apierr.IllegalState) // not assigned yet
			}
			if last {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("never assigned")
			}
		}
		wantValues(t, readN(t, i, 10-at), span(at, 10-at))
		ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
	}
}

// TestSeekToTheCommittedOffset seeks to where the group's commit is already,
// which the client lists as committed and no longer as uncommitted.
func TestSeekToTheCommittedOffset(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, i *Instance, tp TopicPartition) {
		to := []Offset{{TopicPartition: tp, Offset: 5}}
		ok(t, i.Seek(t.Context(), to, nil))
		ok(t, i.Commit(t.Context(), nil))
		ok(t, i.Seek(t.Context(), to, nil))
		wantValues(t, readN(t, i, 5), span(5, 5))
	})
}

// TestSeekThatKafkaClientPassesOverIsNoSuccess: kgo ignores a seek of a
// partition that it does not have. Here it never will have it.
func TestSeekThatKafkaClientPassesOverIsNoSuccess(t *testing.T) {
	t.Parallel()
	m := newManager(t, testkit.Fake(t).Broker, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	tp := TopicPartition{Topic: testkit.Topic(t), Partition: 0}
	ok(t, i.Subscribe(t.Context(), []string{tp.Topic})) // does not exist
	p := newPartition(tp)
	p.start, p.placed = 0, true
	i.mu.Lock()
	i.session.parts[tp] = p
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	wantKind(t, i.Seek(ctx, []Offset{{TopicPartition: tp, Offset: 6}}, nil), apierr.KafkaRetriable)
}

func TestSeekInterruptsAWaitingRead(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, i *Instance, tp TopicPartition) {
		readN(t, i, 10)
		got := make(chan []record, 1)
		go func() { got <- read(t, i, ReadOptions{}) }()
		testkit.Eventually(t, patience, "the read waits", func() bool { return polls(i) })
		ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: 8}}, nil))
		wantValues(t, <-got, span(8, 2)) // it goes on from there
	})
}

func TestSeekWhileReading(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 3000)...)
	i := newReader(t, newManager(t, b, nil), topic, 1)
	tp := TopicPartition{Topic: topic, Partition: 0}
	stop := make(chan struct{})
	read := make(chan error, 1)
	go func() { // whatever is sought, answers have no gaps inside
		for {
			select {
			case <-stop:
				read <- nil
				return
			default:
			}
			answer, err := i.AppendRecords(t.Context(), nil, ReadOptions{MaxBytes: 500, Timeout: 10 * time.Millisecond}, Delivery{})
			if err != nil {
				read <- err
				return
			}
			rs := decode(t, answer)
			for n := range rs {
				if rs[n].Offset != rs[0].Offset+int64(n) {
					t.Errorf("offset %d follows offset %d", rs[n].Offset, rs[n-1].Offset)
				}
			}
		}
	}()
	for n := range 100 {
		ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: int64(n * 29)}}, nil))
	}
	close(stop)
	ok(t, <-read)
	ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: 2990}}, nil))
	wantValues(t, readN(t, i, 10), span(2990, 10))
}
