package consumer

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/reader"
)

func TestReadAppendsRecordsInTheirOrder(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		produce(t, b, &kgo.Record{Topic: topic, Key: []byte(`"k"`), Value: []byte(`{"foo":"bar"}`)}, &kgo.Record{Topic: topic})
		m := newManager(t, b, nil)
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		ok(t, i.Subscribe(t.Context(), []string{topic}))

		// The first read after the subscription waits for the assignment.
		got, err := i.AppendRecords(t.Context(), []byte("HTTP"), ReadOptions{}, Delivery{})
		ok(t, err)
		want := fmt.Sprintf(`HTTP[{"topic":%q,"key":"k","value":{"foo":"bar"},"partition":0,"offset":0},{"topic":%q,"key":null,"value":null,"partition":0,"offset":1}]`, topic, topic)
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		tps, err := i.Assignment()
		ok(t, err)
		if len(tps) != 1 || tps[0] != (TopicPartition{Topic: topic, Partition: 0}) {
			t.Errorf("assignment is %v", tps)
		}
	})
}

func TestReadExtrasAndBinary(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, &kgo.Record{Topic: topic, Value: []byte("Kafka"), Timestamp: time.UnixMilli(1234), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}})
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), m.Defaults())
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	got, err := i.AppendRecords(t.Context(), nil, ReadOptions{Show: reader.Show{Headers: true, Timestamps: true}}, Delivery{})
	ok(t, err)
	for _, part := range []string{`"value":"S2Fma2E="`, `"headers":[{"key":"h","value":"dg=="}]`, `"timestamp":1234`} {
		if !bytes.Contains(got, []byte(part)) {
			t.Errorf("the answer %s lacks %s", got, part)
		}
	}
}

func TestReadNeedsASubscription(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	m := newManager(t, b, nil)
	i := create(t, m, "g", jsonOptions(m))
	dst, err := i.AppendRecords(t.Context(), []byte("x"), ReadOptions{}, Delivery{})
	wantKind(t, err, apierr.IllegalState)
	if string(dst) != "x" {
		t.Errorf("dst became %q", dst)
	}
}

func TestReadWaitsForItsTimeout(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	i := newReader(t, newManager(t, b, nil), testkit.CreateTopic(t, b, 1), 1)
	begin := time.Now()
	if rs := read(t, i, ReadOptions{Timeout: 300 * time.Millisecond}); len(rs) != 0 {
		t.Fatalf("read %v", rs)
	}
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("an empty read took %v, less than its timeout", took)
	}
}

func TestReadWithoutWaiting(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, i *Instance, _ TopicPartition) {
		// It takes what is fetched already, and does fetch.
		begin := time.Now()
		var all []record
		testkit.Eventually(t, patience, "all records", func() bool {
			all = append(all, read(t, i, ReadOptions{NoWait: true, Timeout: time.Hour})...)
			return len(all) >= 10
		})
		wantValues(t, all, span(0, 10))
		if rs := read(t, i, ReadOptions{NoWait: true}); len(rs) != 0 {
			t.Errorf("read %v", rs)
		}
		if took := time.Since(begin); took >= patience {
			t.Errorf("reads that do not wait took %v", took)
		}
	})
}

func TestReadAnswersAsSoonAsSomethingIsThere(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	i := newReader(t, newManager(t, b, nil), topic, 1)
	got := make(chan []record, 1)
	go func() { got <- read(t, i, ReadOptions{}) }()
	testkit.Eventually(t, patience, "the read waits in its poll", func() bool { return polls(i) })
	produce(t, b, numbers(topic, 0, 7, 1)...)
	select {
	case rs := <-got:
		wantValues(t, rs, []int{7})
	case <-time.After(patience / 2):
		t.Fatal("the read waits on although there is a record")
	}
}

// polls reports whether a poll runs at the moment.
func polls(i *Instance) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pollCancel != nil
}

func TestReadWaitsForMinBytes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	m := newManager(t, b, nil)
	o := jsonOptions(m)
	o.FetchMinBytes = 1000
	i := create(t, m, testkit.Group(t), o)
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))

	text := func(n int) *kgo.Record {
		return &kgo.Record{Topic: topic, Value: []byte(`"` + strings.Repeat("x", n-2) + `"`)}
	}
	produce(t, b, text(400))
	got := make(chan int, 1)
	go func() { got <- len(read(t, i, ReadOptions{})) }()
	testkit.Eventually(t, patience, "the first record is in the backlog", func() bool { i.mu.Lock(); defer i.mu.Unlock(); return i.session.backlog.records == 1 })
	produce(t, b, text(600))
	if n := <-got; n != 2 {
		t.Errorf("read %d records once there were 1000 bytes, want 2", n)
	}
	// At the deadline there is less, and it is answered.
	produce(t, b, text(10))
	buffered(t, i, 1)
	if n := len(read(t, i, ReadOptions{Timeout: 500 * time.Millisecond})); n != 1 {
		t.Errorf("read %d records at the deadline, want 1", n)
	}
}

