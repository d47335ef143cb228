package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// fetched counts the bytes of fetches by broker.
type fetched struct {
	mu    sync.Mutex
	bytes map[int32]int
}

// OnBrokerRead implements [kgo.HookBrokerRead].
func (f *fetched) OnBrokerRead(from kgo.BrokerMetadata, key int16, bytes int, _, _ time.Duration, _ error) {
	if kmsg.Key(key) == kmsg.Fetch {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.bytes[from.NodeID] += bytes
	}
}

// since returns the bytes fetched from each broker since the last call.
func (f *fetched) since() map[int32]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.bytes
	f.bytes = make(map[int32]int)
	return was
}

// With consumer.client.rack every kind of read is from the replica in that rack, and from the
// leader when it is gone. When the leader goes, reads follow the new one.
func TestReadsFromTheNearestReplica(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_CLUSTER", "reads from replicas were not tried: that takes three brokers and a minute; `make cluster-proof` does")
	brokers := testkit.StartKafkas(t, 3)
	b := brokers[0].Broker
	topic := testkit.Topic(t)
	admin := kadm.NewClient(testkit.Client(t, b))
	testkit.Eventually(t, time.Minute, "the topic to be created", func() bool {
		_, err := admin.CreateTopic(t.Context(), 1, 3, nil, topic)
		return err == nil
	})
	leader := func() int32 {
		topics, err := admin.ListTopics(t.Context(), topic)
		if err != nil || len(topics[topic].Partitions) == 0 {
			return -1
		}
		return topics[topic].Partitions[0].Leader
	}
	testkit.Eventually(t, time.Minute, "a leader", func() bool { return leader() > 0 })
	first := leader()
	near := first%3 + 1
	from := &fetched{bytes: make(map[int32]int)}
	s := start(t, b, func(o *stackOptions) {
		o.fetch.Rack, o.hooks = fmt.Sprint("rack-", near), []kgo.Hook{from}
		o.rest.StreamHeartbeat = 100 * time.Millisecond
	})
	const payload = 100 << 10
	value := `"` + strings.Repeat("x", payload) + `"`
	put := func() { s.put(t, topic, value) }
	path := "/topics/" + topic
	direct := func(offset int) {
		t.Helper()
		r := s.do(t, "GET", fmt.Sprintf("%s/partitions/0/records?offset=%d", path, offset), "", "Accept: application/vnd.kafka.json.v2+json")
		r.want(t, 200, value)
	}
	ways := []struct {
		name string
		read func()
	}{
		{"direct read", func() { direct(0) }},
		{"stream from the beginning", func() { s.follow(t, path+"/stream?from=beginning").want(value) }},
		{"stream from the end", func() {
			f := s.follow(t, path+"/stream?from=end", sse)
			put()
			f.want(value)
		}},
		{"instance", func() {
			i := createConsumer(t, s, "")
			s.do(t, "POST", i+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
			s.do(t, "GET", i+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, value)
		}},
	}
	put()
	for _, way := range ways {
		from.since()
		way.read()
		got := from.since()
		if got[near] < payload {
			t.Errorf("%s: %d bytes are from the replica in the rack, %v in all", way.name, got[near], got)
		}
		for broker, bytes := range got {
			if broker != near && bytes > payload {
				t.Errorf("%s: %d bytes are from broker %d", way.name, bytes, broker)
			}
		}
	}

	live := s.follow(t, path+"/stream?from=end", sse)
	brokers[near-1].Kill()
	put()
	live.want(value)
	direct(0)
	if got := from.since(); got[first] < payload {
		t.Errorf("without the replica %v were read", got)
	}
	brokers[near-1].Start(t)
	testkit.Eventually(t, time.Minute, "the replica to be in sync", func() bool {
		topics, err := admin.ListTopics(t.Context(), topic)
		return err == nil && len(topics[topic].Partitions[0].ISR) == 3
	})
	live = s.follow(t, path+"/stream?from=end", sse)
	brokers[first-1].Kill()
	testkit.Eventually(t, time.Minute, "direct reads to find another replica", func() bool {
		r := s.do(t, "GET", path+"/partitions/0/records?offset=0", "", "Accept: application/vnd.kafka.json.v2+json")
		if r.status != 200 && (r.status < 500 || !strings.Contains(r.body, `"error_code":50`)) {
			t.Fatalf("without the leader: %d %s", r.status, r.body) // an error that is not retriable
		}
		return r.status == 200 && strings.Contains(r.body, value)
	})
	testkit.Eventually(t, time.Minute, "another leader", func() bool { l := leader(); return l > 0 && l != first })
	put()
	live.want(value)
	direct(1)
}
