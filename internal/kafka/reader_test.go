package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

func newReader(t *testing.T, f *testkit.FakeKafka) *Reader {
	t.Helper()
	r, err := NewReader(Settings{Brokers: f.Addrs, DialTimeout: time.Second}, DefaultConsumer())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// fetch reads the values from an offset.
func fetch(t *testing.T, r *Reader, at PartitionRead) (values []string, next int64, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	part, next, err := r.Fetch(ctx, at)
	for _, record := range part.Records {
		values = append(values, string(record.Value))
		record.Recycle()
	}
	return values, next, err
}

// A recreated topic is distinguished from the requested one, also where the new one lacks the
// partition.
func TestReaderTellsARecreatedTopic(t *testing.T) {
	f := testkit.Fake(t, kfake.SeedTopics(2, "t"))
	r := newReader(t, f)
	old, err := r.Topic(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	admin := kadm.NewClient(testkit.Client(t, f.Broker))
	if _, err := admin.DeleteTopics(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	for partition := range int32(2) {
		if _, _, err := fetch(t, r, PartitionRead{Topic: "t", TopicID: old.ID, Partition: partition, MaxBytes: 1}); !errors.Is(err, ErrRecreated) {
			t.Errorf("the read of partition %d got %v", partition, err)
		}
	}
	if _, _, err := fetch(t, r, PartitionRead{Topic: "t", Partition: 1, MaxBytes: 1}); !errors.Is(err, ErrNoPartition) {
		t.Errorf("a read of whichever has the name got %v", err)
	}
}

// Reads of a broker's partitions survive its failure, after the time that the partitions need to
// elect another leader.
func TestReaderOutlivesABroker(t *testing.T) {
	f := testkit.Fake(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "t"))
	client := testkit.Client(t, f.Broker)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, f)
	at := PartitionRead{Topic: "t", MaxBytes: 1 << 20}
	if values, next, err := fetch(t, r, at); err != nil || next != 1 || len(values) != 1 {
		t.Fatalf("%v, next %d, %v", values, next, err)
	}
	if err := f.RemoveNode(f.LeaderFor("t", 0)); err != nil {
		t.Fatal(err)
	}
	if values, next, err := fetch(t, r, at); err != nil || next != 1 || len(values) != 1 {
		t.Fatalf("after the leader went: %v, next %d, %v", values, next, err)
	}
}

// A cached route is not looked up again, except for a partition that may be new.
func TestReaderAsksForLeadersOnce(t *testing.T) {
	f := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	r := newReader(t, f)
	if _, _, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1}); err != nil {
		t.Fatal(err)
	}
	asked := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "t", Observe: true, Count: -1})
	for range 3 {
		if _, _, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Hits(); n != 0 {
		t.Errorf("the leader was asked for %d times", n)
	}
	if _, _, err := fetch(t, r, PartitionRead{Topic: "t", Partition: 1, MaxBytes: 1}); !errors.Is(err, ErrNoPartition) {
		t.Errorf("a partition that does not exist: %v", err)
	}
	if n := asked.Hits(); n != 1 {
		t.Errorf("for a partition that does not exist Kafka was asked %d times", n)
	}
	if _, _, err := fetch(t, r, PartitionRead{Topic: "none", MaxBytes: 1}); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("a topic that does not exist: %v", err)
	}
	r.Close()
	if _, _, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1}); !errors.Is(err, kgo.ErrClientClosed) {
		t.Errorf("a reader that is closed: %v", err)
	}
}

// At the end of its time a fetch returns Kafka's error, not that time is up.
func TestReaderTellsTheLastError(t *testing.T) {
	f := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	r := newReader(t, f)
	defer f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "t", Err: kerr.NotLeaderForPartition, Count: -1}).Remove()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := r.Fetch(ctx, PartitionRead{Topic: "t", MaxBytes: 1}); !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Errorf("got %v", err)
	}
}

// seen records the calls of a hook.
type seen struct{ leaders, batches []int32 }

func (s *seen) OnLeader(_ string, _, leader int32) { s.leaders = append(s.leaders, leader) }

func (s *seen) OnFetchBatchRead(b kgo.BrokerMetadata, topic string, _ int32, m kgo.FetchBatchMetrics) {
	if topic == "t" && m.NumRecords > 0 {
		s.batches = append(s.batches, b.NodeID)
	}
}

