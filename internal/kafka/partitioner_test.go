package kafka

import (
	"errors"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestMurmur2 has the vectors of Kafka's own UtilsTest.
func TestMurmur2(t *testing.T) {
	f := func(key string, want int32) {
		t.Helper()
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
	f("21", -973932308)
	f("foobar", -790332482)
	f("a-little-bit-long-string", -985981536)
	f("a-little-bit-longer-string", -1486304829)
	f("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)
	f("abc", 479470107)
}

// TestKeyedPartition has the choices of a Java producer among 1,000 partitions.
func TestKeyedPartition(t *testing.T) {
	p := Partitioner(16 << 10).ForTopic("t")
	f := func(key string, want int) {
		t.Helper()
		r := &kgo.Record{Partition: AnyPartition, Key: []byte(key)}
		if !p.RequiresConsistency(r) {
			t.Errorf("key %q may go astray while a partition is down", key)
		}
		if got := p.Partition(r, 1000); got != want {
			t.Errorf("key %q goes to %d, want %d", key, got, want)
		}
	}
	f("", 681)
	f("a", 524)
	f("ab", 434)
	f("abc", 107)
	f("123456789", 566)
	f("\x00 ", 742)
}

func TestExplicitPartition(t *testing.T) {
	p := Partitioner(16 << 10).ForTopic("t")
	for _, partition := range []int32{0, 7, math.MaxInt32} {
		r := &kgo.Record{Partition: partition, Key: []byte("k")}
		if !p.RequiresConsistency(r) || p.Partition(r, 3) != int(partition) {
			t.Errorf("partition %d is not taken as it is", partition)
		}
	}
}

// TestStickyPartition checks that keyless records stay for the sticky bytes,
// are even over the partitions, and survive a change of their number.
func TestStickyPartition(t *testing.T) {
	p := Partitioner(1000).ForTopic("t")
	r := &kgo.Record{Partition: AnyPartition, Value: make([]byte, 100-recordOverhead)}
	if p.RequiresConsistency(r) {
		t.Error("a keyless record waits for a partition that is down")
	}
	var counts [4]int
	last, moves := -1, 0
	for range 4000 {
		got := p.Partition(r, 4)
		counts[got]++
		if got != last {
			last, moves = got, moves+1
		}
	}
	if counts != [4]int{1000, 1000, 1000, 1000} || moves != 400 {
		t.Errorf("counts %v in %d moves", counts, moves)
	}
	for _, n := range []int{1, 3, 2, 7, 1} {
		for range 50 {
			if got := p.Partition(r, n); got < 0 || got >= n {
				t.Fatalf("chose %d of %d", got, n)
			}
		}
	}
	empty := &kgo.Record{Partition: AnyPartition, Headers: []kgo.RecordHeader{{Key: "k", Value: []byte("v")}}}
	seen := map[int]bool{}
	for range 400 {
		seen[p.Partition(empty, 4)] = true
	}
	if len(seen) != 4 {
		t.Errorf("records without a value stay on %v", seen)
	}
}

// TestProduceError produces to partitions that do not exist.
func TestProduceError(t *testing.T) {
	_, settings := newCluster(t, kfake.SeedTopics(3, "t"))
	producer := newProducer(t, settings, DefaultProducer())
	ctx := testContext(t)
	f := func(topic string, partition int32, want bool) {
		t.Helper()
		got, err := producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition}).First()
		if err = ProduceError(got, err); errors.Is(err, ErrNoPartition) != want {
			t.Errorf("%s/%d: error %v, no such partition %v", topic, partition, err, !want)
		}
		if err == nil && partition >= 0 && got.Partition != partition {
			t.Errorf("%s/%d went to %d", topic, partition, got.Partition)
		}
	}
	f("t", 0, false)
	f("t", 2, false)
	f("t", 3, true)
	f("t", math.MaxInt32, true)
	f("t", AnyPartition, false)
	f("", 0, false) // fails, for another reason
}

// TestPartitionerLocks guards the performance of the whole produce path, see
// topicPartitioner.
func TestPartitionerLocks(t *testing.T) {
	if _, bad := Partitioner(1).ForTopic("t").(kgo.TopicPartitionerOnNewBatch); bad {
		t.Error("the partitioner makes the client hold the topic's lock while it buffers")
	}
}
