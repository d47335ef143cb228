package metadata

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// requests counts the requests of a kind that reach the brokers, whatever they are about.
func requests(cluster *kfake.Cluster, key kmsg.Key) *atomic.Int64 {
	var n atomic.Int64
	cluster.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		n.Add(1)
		return nil, nil, false
	})
	return &n
}

// TestRateLimit counts all requests that the brokers get from readers of all kinds, for a minute:
// health checks included, one request a second.
func TestRateLimit(t *testing.T) {
	f := func(what string, key kmsg.Key, most int64, readers int, every time.Duration, q func(reader, round int) Query) {
		t.Helper()
		inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
			cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t", "u", "v", "w"))...)
			c := newCache(t, cluster, Settings{}, dialer(network))
			n := requests(cluster, key)
			var wg sync.WaitGroup
			for i := range readers {
				wg.Go(func() {
					time.Sleep(every * time.Duration(i) / time.Duration(readers))
					for began, round := time.Now(), 0; time.Since(began) < time.Minute; round++ {
						if _, err := c.Answer(t.Context(), q(i, round)); err != nil && !apierr.TopicNotFound.Is(err) {
							t.Error(err)
						}
						time.Sleep(every)
					}
				})
			}
			wg.Wait()
			if got := n.Load(); got > most || got < 10 {
				t.Errorf("%s: %d requests in a minute, want 10 to %d", what, got, most)
			}
		})
	}
	list := func(int, int) Query { return Query{Of: AllTopics} }
	f("many readers", kmsg.Metadata, 65, 100, time.Second, list)
	f("a slow reader", kmsg.Metadata, 68, 1, 1500*time.Millisecond, list)
	f("impatient readers", kmsg.Metadata, 65, 20, 100*time.Millisecond, func(int, int) Query { return Query{Of: AllTopics, Bounded: true} })
	// Names that do not exist are looked up together: a request a second beside the refresh.
	f("unknown topics", kmsg.Metadata, 140, 50, time.Second, func(i, round int) Query {
		return Query{Of: TopicPartitions, Topic: fmt.Sprintf("none-%d-%d", i, round)}
	})
	f("configurations", kmsg.DescribeConfigs, 80, 40, time.Second, func(i, _ int) Query {
		return Query{Of: OneTopic, Topic: []string{"t", "u", "v", "w"}[i%4]}
	})
	// Two requests make one look-up.
	f("offsets", kmsg.ListOffsets, 2*(61+offsetBurst), 50, time.Second, func(int, int) Query {
		return Query{Of: PartitionOffsets, Topic: "t"}
	})
}

