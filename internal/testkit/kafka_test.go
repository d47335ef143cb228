package testkit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// produce writes n records with the given codec, one batch, and waits for Kafka.
func produce(t *testing.T, b testkit.Broker, topic string, n int, codec kgo.CompressionCodec) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl := testkit.Client(t, b, kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(codec))
	var records []*kgo.Record
	for i := range n {
		// Enough of the same that a batch is smaller compressed.
		records = append(records, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%0300d", i)})
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("cannot produce to %s: %v", b.Name, err)
	}
}

func TestReadTopicOnBothSeesEveryCodec(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		codecs := map[string]kgo.CompressionCodec{
			"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
			"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
		}
		for name, codec := range codecs {
			topic := testkit.Topic(t)
			produce(t, b, topic, 50, codec)
			for i, r := range testkit.ReadTopic(t, b, topic, 50) {
				if want := fmt.Sprintf("%0300d", i); string(r.Value) != want {
					t.Fatalf("%s: record %d is %q", name, i, r.Value)
				}
				if got := testkit.RecordCodec(r); got != name {
					t.Fatalf("record %d has codec %s, want %s", i, got, name)
				}
			}
		}
	})
}

func TestCreateTopicOnBoth(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 3)
		cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for p := int32(2); p >= 0; p-- {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: p}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		for i, r := range testkit.ReadTopic(t, b, topic, 3) {
			if r.Partition != int32(i) {
				t.Fatalf("record %d is of partition %d", i, r.Partition)
			}
		}
	})
}

func TestKafkaKeepsDataAndPortOverKillAndStop(t *testing.T) {
	k := testkit.StartKafka(t, testkit.KafkaOptions{Properties: map[string]string{"num.partitions": "2"}})
	topic := testkit.Topic(t)
	produce(t, k.Broker, topic, 10, kgo.NoCompression())
	for name, end := range map[string]func(){"kill": k.Kill, "stop": k.Stop} {
		end()
		select {
		case <-k.Exited():
		default:
			t.Fatalf("%s left the broker running", name)
		}
		k.Start(t)
		testkit.ReadTopic(t, k.Broker, topic, 10)
	}
}
