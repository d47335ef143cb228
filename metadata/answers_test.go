package metadata

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// body returns the body of the answer to q.
func body(ctx context.Context, c *Cache, q Query) ([]byte, error) {
	r, err := c.Answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return r.Body, nil
}

// offsets returns the offsets of a partition.
func offsets(ctx context.Context, c *Cache, topic string, partition int32) (beginning, end int64, err error) {
	out, err := body(ctx, c, Query{Of: PartitionOffsets, Topic: topic, Partition: partition})
	if err != nil {
		return 0, 0, err
	}
	var got struct {
		Beginning int64 `json:"beginning_offset"`
		End       int64 `json:"end_offset"`
	}
	err = json.Unmarshal(out, &got)
	return got.Beginning, got.End, err
}

func TestAnswers(t *testing.T) {
	cluster := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(2, "jsontest"), kfake.SeedTopics(1, "__internal"))
	for p := range int32(2) {
		if err := cluster.MoveTopicPartition("jsontest", p, p); err != nil {
			t.Fatal(err)
		}
	}
	c := newCache(t, cluster, Settings{})
	ctx := testContext(t)
	const name = "jsontest"
	f := func(want string, answer func() ([]byte, error)) {
		t.Helper()
		got, err := answer()
		if err != nil || string(got) != want {
			t.Errorf("answer %s, error %v, want %s", got, err, want)
		}
		if !json.Valid([]byte(want)) {
			t.Errorf("%s is not JSON", want)
		}
	}
	const p0 = `{"partition":0,"leader":0,"replicas":[{"broker":0,"leader":true,"in_sync":true},{"broker":1,"leader":false,"in_sync":true}]}`
	const p1 = `{"partition":1,"leader":1,"replicas":[{"broker":1,"leader":true,"in_sync":true},{"broker":0,"leader":false,"in_sync":true}]}`
	f(`["__internal","jsontest"]`, func() ([]byte, error) { return body(ctx, c, Query{Of: AllTopics}) })
	f(`{"brokers":[0,1]}`, func() ([]byte, error) { return body(ctx, c, Query{Of: AllBrokers}) })
	f("["+p0+","+p1+"]", func() ([]byte, error) { return body(ctx, c, Query{Of: TopicPartitions, Topic: name}) })
	f(p1, func() ([]byte, error) { return body(ctx, c, Query{Of: OnePartition, Topic: name, Partition: 1}) })
	f(`{"beginning_offset":0,"end_offset":0}`, func() ([]byte, error) { return body(ctx, c, Query{Of: PartitionOffsets, Topic: name, Partition: 1}) })

	out, err := body(ctx, c, Query{Of: OneTopic, Topic: name})
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(string(out), `{"name":"jsontest","configs":{`)
	if !ok || !strings.HasSuffix(rest, `},"partitions":[`+p0+","+p1+"]}") {
		t.Errorf("topic %s", out)
	}
	var topic struct {
		Configs map[string]*string `json:"configs"`
	}
	if err := json.Unmarshal(out, &topic); err != nil || len(topic.Configs) == 0 {
		t.Errorf("configs %v, error %v", topic.Configs, err)
	}
	if v := topic.Configs["cleanup.policy"]; v == nil || *v != "delete" {
		t.Errorf("cleanup.policy is %v", v)
	}
}

func TestAnswersEmpty(t *testing.T) {
	c := newCache(t, newCluster(t), Settings{})
	if out, err := body(testContext(t), c, Query{Of: AllTopics}); string(out) != "[]" || err != nil {
		t.Errorf("topics %s, error %v", out, err)
	}
}

// TestAnswersErrors checks that an answer that fails is not cached.
func TestAnswersErrors(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "t", "closed"))
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Resource: "closed", Err: kerr.TopicAuthorizationFailed, Count: -1})
	c := newCache(t, cluster, Settings{})
	ctx := testContext(t)
	f := func(want *apierr.Kind, answer func() ([]byte, error)) {
		t.Helper()
		_, err := answer()
		wantKind(t, err, want)
	}
	for _, name := range []string{"none", "t"} {
		want := apierr.TopicNotFound
		if name == "t" {
			want = apierr.PartitionNotFound
		}
		for _, partition := range []int32{1, -1} {
			f(want, func() ([]byte, error) {
				return body(ctx, c, Query{Of: OnePartition, Topic: name, Partition: partition})
			})
			f(want, func() ([]byte, error) {
				return body(ctx, c, Query{Of: PartitionOffsets, Topic: name, Partition: partition})
			})
		}
	}
	f(apierr.TopicNotFound, func() ([]byte, error) { return body(ctx, c, Query{Of: OneTopic, Topic: "none"}) })
	f(apierr.TopicNotFound, func() ([]byte, error) { return body(ctx, c, Query{Of: TopicPartitions, Topic: "none"}) })
	f(apierr.Unauthorized, func() ([]byte, error) { return body(ctx, c, Query{Of: OneTopic, Topic: "closed"}) })
}