// TestPagingLosesAndDoublesNothing reads thousands of records of random sizes
// with random limits, from an assignment and from a subscription.
func TestPagingLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const parts, each = 3, 2000
	rnd := rand.New(rand.NewPCG(1, 2))
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, parts)
	for p := range int32(parts) {
		var rs []*kgo.Record
		for n := range each {
			rs = append(rs, &kgo.Record{Topic: topic, Partition: p, Key: fmt.Appendf(nil, "%d", n), Value: []byte(`"` + strings.Repeat("v", rnd.IntN(400)) + `"`)})
		}
		produce(t, b, rs...)
	}
	m := newManager(t, b, nil)
	for _, how := range []string{"assignment", "subscription"} {
		t.Run(how, func(t *testing.T) {
			i := create(t, m, testkit.Group(t), jsonOptions(m))
			if how == "assignment" {
				ok(t, i.Assign(t.Context(), partitions(topic, parts)))
			} else {
				ok(t, i.Subscribe(t.Context(), []string{topic}))
			}
			var next [parts]int64
			for total := 0; total < parts*each; {
				limit := 1 + rnd.IntN(5000)
				rs := read(t, i, ReadOptions{MaxBytes: limit})
				bytes := 0
				for _, r := range rs {
					if r.Offset != next[r.Partition] || string(r.Key) != fmt.Sprint(r.Offset) {
						t.Fatalf("partition %d: got offset %d with key %s, want %d", r.Partition, r.Offset, r.Key, next[r.Partition])
					}
					next[r.Partition]++
					bytes += len(r.Key) + len(r.Value)
				}
				if len(rs) == 0 || bytes > limit && len(rs) > 1 {
					t.Fatalf("%d records with %d bytes under a limit of %d", len(rs), bytes, limit)
				}
				total += len(rs)
			}
			nothing(t, i)
		})
	}
}

func TestRecordOverTheLimitIsAnsweredAlone(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	big := &kgo.Record{Topic: topic, Value: []byte(`"` + strings.Repeat("x", 5000) + `"`)}
	produce(t, b, numbers(topic, 0, 0, 1)[0], big, numbers(topic, 0, 2, 1)[0])
	i := newReader(t, newManager(t, b, nil), topic, 1)
	for offset := range int64(3) {
		rs := read(t, i, ReadOptions{MaxBytes: 100})
		if offset == 0 && len(rs) > 1 || len(rs) != 1 || rs[0].Offset != offset {
			t.Fatalf("read %d is %v", offset, rs)
		}
	}
}

func TestUndecodableRecord(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	bad := &kgo.Record{Topic: topic, Value: []byte("{not json")}
	produce(t, b, append(append(numbers(topic, 0, 0, 3), bad), numbers(topic, 0, 4, 2)...)...)
	m := newManager(t, b, nil)
	for _, how := range []string{"assignment", "subscription"} {
		t.Run(how, func(t *testing.T) {
			i := create(t, m, testkit.Group(t), jsonOptions(m))
			if how == "assignment" {
				ok(t, i.Assign(t.Context(), partitions(topic, 1)))
			} else {
				ok(t, i.Subscribe(t.Context(), []string{topic}))
			}
			wantValues(t, readN(t, i, 3), []int{0, 1, 2})
			for range 2 { // it stays
				dst, err := i.AppendRecords(t.Context(), []byte("x"), ReadOptions{}, Delivery{})
				wantKind(t, err, apierr.Undecodable)
				if message := apierr.From(err).Message(); !strings.Contains(message, topic) || !strings.Contains(message, "offset 3") || !strings.Contains(message, "partition 0") {
					t.Errorf("the message does not name the record: %s", message)
				}
				if string(dst) != "x" {
					t.Errorf("dst became %q", dst)
				}
			}
			ok(t, i.Commit(t.Context(), nil))
			if at := committedRaw(t, b, i.Group(), TopicPartition{Topic: topic, Partition: 0}); at != 3 {
				t.Errorf("committed %d, want 3", at)
			}
			ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic, Partition: 0}, Offset: 4}}, nil))
			wantValues(t, readN(t, i, 2), []int{4, 5})
		})
	}
}

func TestConcurrentReads(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	i := newReader(t, newManager(t, b, nil), topic, 2)
	const total = 2000
	ctx, done := context.WithCancel(t.Context())
	defer done()
	var mu sync.Mutex
	seen := make(map[TopicPartition][]int64)
	count := 0
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				answer, err := i.AppendRecords(ctx, nil, ReadOptions{MaxBytes: 200}, Delivery{})
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Errorf("cannot read: %v", err)
					done()
					return
				}
				mu.Lock()
				for _, r := range decode(t, answer) {
					tp := TopicPartition{Topic: r.Topic, Partition: r.Partition}
					seen[tp] = append(seen[tp], r.Offset)
					if count++; count == total {
						done()
					}
				}
				mu.Unlock()
			}
		})
	}
	produce(t, b, numbers(topic, 0, 0, total/2)...)
	produce(t, b, numbers(topic, 1, 0, total/2)...)
	readers.Wait()
	for tp, offsets := range seen {
		slices.Sort(offsets) // the readers race for the test's lock, not for records
		for n, offset := range offsets {
			if offset != int64(n) {
				t.Fatalf("%s: offset %d came in place of %d", tp, offset, n)
			}
		}
	}
	if count != total {
		t.Errorf("got %d records, want %d", count, total)
	}
}