// Hooks are notified of the answering broker, and of each batch, as those of clients that poll.
func TestReaderTellsItsHooks(t *testing.T) {
	f := testkit.Fake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "t"))
	if err := testkit.Client(t, f.Broker).ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s := &seen{}
	r, err := NewReader(Settings{Brokers: f.Addrs, Hooks: []kgo.Hook{s}}, DefaultConsumer())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	was := f.LeaderFor("t", 0)
	next := 1 - was
	read := func(offset int64) {
		_, _, err := fetch(t, r, PartitionRead{Topic: "t", Offset: offset, MaxBytes: 1 << 20})
		if err != nil && !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Fatal(err)
		}
	}
	read(0)
	if err := f.MoveTopicPartition("t", 0, next); err != nil {
		t.Fatal(err)
	}
	read(0)
	read(1)
	read(9)
	if want := []int32{was, next, next, next}; !slices.Equal(s.leaders, want) {
		t.Errorf("leaders %v, want %v", s.leaders, want)
	}
	if want := []int32{was, next}; !slices.Equal(s.batches, want) {
		t.Errorf("batches of %v, want %v", s.batches, want)
	}
}

// Records come from the pools and go back there.
func TestReaderRecycles(t *testing.T) {
	f := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	client := testkit.Client(t, f.Broker, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	value := make([]byte, 100_000)
	rand.Read(value[:len(value)/2]) // half of it compresses, so it fits the slice that the pool lends
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, f)
	kept := func() int {
		if values, _, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1 << 20}); err != nil || len(values) != 1 || len(values[0]) != len(value) {
			t.Fatalf("%d records, %v", len(values), err)
		}
		fetchPools.bytes.mu.Lock()
		defer fetchPools.bytes.mu.Unlock()
		return fetchPools.bytes.kept
	}
	first := kept()
	if first < len(value) {
		t.Errorf("the pool holds %d bytes after a read of %d", first, len(value))
	}
	for range 3 {
		if again := kept(); again != first {
			t.Errorf("the pool holds %d bytes after one more read, %d before", again, first)
		}
	}
}

// A broker that does not answer costs impatient reads one wait, not one for each of its
// partitions. Every such read reports the broker.
func TestImpatientReadsLeaveASilentBroker(t *testing.T) {
	f := testkit.Fake(t, kfake.SeedTopics(2, "t"))
	r := newReader(t, f)
	release := make(chan struct{})
	f.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.SleepControl(func() { <-release })
		return nil, nil, false
	})
	read := func(partition int32, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, _, err := r.Fetch(ctx, PartitionRead{Topic: "t", Partition: partition, MaxBytes: 1, Impatient: true})
		return err
	}
	if err := read(0, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the broker that does not answer gives %v", err)
	}
	if err := read(1, time.Hour); !errors.Is(err, errSilent) {
		t.Errorf("another of its partitions gives %v", err)
	}
	close(release)
	if _, _, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1}); err != nil {
		t.Errorf("with patience: %v", err)
	}
	if err := read(1, 20*time.Second); err != nil {
		t.Errorf("the broker that answers again gives %v", err)
	}
}

// The replica that the leader names is asked, and once it refuses, the leader, which names no
// replica to a client without a rack.
func TestReaderFallsBackToTheLeader(t *testing.T) {
	f := testkit.Fake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "t"))
	client := testkit.Client(t, f.Broker)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c := DefaultConsumer()
	c.Rack = "here"
	r, err := NewReader(Settings{Brokers: f.Addrs}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	leader := f.LeaderFor("t", 0)
	var asked []string
	var mu sync.Mutex
	f.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		fetch := req.(*kmsg.FetchRequest)
		node := f.CurrentNode()
		mu.Lock()
		defer mu.Unlock()
		if node != leader {
			asked = append(asked, "replica")
			return nil, nil, false // it reports that it is not the leader
		}
		if fetch.Rack == "" {
			asked = append(asked, "leader")
			return nil, nil, false
		}
		asked = append(asked, "leader of "+fetch.Rack)
		p := kmsg.NewFetchResponseTopicPartition()
		p.PreferredReadReplica = 1 - leader
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID, topic.Partitions = "t", fetch.Topics[0].TopicID, append(topic.Partitions, p)
		resp := fetch.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	for range 2 {
		if values, next, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1 << 20}); err != nil || next != 1 || len(values) != 1 {
			t.Errorf("%v, next %d, %v", values, next, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"leader of here", "replica", "leader", "leader"}; !slices.Equal(asked, want) {
		t.Errorf("asked were %q, want %q", asked, want)
	}
}