// TestSensitive checks the encoding of odd configurations.
func TestSensitive(t *testing.T) {
	configs := make([]kmsg.DescribeConfigsResponseResourceConfig, 3)
	configs[0].Name, configs[0].Value = "z", kmsg.StringPtr(`a "quoted" value`)
	configs[1].Name, configs[1].Value, configs[1].IsSensitive = "secret", kmsg.StringPtr("shown by mistake"), true
	configs[2].Name = "absent"
	const want = `{"absent":null,"secret":null,"z":"a \"quoted\" value"}`
	if got := string(appendConfigs(nil, configs)); got != want {
		t.Errorf("configs %s, want %s", got, want)
	}
}

// TestConfigsAreKept checks that a topic's configuration is looked up once per MaxAge, however
// many readers ask.
func TestConfigsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{MaxAge: 10 * time.Second}, dialer(network))
		asked := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Observe: true, Count: -1})
		readers := func(want int) {
			t.Helper()
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := body(t.Context(), c, Query{Of: OneTopic, Topic: "t"}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := asked.Hits(); n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
		}
		readers(1)
		time.Sleep(4 * time.Second)
		readers(1)
		time.Sleep(2 * time.Second) // half of MaxAge is over: looked up in the background
		if _, err := body(t.Context(), c, Query{Of: OneTopic, Topic: "t"}); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond)
		readers(2)
		time.Sleep(11 * time.Second)
		readers(3)
	})
}

// held has the next request of a kind wait until release is closed. asked counts all of them.
func held(cluster *kfake.Cluster, kind kmsg.Key) (asked *kfake.FaultHandle, release chan struct{}) {
	asked = cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kind}, Observe: true, Count: -1})
	release = make(chan struct{})
	cluster.ControlKey(int16(kind), func(kmsg.Request) (kmsg.Response, error, bool) {
		<-release
		return nil, nil, false
	})
	return asked, release
}

// A reader that joins a request which began before it, or before a change, waits for the next one.
func TestConfigsOfBefore(t *testing.T) {
	for name, q := range map[string]Query{
		"younger": {Of: OneTopic, Topic: "t", Bounded: true},
		"changed": {Of: OneTopic, Topic: "t"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
				cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
				c := newCache(t, cluster, Settings{MaxAge: time.Hour}, dialer(network))
				if _, err := c.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
				asked, release := held(cluster, kmsg.DescribeConfigs)
				var wg sync.WaitGroup
				read := func(q Query) {
					wg.Go(func() {
						if _, err := body(t.Context(), c, q); err != nil {
							t.Error(err)
						}
					})
				}
				read(Query{Of: OneTopic, Topic: "t"})
				synctest.Wait() // it is on its way
				time.Sleep(time.Millisecond)
				if !q.Bounded {
					c.doubts.Add(1)
					go c.refreshLater()
				}
				read(q)
				synctest.Wait()
				close(release)
				wg.Wait()
				if n := asked.Hits(); n != 2 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

func TestConfigsAreBounded(t *testing.T) {
	s := configs{topics: newConfigs(time.Hour)}
	now := time.Now()
	for i := range 3 * maxConfigs {
		s.put(strconv.Itoa(i), &topicConfigs{at: now})
	}
	if _, ok := s.topics.Get(strconv.Itoa(3*maxConfigs - 1)); !ok || s.topics.Len() != maxConfigs {
		t.Errorf("%d configurations are kept, the last one: %v", s.topics.Len(), ok)
	}
}

// TestOffsets reads the offsets after records were produced, and after the first ones were
// deleted.
func TestOffsets(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, "t"))
	c := newCache(t, cluster, Settings{})
	ctx := testContext(t)
	producer := testkit.Client(t, testkit.Broker{Addrs: cluster.ListenAddrs()}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for range 5 {
		if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "t", Partition: 1}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = "t"
	partition := kmsg.NewDeleteRecordsRequestTopicPartition()
	partition.Partition, partition.Offset = 1, 2
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	if _, err := req.RequestWith(ctx, c.client); err != nil {
		t.Fatal(err)
	}
	asked := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Observe: true, Count: -1})
	if beginning, end, err := offsets(ctx, c, "t", 1); beginning != 2 || end != 5 || err != nil {
		t.Errorf("offsets %d to %d, error %v", beginning, end, err)
	}
	if n := asked.Hits(); n != 2 {
		t.Errorf("%d requests for two offsets", n)
	}
	if beginning, end, err := offsets(ctx, c, "t", 0); beginning != 0 || end != 0 || err != nil {
		t.Errorf("offsets %d to %d, error %v", beginning, end, err)
	}
}

