package metadata

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

func TestTopicKnown(t *testing.T) {
	c := newCache(t, newCluster(t, kfake.SeedTopics(3, "known")), Settings{})
	topic, err := c.Topic(testContext(t), "known")
	if err != nil || topic.Name != "known" || len(topic.Partitions) != 3 {
		t.Fatalf("topic %+v, error %v", topic, err)
	}
	for i, p := range topic.Partitions {
		if p.Leader != 0 || len(p.Replicas) == 0 || len(p.ISR) == 0 || p.Err != nil {
			t.Errorf("partition %d is %+v", i, p)
		}
	}
}

// TestTopicCreated checks that only a produce look-up creates, only when it may, and that every
// reader sees the created topic at once.
func TestTopicCreated(t *testing.T) {
	cluster := newCluster(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(2))
	ctx := testContext(t)
	c := newCache(t, cluster, Settings{MaxAge: time.Hour, CreateTopics: true})
	if _, err := c.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := body(ctx, c, Query{Of: TopicPartitions, Topic: "new"})
	wantKind(t, err, apierr.TopicNotFound)
	if topic, err := c.Topic(ctx, "new"); err != nil || topic.Name != "new" || len(topic.Partitions) != 2 {
		t.Fatalf("topic %+v, error %v", topic, err)
	}
	if out, err := body(ctx, c, Query{Of: AllTopics}); string(out) != `["new"]` {
		t.Errorf("topics %s, error %v", out, err)
	}
	if _, err := body(ctx, c, Query{Of: OnePartition, Topic: "new", Partition: 1}); err != nil {
		t.Error(err)
	}

	never := newCache(t, cluster, Settings{})
	_, err = never.Topic(ctx, "newer")
	wantKind(t, err, apierr.TopicNotFound)
}

// TestTopicAppears plays a broker that takes a moment to create a topic, as
// Kafka does: first it knows no such topic, then the topic has no leader.
func TestTopicAppears(t *testing.T) {
	f := func(first *kerr.Error, times int) {
		t.Helper()
		inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
			cluster := newCluster(t, virtual(network, kfake.AllowAutoTopicCreation())...)
			c := newCache(t, cluster, Settings{CreateTopics: true}, dialer(network))
			fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "slow", Err: first, Count: times})
			began := time.Now()
			if topic, err := c.Topic(t.Context(), "slow"); err != nil || topic.Name != "slow" {
				t.Errorf("topic %+v, error %v", topic, err)
			}
			if took := time.Since(began); fault.Hits() != times || took > 2*time.Second {
				t.Errorf("%d answers of %v, took %v", fault.Hits(), first, took)
			}
		})
	}
	f(kerr.UnknownTopicOrPartition, 3)
	f(kerr.LeaderNotAvailable, 8)
}

// TestCreationOff checks that an unknown topic is refused without a wait where the broker does
// not create topics, and that the broker is asked for that setting only once.
func TestCreationOff(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network)...)
		c := newCache(t, cluster, Settings{CreateTopics: true}, dialer(network))
		if _, err := c.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked := 0
		cluster.ControlKey(int16(kmsg.DescribeConfigs), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			asked++
			req := r.(*kmsg.DescribeConfigsRequest)
			resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
			resource := kmsg.NewDescribeConfigsResponseResource()
			resource.ResourceName, resource.ResourceType = req.Resources[0].ResourceName, req.Resources[0].ResourceType
			config := kmsg.NewDescribeConfigsResponseResourceConfig()
			config.Name, config.Value = "auto.create.topics.enable", kmsg.StringPtr("false")
			resource.Configs = append(resource.Configs, config)
			resp.Resources = append(resp.Resources, resource)
			return resp, nil, true
		})
		began := time.Now()
		for i := range 5 {
			_, err := c.Topic(t.Context(), "none"+strconv.Itoa(i))
			wantKind(t, err, apierr.TopicNotFound)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("five refusals took %v", took)
		}
		if asked != 1 {
			t.Errorf("the broker was asked %d times whether it creates topics", asked)
		}
	})
}

// TestMissing checks that a name that does not exist is looked up once, for many callers and for
// a while, and again after that.
func TestMissing(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network)...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		asked := count(cluster, "none")
		hammer := func(want int) {
			t.Helper()
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					_, err := c.Topic(t.Context(), "none")
					wantKind(t, err, apierr.TopicNotFound)
				})
			}
			wg.Wait()
			if n := asked(); n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
		}
		hammer(1)
		time.Sleep(missingFor - time.Millisecond)
		hammer(1)
		time.Sleep(2 * time.Millisecond)
		hammer(2)
	})
}

// TestMissingForgets checks that a topic that was created elsewhere is found when its name is
// evicted, at the latest.
func TestMissingForgets(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network)...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		_, err := c.Topic(t.Context(), "late")
		wantKind(t, err, apierr.TopicNotFound)
		req := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "late", 1, 1
		req.Topics = append(req.Topics, topic)
		if _, err := req.RequestWith(t.Context(), c.client); err != nil {
			t.Fatal(err)
		}
		time.Sleep(missingFor + time.Millisecond)
		if _, err := c.Topic(t.Context(), "late"); err != nil {
			t.Error(err)
		}
	})
}

func TestMissingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still: no name expires
		m := newMissing()
		err := apierr.TopicNotFound.Err()
		for i := range 3 * maxMissing {
			m.note(strconv.Itoa(i), true, err)
		}
		if m.names.Len() != maxMissing {
			t.Errorf("%d names are remembered", m.names.Len())
		}
		last := strconv.Itoa(3*maxMissing - 1)
		if m.get(last, true) != err || m.get(last, false) != err {
			t.Error("the last name is forgotten")
		}
		m.note("read", false, err)
		if m.get("read", true) != nil {
			t.Error("what may not be created is answered to who may create it")
		}
		m.note("away", true, apierr.BrokersAway.Err())
		if m.get("away", true) != nil {
			t.Error("an outage is remembered as a missing topic")
		}
	})
}

func TestTopicNames(t *testing.T) {
	cluster := newCluster(t)
	c := newCache(t, cluster, Settings{CreateTopics: true})
	f := func(name string, valid bool) {
		t.Helper()
		if ValidTopicName(name) != valid {
			t.Errorf("%q is valid: %v", name, !valid)
		}
		if valid {
			return
		}
		asked := count(cluster, name)
		_, err := c.Topic(t.Context(), name)
		wantKind(t, err, apierr.KafkaInvalid)
		_, err = body(t.Context(), c, Query{Of: TopicPartitions, Topic: name})
		wantKind(t, err, apierr.KafkaInvalid)
		if err != nil && !strings.Contains(err.Error(), "249") {
			t.Errorf("%q: the error does not say what is allowed: %v", name, err)
		}
		if asked() != 0 {
			t.Errorf("%q was asked for", name)
		}
	}
	f("a", true)
	f("A.b_c-9", true)
	f("...", true)
	f(strings.Repeat("x", 249), true)
	f("", false)
	f(".", false)
	f("..", false)
	f("a b", false)
	f("a/b", false)
	f("é", false)
	f("a\x00", false)
	f(strings.Repeat("x", 250), false)
}

// TestTopicErrors checks the errors that Kafka's refusals are turned into.
func TestTopicErrors(t *testing.T) {
	cluster := newCluster(t)
	c := newCache(t, cluster, Settings{Timeout: 300 * time.Millisecond})
	f := func(name string, code *kerr.Error, want *apierr.Kind) {
		t.Helper()
		fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: name, Err: code, Count: -1})
		defer fault.Remove()
		_, err := c.Topic(testContext(t), name)
		wantKind(t, err, want)
	}
	f("secret", kerr.TopicAuthorizationFailed, apierr.Unauthorized)
	f("a.b", kerr.InvalidTopicException, apierr.KafkaInvalid)
	f("gone", kerr.UnknownTopicOrPartition, apierr.TopicNotFound)
	f("leaderless", kerr.LeaderNotAvailable, apierr.KafkaTimedOut)
	f("odd", kerr.UnknownServerError, apierr.KafkaRetriable)
}

// A look-up at which a broker fails without a code of its own is made again, maxBroken times at
// most, and then has the topic that it created.
func TestLookUpAtFailingBroker(t *testing.T) {
	f := func(name string, failures int, want *apierr.Kind) {
		t.Helper()
		cluster := newCluster(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
		c := newCache(t, cluster, Settings{Timeout: 30 * time.Second, CreateTopics: true})
		asked := count(cluster, name)
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: name, Err: kerr.UnknownServerError, Count: failures})
		topic, err := c.Topic(testContext(t), name)
		attempts := failures + 1
		if want != nil {
			wantKind(t, err, want)
			attempts = failures
		} else if err != nil || len(topic.Partitions) != 3 {
			t.Errorf("after %d failures: %v, %v", failures, topic, err)
		}
		if n := asked(); n != attempts {
			t.Errorf("after %d failures: asked %d times, not %d", failures, n, attempts)
		}
	}
	f("once", 1, nil)
	f("often", maxBroken, nil)
	f("always", maxBroken+1, apierr.KafkaRetriable)
}

// TestTopicDeadline checks that a caller's own deadline ends its wait, and
// only its own.
func TestTopicDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.AllowAutoTopicCreation())...)
		c := newCache(t, cluster, Settings{CreateTopics: true}, dialer(network))
		fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "slow", Err: kerr.LeaderNotAvailable, Count: -1})
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, err := c.Topic(ctx, "slow")
			wantKind(t, err, apierr.KafkaTimedOut)
			if took := time.Since(began); took != time.Second {
				t.Errorf("waited %v", took)
			}
		})
		wg.Go(func() {
			if _, err := c.Topic(t.Context(), "slow"); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(2 * time.Second)
		fault.Remove()
		wg.Wait()
	})
}

// TestManyUnknown checks that clients cannot make the node flood the brokers: only so many names
// are looked up at one time, and all look-ups get a result.
func TestManyUnknown(t *testing.T) {
	c := newCache(t, newCluster(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1)), Settings{CreateTopics: true})
	ctx := testContext(t)
	const names = maxBeside + 200
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() {
			if _, err := c.Topic(ctx, "t"+strconv.Itoa(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := c.Snapshot(ctx)
	if err != nil || len(s.Topics) != names {
		t.Fatalf("%d topics, error %v", len(s.Topics), err)
	}
	for i := range names {
		if _, err := c.Topic(ctx, "t"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if beside := len(c.view.Load().beside); beside != 0 {
		t.Errorf("%d topics stand beside a view that has them", beside)
	}
}
