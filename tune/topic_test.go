package tune

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// fill writes records to their topic, all that stand in one slice as one batch. The library's
// producer would not do: whatever makes it send to a broker sends a batch that waits for more.
func fill(t *testing.T, b testkit.Broker, codec kgo.CompressionCodec, batches ...[]*kgo.Record) {
	t.Helper()
	compressor, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 12) // the last one that names topics
	cl := testkit.Client(t, b, kgo.MaxVersions(versions))
	for _, records := range batches {
		raw := cut(records, 1<<30, 1)[0]
		payload, used := compressor.Compress(new(bytes.Buffer), raw.bytes)
		topic, partition := records[0].Topic, records[0].Partition
		req := testkit.ProduceRequest(topic, partition, whole(t, raw, records[0].Timestamp, int(used), payload))
		// A new leader may not know yet that it is one.
		testkit.Eventually(t, time.Minute, "the leader to take the batch", func() bool {
			topics, err := kadm.NewClient(cl).ListTopics(t.Context(), topic)
			if err != nil {
				t.Fatal(err)
			}
			leader := topics[topic].Partitions[partition].Leader
			err = testkit.SendProduce(t.Context(), cl.Broker(int(leader)), req)
			if err != nil && !kerr.IsRetriable(err) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
}

// numbered returns n records of a partition with their number as value.
func numbered(topic string, partition int32, n int, at time.Time) (all []*kgo.Record) {
	for i := range n {
		all = append(all, &kgo.Record{
			Topic: topic, Partition: partition, Timestamp: at,
			Value: fmt.Appendf(nil, `{"partition":%d,"n":%d,"text":"so that there is something to compress, compress, compress"}`, partition, i),
		})
	}
	return all
}

func TestReadTopic(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		base := kafka.Settings{Brokers: b.Addrs}
		begin := time.Now().Add(-2 * time.Hour)
		topic := testkit.CreateTopic(t, b, 3) // one of which stays empty
		fill(t, b, kgo.GzipCompression(), numbered(topic, 0, 300, begin), numbered(topic, 1, 100, begin))
		s, err := ReadTopic(t.Context(), base, topic, 40)
		if err != nil {
			t.Fatal(err)
		}
		// The newest of each partition, in proportion, and in order.
		if len(s.Records) != 40 || len(s.Notes) != 0 {
			t.Errorf("%d records, notes %v", len(s.Records), s.Notes)
		}
		for i, r := range s.Records {
			partition, n := 0, 270+i
			if i >= 30 {
				partition, n = 1, 90+i-30
			}
			if want := fmt.Sprintf(`{"partition":%d,"n":%d,`, partition, n); !strings.HasPrefix(string(r.Value), want) {
				t.Fatalf("record %d is %s, want %s", i, r.Value, want)
			}
		}
		if s.Replicas != 1 || math.Abs(s.Rate-400.0/7200) > 0.001 || s.RateFrom != "measured over the last 2h0m0s" {
			t.Errorf("%d replicas, %v records/s, %s", s.Replicas, s.Rate, s.RateFrom)
		}
		// Whole batches are fetched: those of 300 and of 100 records.
		if st := s.Stored; st == nil || st.Batches != 2 || st.Records != 200 || st.Ratio < 5 || !maps.Equal(st.Codecs, map[string]int{"gzip": 2}) {
			t.Errorf("stored: %+v", s.Stored)
		} else if mean := (300*300 + 100*100) / 400 * 110; st.Bytes < mean*8/10 || st.Bytes > mean*12/10 {
			t.Errorf("the average byte lies in a batch of %d bytes, want about %d", st.Bytes, mean)
		}

		s, err = ReadTopic(t.Context(), base, topic, 1000)
		if err != nil || len(s.Records) != 400 || !slices.Equal(s.Notes, []string{"the topic holds 400 records, fewer than the sample of 1,000"}) {
			t.Errorf("all: %d records, notes %v, %v", len(s.Records), s.Notes, err)
		}
	})
}

func TestReadTopicFailsClearly(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		base := kafka.Settings{Brokers: b.Addrs}
		topic := testkit.CreateTopic(t, b, 2)
		fails := func(topic, want string) {
			t.Helper()
			if _, err := ReadTopic(t.Context(), base, topic, 10); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		fails(topic, "topic "+topic+" is empty")
		fails(topic+"-missing", "UNKNOWN_TOPIC_OR_PARTITION")
	})
}

// TestReadTopicPassesTransactions reads a topic whose last offset is the marker of a transaction,
// which is no record.
func TestReadTopicPassesTransactions(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		cl := testkit.Client(t, b, kgo.TransactionalID(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(ctx, numbered(topic, 0, 5, time.Now())...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		s, err := ReadTopic(ctx, kafka.Settings{Brokers: b.Addrs}, topic, 100)
		if err != nil || len(s.Records) != 5 {
			t.Fatalf("%d records, %v", len(s.Records), err)
		}
		if s.Rate != 0 { // the topic is younger than a minute
			t.Errorf("a rate of %v", s.Rate)
		}
	})
}

// TestReadTopicBoundsBytes reads large records: the sample stays small, and
// each partition has its share.
func TestReadTopicBoundsBytes(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	large := func(partition int32) (all []*kgo.Record) {
		for range 12 {
			all = append(all, &kgo.Record{Topic: topic, Partition: partition, Value: make([]byte, 900_000)})
		}
		return all
	}
	fill(t, b, kgo.SnappyCompression(), large(0), large(1))
	s, err := ReadTopic(t.Context(), kafka.Settings{Brokers: b.Addrs}, topic, 24)
	if err != nil {
		t.Fatal(err)
	}
	var of [2]int
	for _, r := range s.Records {
		of[r.Partition]++
	}
	if of != [2]int{5, 5} || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "first 8 MB") {
		t.Errorf("%v records of the partitions, notes %v", of, s.Notes)
	}
}