// TestOffsetsShared checks that many concurrent queries about one partition cost one look-up, and
// that a caller that gives up does not cancel the others.
func TestOffsetsShared(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{MaxAge: time.Hour}, dialer(network))
		if _, err := c.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked, release := held(cluster, kmsg.ListOffsets)
		hurried, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			_, _, err := offsets(hurried, c, "t", 0)
			wantKind(t, err, apierr.Interrupted) // nobody reads it: the caller is gone
		}()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, _, err := offsets(t.Context(), c, "t", 0); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		<-left
		close(release)
		wg.Wait()
		if n := asked.Hits(); n != 2 {
			t.Errorf("%d requests for 51 callers", n)
		}
	})
}

// A reader who demands offsets of now does not get those of a request that began before.
func TestOffsetsOfBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{MaxAge: time.Hour}, dialer(network))
		topic, err := c.Topic(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		asked, release := held(cluster, kmsg.ListOffsets)
		var wg sync.WaitGroup
		read := func(maxAge time.Duration) {
			wg.Go(func() {
				began := time.Now()
				a, err := c.offsetsOf(t.Context(), topic, 0, maxAge)
				if err != nil || a.at.Before(began.Add(-maxAge)) {
					t.Errorf("offsets of %v, asked for at %v: %v", a, began, err)
				}
			})
		}
		read(time.Hour)
		synctest.Wait() // it is on its way
		time.Sleep(time.Millisecond)
		read(0)
		read(time.Hour)
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := asked.Hits(); n != 4 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestDeleted checks that a topic that was deleted since the view was taken gives TopicNotFound,
// not an error of Kafka's.
func TestDeleted(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "t"))
	c := newCache(t, cluster, Settings{MaxAge: time.Hour})
	ctx := testContext(t)
	if _, err := c.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr("t")
	req.TopicNames = append(req.TopicNames, "t")
	req.Topics = append(req.Topics, topic)
	if _, err := req.RequestWith(ctx, c.client); err != nil {
		t.Fatal(err)
	}
	_, _, err := offsets(ctx, c, "t", 0)
	wantKind(t, err, apierr.TopicNotFound)
	_, err = body(ctx, c, Query{Of: OneTopic, Topic: "t"})
	wantKind(t, err, apierr.TopicNotFound)
	if out, err := body(ctx, c, Query{Of: AllTopics}); string(out) != "[]" || err != nil {
		t.Errorf("topics %s, error %v", out, err)
	}
	_, err = c.Topic(ctx, "t")
	wantKind(t, err, apierr.TopicNotFound)
}

// Internal topics are not listed, also for a reader who may see some topics only.
func TestInternalIsNotListed(t *testing.T) {
	v := &view{Snapshot: &Snapshot{Topics: []*Topic{{Name: "__own", Internal: true}, {Name: "a"}, {Name: "b"}}}}
	some := func(topic string) bool { return topic != "b" }
	if got := string(v.topicsFor(some).Body); got != `["a"]` {
		t.Errorf("listed %s", got)
	}
}

// Nor do changes tell of them: a reader could not find them in any list.
func TestChangesTellOfNoInternalTopic(t *testing.T) {
	viewOf := func(topics ...*Topic) *view {
		return &view{Snapshot: &Snapshot{Topics: topics, brokers: newAnswer([]byte("{}"))}}
	}
	own := func(leader int32) *Topic {
		return &Topic{Name: "__own", Internal: true, Partitions: []Partition{{Leader: leader}}}
	}
	a, b := &Topic{Name: "a"}, &Topic{Name: "b"}
	for _, c := range []struct {
		was, is *view
		created []string
	}{
		{viewOf(a), viewOf(own(1), a), nil},
		{viewOf(own(1), a), viewOf(own(2), a), nil},
		{viewOf(own(1), a), viewOf(a), nil},
		{viewOf(a), viewOf(own(1), a, b), []string{"b"}},
	} {
		ch, ok := changesOf(c.was, c.is)
		if ok != (c.created != nil) || !slices.Equal(ch.Created, c.created) || len(ch.Deleted)+len(ch.Changed) > 0 {
			t.Errorf("told of %+v, want %q created", ch, c.created)
		}
	}
}