// TestNobodyWaits checks that frequent readers are always answered from the cache: the clock of
// the bubble stands still for them.
func TestNobodyWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			time.Sleep(300 * time.Millisecond) // slow brokers
			return nil, nil, false
		})
		if _, err := c.Answer(t.Context(), Query{Of: AllTopics}); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			began := time.Now()
			r, err := c.Answer(t.Context(), Query{Of: AllTopics})
			if err != nil || r.Stale || time.Since(began) != 0 {
				t.Fatalf("%+v, %v, after %v", r, err, time.Since(began))
			}
			if age := c.Stats().Age; age > 1400*time.Millisecond {
				t.Fatalf("the view is %v old", age)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// TestSharedAnswers checks that an unchanged resource is not encoded again.
func TestSharedAnswers(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(3, "a", "b"))
	c := newCache(t, cluster, Settings{MaxAge: time.Hour})
	ctx := testContext(t)
	all := []Query{
		{Of: AllTopics},
		{Of: AllBrokers},
		{Of: OneTopic, Topic: "a"},
		{Of: TopicPartitions, Topic: "a"},
		{Of: OnePartition, Topic: "b", Partition: 2},
	}
	var before []Reply
	for _, q := range all {
		r, err := c.Answer(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, r)
	}
	c.Invalidate()
	for i, q := range all {
		r, err := c.Answer(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if &r.Body[0] != &before[i].Body[0] || r.ETag != before[i].ETag {
			t.Errorf("%+v is encoded again after a refresh: %s", q, r.Body)
		}
	}
	if n := c.refreshed.Load(); n < 2 {
		t.Errorf("%d refreshes", n)
	}
	tags := map[string]bool{}
	for _, r := range before {
		tags[r.ETag] = true
	}
	if len(tags) != len(all) {
		t.Errorf("%d different answers have %d ETags", len(all), len(tags))
	}
}

// TestStale plays an outage: cached answers are returned at once and marked stale, for as long as
// the setting allows, and fresh again when a broker responds.
func TestStale(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{StaleFor: time.Minute}, dialer(network))
		q := Query{Of: OneTopic, Topic: "t"}
		fresh, err := c.Answer(t.Context(), q)
		if err != nil || fresh.Stale {
			t.Fatalf("%+v, %v", fresh, err)
		}
		cluster.Close()
		gone := time.Now()
		waits := 0
		for time.Since(gone) < 61*time.Second {
			began := time.Now()
			r, err := c.Answer(t.Context(), q)
			if err != nil || r.ETag != fresh.ETag {
				t.Fatalf("%v after the brokers went: %+v, %v", time.Since(gone), r, err)
			}
			if old := time.Since(gone) > 4*time.Second; old != r.Stale && old || r.Stale && r.Age < 2*time.Second {
				t.Fatalf("%v after the brokers went: stale %v, age %v", time.Since(gone), r.Stale, r.Age)
			}
			if took := time.Since(began); took > staleAfter {
				t.Errorf("waited %v", took)
			} else if took > 0 {
				waits++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if waits > 3 {
			t.Errorf("%d readers waited for brokers that are gone", waits)
		}
		if c.Stats().StaleAnswers < 500 {
			t.Errorf("%d stale answers are counted", c.Stats().StaleAnswers)
		}
		time.Sleep(2 * time.Second)
		_, err = c.Answer(t.Context(), q)
		wantKind(t, err, apierr.BrokersAway)

		newCluster(t, virtual(network, kfake.SeedTopics(2, "t"))...)
		within(t, 3*time.Second, func() bool {
			r, err := c.Answer(t.Context(), q)
			return err == nil && !r.Stale && r.ETag != fresh.ETag
		})
	})
}

// TestAwait checks that a change is seen within the rate limit of refreshes without other
// readers, and that waiting costs what reading costs.
func TestAwait(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{MaxWait: time.Hour}, dialer(network))
		first, err := c.Answer(t.Context(), Query{Of: AllTopics})
		if err != nil {
			t.Fatal(err)
		}
		n := requests(cluster, kmsg.Metadata)
		began := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				r, err := c.Await(t.Context(), Query{Of: AllTopics}, first.ETag, 2*time.Minute)
				if err != nil || string(r.Body) != `["new","t"]` {
					t.Errorf("%s, %v", r.Body, err)
				}
			})
		}
		time.Sleep(time.Minute)
		if got := n.Load(); got > 62 || got < 50 {
			t.Errorf("%d requests in a minute of waiting", got)
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "new", 1, 1
		req.Topics = append(req.Topics, topic)
		if _, err := req.RequestWith(t.Context(), c.client); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if took := time.Since(began); took > 62*time.Second {
			t.Errorf("the change is answered after %v", took)
		}
		began = time.Now()
		if _, err := c.Await(t.Context(), Query{Of: AllBrokers}, mustETag(t, c), 5*time.Second); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if c.watchers.count() != 0 {
			t.Errorf("%d wait", c.watchers.count())
		}
		synctest.Wait()
	})
}

func mustETag(t *testing.T, c *Cache) string {
	t.Helper()
	r, err := c.Answer(t.Context(), Query{Of: AllBrokers})
	if err != nil {
		t.Fatal(err)
	}
	return r.ETag
}

func TestOffsetsAreBounded(t *testing.T) {
	o := newOffsetCache(time.Second)
	for i := range int32(3 * maxOffsets) {
		o.of(kafka.TopicPartition{Topic: "t", Partition: i})
	}
	last := kafka.TopicPartition{Topic: "t", Partition: 3*maxOffsets - 1}
	if _, ok := o.kept.Get(last); !ok || o.kept.Len() != maxOffsets {
		t.Errorf("%d are kept, the last one: %v", o.kept.Len(), ok)
	}
}