func TestSecondReadIsToldThatOneGoesOn(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	i := newReader(t, newManager(t, b, nil), topic, 1)
	first := make(chan []record, 1)
	go func() { first <- read(t, i, ReadOptions{}) }()
	testkit.Eventually(t, patience, "the first read waits", func() bool { return polls(i) })
	_, err := i.AppendRecords(t.Context(), nil, ReadOptions{Timeout: 50 * time.Millisecond}, Delivery{})
	wantKind(t, err, apierr.IllegalState)
	produce(t, b, numbers(topic, 0, 1, 1)...)
	wantValues(t, <-first, []int{1})
}

func TestClientGoneLosesNothing(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	m := newManager(t, b, nil)
	o := jsonOptions(m)
	o.FetchMinBytes = 1000
	i := create(t, m, testkit.Group(t), o)
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	produce(t, b, numbers(topic, 0, 0, 5)...)

	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { _, err := i.AppendRecords(ctx, nil, ReadOptions{}, Delivery{}); failed <- err }()
	testkit.Eventually(t, patience, "the records are in the backlog", func() bool { i.mu.Lock(); defer i.mu.Unlock(); return i.session.backlog.records == 5 })
	cancel()
	if err := <-failed; err == nil {
		t.Fatal("a read whose client is gone succeeded")
	}
	wantValues(t, read(t, i, ReadOptions{Timeout: 100 * time.Millisecond}), span(0, 5))
}

func TestDeletedTopicIsAnError(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 1)...)
	i := newReader(t, newManager(t, b, nil), topic, 1)
	readN(t, i, 1)
	if _, err := kadm.NewClient(testkit.Client(t, b)).DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "a read says that the topic is gone", func() bool {
		_, err := i.AppendRecords(t.Context(), nil, ReadOptions{Timeout: 100 * time.Millisecond}, Delivery{})
		return apierr.TopicNotFound.Is(err)
	})
}

func TestRefusalsByKafkaAreErrors(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	m := newManager(t, f.Broker, nil)
	refused := func(how string, start func(*Instance) error, fault kfake.Fault) {
		t.Run(how, func(t *testing.T) {
			fault.Count = -1
			defer f.Fault(fault).Remove()
			i := create(t, m, testkit.Group(t), jsonOptions(m))
			ok(t, start(i))
			_, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
			wantKind(t, err, apierr.Unauthorized)
			ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
		})
	}
	assign := func(i *Instance) error { return i.Assign(t.Context(), partitions(topic, 1)) }
	subscribe := func(i *Instance) error { return i.Subscribe(t.Context(), []string{topic}) }
	refused("fetch", assign, kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.TopicAuthorizationFailed})
	refused("join", subscribe, kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.GroupAuthorizationFailed})
	refused("metadata", subscribe, kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: topic, Err: kerr.TopicAuthorizationFailed})
}

func TestLatestStartsWhereTheSubscriptionFindsTheEnd(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 3)...)
	m := newManager(t, b, nil)
	o := jsonOptions(m)
	o.OffsetReset = latest
	i := create(t, m, testkit.Group(t), o)
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	produce(t, b, numbers(topic, 0, 3, 2)...) // after the assignment, before the first read
	wantValues(t, readN(t, i, 2), []int{3, 4})
}

// A read that passes over one record after the other ends in time all the same: it does not go on
// for as long as Kafka has more of them.
func TestSkippingEndsWithTheTimeout(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	m := newManager(t, b, nil)
	topic := testkit.CreateTopic(t, b, 1)
	writer := testkit.Client(t, b, kgo.ManualFlushing())
	bad := func(n int) { // in one batch: the library fetches no second one ahead
		for range n {
			writer.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte("no JSON")}, nil)
		}
		ok(t, writer.Flush(t.Context()))
	}
	o := jsonOptions(m)
	o.Undecodable = reader.Skip
	i := create(t, m, testkit.Group(t), o)
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	nothing(t, i)
	bad(10)
	gather(t, i, 10)
	bad(20)
	buffered(t, i, 20)
	for _, passed := range []uint64{10, 30} { // what it has, and no more
		if rs := read(t, i, ReadOptions{NoWait: true, MaxBytes: 1}); len(rs) != 0 {
			t.Fatalf("read %+v", rs)
		}
		if n := m.counts.skipped.Load(); n != passed {
			t.Fatalf("passed over %d records, not %d", n, passed)
		}
	}
}
