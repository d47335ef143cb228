package testkit

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Broker is a Kafka to talk to, of whichever kind.
type Broker struct {
	// Name is the kind, "kfake" or "kafka".
	Name string
	// Addrs are host:port addresses to bootstrap from.
	Addrs []string
}

// FakeKafka is franz-go's broker in this process, with all that it offers to
// inject faults.
type FakeKafka struct {
	*kfake.Cluster
	Broker
}

// Fake starts an in-process broker for t: one node, topics created on first
// use with one partition. opts come after these, so they win.
func Fake(t testing.TB, opts ...kfake.Opt) *FakeKafka {
	t.Helper()
	all := append([]kfake.Opt{
		kfake.NumBrokers(1),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(1),
		kfake.WithLogger(kfake.BasicLogger(io.Discard, kfake.LogLevelNone)),
	}, opts...)
	c, err := kfake.NewCluster(all...)
	if err != nil {
		t.Fatalf("cannot start kfake: %v", err)
	}
	t.Cleanup(c.Close)
	return &FakeKafka{Cluster: c, Broker: Broker{Name: "kfake", Addrs: c.ListenAddrs()}}
}

// OnBoth runs test once on a fresh kfake and once on the shared real Kafka, as
// the sub-tests "kfake" and "kafka".
func OnBoth(t *testing.T, test func(t *testing.T, b Broker)) {
	t.Helper()
	t.Run("kfake", func(t *testing.T) { test(t, Fake(t).Broker) })
	t.Run("kafka", func(t *testing.T) { test(t, RealKafka(t)) })
}

// Topic returns a topic name that no other test uses. The topic is not created.
func Topic(t testing.TB) string { return uniqueName(t) }

// Group returns a consumer group name that no other test uses.
func Group(t testing.TB) string { return "group-" + uniqueName(t) }

// uniqueName makes a name legal for Kafka from the test's own, so that broker
// logs tell which test it was, and from chance, so that runs do not meet.
func uniqueName(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-' // not _, which Kafka warns may collide with '.'
	}, t.Name())
	if len(name) > 200 { // Kafka allows 249
		name = name[len(name)-200:]
	}
	return fmt.Sprintf("%s-%08x", name, rand.Uint32())
}

// Client returns a franz-go client of b that is closed with t.
func Client(t testing.TB, b Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(b.Addrs...),
		// kfake asks for them, and each client would compress its own when it closes, which takes 8 MB.
		kgo.DisableClientMetrics(),
		// Its default makes the first produce to a new topic wait up to 5 s for
		// another look at who leads it.
		kgo.MetadataMinAge(50 * time.Millisecond),
		// So often it may look before a topic that was created again is known to all brokers.
		kgo.UnknownTopicRetries(100),
	}, opts...)...)
	if err != nil {
		t.Fatalf("cannot make a client of %s: %v", b.Name, err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// CreateTopic creates a topic with the given number of partitions under a name
// from [Topic], and returns the name when every partition has a leader.
func CreateTopic(t testing.TB, b Broker, partitions int32) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	topic := Topic(t)
	adm := kadm.NewClient(Client(t, b))
	if _, err := adm.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		t.Fatalf("cannot create topic %s on %s: %v", topic, b.Name, err)
	}
	// A broker answers before its own view of the cluster has the topic.
	for {
		topics, err := adm.ListTopics(ctx, topic)
		if err == nil && led(topics[topic], int(partitions)) {
			return topic
		}
		select {
		case <-ctx.Done():
			t.Fatalf("topic %s on %s has no leaders after a minute: %v", topic, b.Name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// RecreateTopic deletes a topic that has records, creates it again with the given number of
// partitions, and returns when the new one is what the broker serves: it confirms both before it
// has carried them out, and what is written until then goes to the log that is deleted.
func RecreateTopic(t testing.TB, b Broker, topic string, partitions int32) {
	t.Helper()
	adm := kadm.NewClient(Client(t, b))
	if _, err := adm.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatalf("cannot delete topic %s on %s: %v", topic, b.Name, err)
	}
	Eventually(t, time.Minute, "the topic to be created again", func() bool {
		_, err := adm.CreateTopic(t.Context(), partitions, 1, nil, topic)
		return err == nil
	})
	Eventually(t, time.Minute, "the new topic to be served", func() bool {
		ends, err := adm.ListEndOffsets(t.Context(), topic)
		if err != nil || len(ends[topic]) != int(partitions) {
			return false
		}
		for _, end := range ends[topic] {
			if end.Err != nil || end.Offset != 0 {
				return false
			}
		}
		return true
	})
}

// led reports whether the topic has n partitions, each with a leader.
func led(topic kadm.TopicDetail, n int) bool {
	if topic.Err != nil || len(topic.Partitions) != n {
		return false
	}
	for _, p := range topic.Partitions {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}
