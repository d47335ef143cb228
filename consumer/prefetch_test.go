package consumer

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// held is what an instance holds of records that were not answered.
func held(i *Instance) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.session.backlog.records + int(i.session.client.BufferedFetchRecords())
}

// later is when an instance that was just used is due to be parked.
func later() time.Time { return time.Now().Add(2 * parkAfter) }

// An instance that is not read gives up what it has fetched, stays in its group,
// and reads on where it was.
func TestUnreadInstanceHoldsNothing(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const n = 3000 // some polls' worth
		topic := testkit.CreateTopic(t, b, 1)
		rs := numbers(topic, 0, 0, n)
		for _, r := range rs {
			r.Headers = []kgo.RecordHeader{{Key: "filler", Value: []byte(strings.Repeat("x", 500))}}
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
				}
				var got []int
				for len(got) < n {
					page := values(t, read(t, i, ReadOptions{MaxBytes: 15000}))
					got = append(got, page...)
					if len(got) == n {
						break
					}
					tp := TopicPartition{Topic: topic, Partition: 0}
					confirmed := i.session.parts[tp].confirmed
					testkit.Eventually(t, patience, "all that was fetched to be dropped", func() bool {
						i.park(later(), parkAfter)
						return held(i) == 0
					})
					if p := i.session.parts[tp]; p.confirmed != confirmed || p.answered.offset != int64(len(got)) {
						t.Fatalf("parking has moved the positions to %+v", p)
					}
				}
				if !slices.Equal(got, span(0, n)) {
					t.Errorf("read %d values, not those from 0 to %d", len(got), n-1)
				}
				if how == "subscription" && len(members(t, b, i.Group())) != 1 {
					t.Error("an instance that is not read has left its group")
				}
				ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
			})
		}
		if f := m.fetching.Load(); f != 0 {
			t.Errorf("%d sessions count as fetching", f)
		}
	})
}

// A partition that the group is taking away cannot be placed. The records of the others are
// dropped all the same, since their client fetches it again.
func TestDroppedThoughOneCannotBePlaced(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 10)...)
	m := newManager(t, b, nil)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	wantValues(t, read(t, i, ReadOptions{MaxBytes: 4}), span(0, 4))
	gather(t, i, 6)

	gone := newPartition(TopicPartition{Topic: topic, Partition: 1}) // the client does not have it
	gone.start, gone.placed = 0, true
	func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.session.parts[gone.TopicPartition] = gone
		i.session.backlog.add(gone, []*kgo.Record{{Topic: topic, Partition: 1, Value: []byte("99")}})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		wantKind(t, i.session.refetch(ctx), apierr.KafkaRetriable)
	}()
	if rs := values(t, readN(t, i, 7)); !slices.Equal(slices.Sorted(slices.Values(rs)), append(span(4, 6), 99)) {
		t.Errorf("read %v, want 4 to 9 and 99", rs)
	}
	nothing(t, i)
}

// The janitor parks by itself; a subscription that nobody reads fetches nothing.
func TestNobodyFetchesForNobody(t *testing.T) {
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	produce(t, f.Broker, numbers(topic, 0, 0, 1000)...)
	var fetches atomic.Int64
	f.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		fetches.Add(1)
		return nil, nil, false
	})
	m := newManager(t, f.Broker, nil)
	for _, how := range []string{"topics", "pattern"} {
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		if how == "topics" {
			ok(t, i.Subscribe(t.Context(), []string{topic}))
		} else {
			ok(t, i.SubscribePattern(t.Context(), topic))
		}
		testkit.Eventually(t, patience, "the assignment", func() bool {
			i.mu.Lock()
			defer i.mu.Unlock()
			p := i.session.parts[TopicPartition{Topic: topic, Partition: 0}]
			return p != nil && p.placed
		})
		began := fetches.Load()
		read(t, i, ReadOptions{MaxBytes: 20})
		if before := began; how == "topics" && before != 0 {
			t.Errorf("%d fetches for a subscription that nobody has read", before)
		}
		if held(i) == 0 {
			t.Error("a reader has nothing fetched ahead")
		}
		testkit.Eventually(t, patience, "the janitor to park what nobody reads", func() bool { return held(i) == 0 })
	}
}

// The instances that read share the memory for fetching ahead.
func TestPrefetchIsShared(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 1)...)
	m := newManager(t, b, nil)
	i := newReader(t, m, topic, 1)
	limit := func() int32 {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.session.client.OptValue(kgo.FetchMaxBytes).(int32)
	}
	f := func(others int64, want int32) {
		t.Helper()
		m.fetching.Add(others)
		defer m.fetching.Add(-others)
		read(t, i, ReadOptions{NoWait: true})
		if got := limit(); got != want {
			t.Errorf("with %d other readers one may fetch %d bytes, want %d", others, got, want)
		}
	}
	f(0, 32<<20)
	f(3, 8<<20)
	f(999, 32<<10)
	f(1_000_000, leastPrefetch)
	f(0, 32<<20)
}

// All together hold no more than they may, though each has just been read.
func TestPrefetchIsBoundedInAll(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	filler := []byte(`"` + strings.Repeat("x", 500<<10) + `"`)
	for range 40 { // 20 MiB
		produce(t, b, &kgo.Record{Topic: topic, Value: filler})
	}
	m := newManager(t, b, nil)
	var all []*Instance
	for range 8 {
		i := newReader(t, m, topic, 1)
		i.m.conf.MaxPartitionBytes = 50 << 20 // before its client is made
		read(t, i, ReadOptions{MaxBytes: 1})
		all = append(all, i)
	}
	sum := func() (sum int) {
		for _, i := range all {
			_, held := i.parkDue(time.Now(), time.Hour)
			sum += held
		}
		return sum
	}
	began := time.Now()
	testkit.Eventually(t, patience, "the memory to be bounded", func() bool { return sum() <= heldBudget })
	if held(all[7]) == 0 && time.Since(began) < parkAfter {
		t.Error("who was read last has nothing fetched ahead")
	}
	testkit.Eventually(t, patience, "the memory to be given back", func() bool {
		var kept int64
		for _, p := range kafka.FetchPools() {
			kept += p.KeptBytes
		}
		return kept == 0
	})
	for _, i := range all {
		if rs := read(t, i, ReadOptions{MaxBytes: 1}); len(rs) != 1 || rs[0].Offset != 1 {
			t.Fatalf("after that it reads %d records", len(rs))
		}
	}
}

// Memory that parked sessions have dropped goes back to the system, when there is much of it
// and the last session has been parked.
func TestMemoryIsGivenBack(t *testing.T) {
	var r reclaim
	at := time.Unix(1000, 0)
	for n, step := range []struct {
		after   time.Duration
		dropped int64
		want    bool
	}{
		{0, 0, false},
		{time.Hour, reclaimBytes - 1, false},
		{time.Hour, reclaimBytes - 1, false},        // too little to be worth it
		{0, reclaimBytes, false},                    // more may follow
		{reclaimQuiet / 2, reclaimBytes + 1, false}, // as here
		{reclaimQuiet - 1, reclaimBytes + 1, false}, // not long enough ago
		{1, reclaimBytes + 1, true},                 //
		{time.Hour, reclaimBytes + 1, false},        // done
		{time.Hour, 2*reclaimBytes + 1, false},      //
		{reclaimQuiet, 2*reclaimBytes + 1, true},    // the next wave
		{reclaimQuiet, 2*reclaimBytes + 1, false},   //
	} {
		at = at.Add(step.after)
		if got := r.due(step.dropped, at); got != step.want {
			t.Errorf("step %d: %v", n, got)
		}
	}
}
