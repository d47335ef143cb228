package batch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// configured creates a topic of one partition with a setting.
func configured(t *testing.T, b testkit.Broker, setting, value string) string {
	t.Helper()
	topic := testkit.Topic(t)
	admin := kadm.NewClient(testkit.Client(t, b))
	configs := map[string]*string{}
	if setting != "" {
		configs[setting] = &value
	}
	if _, err := admin.CreateTopic(t.Context(), 1, 1, configs, topic); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, "the topic to have a leader", func() bool {
		found, err := admin.ListTopics(t.Context(), topic)
		return err == nil && found[topic].Err == nil && len(found[topic].Partitions) == 1 && found[topic].Partitions[0].Leader >= 0
	})
	return topic
}

// startOn returns a producer for a broker, whose topics have one partition.
func startOn(t *testing.T, b testkit.Broker, change ...func(*kafka.Producer)) *Producer {
	t.Helper()
	k := kafka.DefaultProducer()
	for _, f := range change {
		f(&k)
	}
	client, err := kafka.NewSender(kafka.Settings{Brokers: b.Addrs}, k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kafka.NewCompressor(k.Compression, k.Level)
	if err != nil {
		t.Fatal(err)
	}
	around := cluster
	around.Topic = func(_ context.Context, name string) (string, int32, error) { return strings.Clone(name), 1, nil }
	p := New(client, c, around, Settings{BufferBytes: 32 << 20, Timeout: time.Minute, Linger: time.Millisecond, BatchBytes: 1 << 20}, k)
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// to is produce for a topic.
func to(t *testing.T, p *Producer, topic, text string) (string, error) {
	t.Helper()
	j := p.Acquire()
	j.Body = append(j.Body, text...)
	if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, 10000); err != nil {
		t.Fatal(err)
	}
	got, err := p.Produce(j, topic, AnyPartition, nil, results)
	return strings.TrimSpace(string(got)), err
}

// Kafka refuses records and batches for settings of their topic; clients hear it of their own.
func TestKafkaRefusesRecords(t *testing.T) {
	b := testkit.RealKafka(t)
	p := startOn(t, b)
	later := time.Now().Add(48 * time.Hour).UnixMilli()
	f := func(setting, value, text, want string) {
		t.Helper()
		if got, err := to(t, p, configured(t, b, setting, value), text); got != want || err != nil {
			t.Errorf("%s=%s: %s, %v, want %s", setting, value, got, err, want)
		}
	}
	f("message.timestamp.after.max.ms", "3600000", fmt.Sprintf(`{"records":[{"value":1},{"value":2,"timestamp":%d},{"value":3},{"value":4,"timestamp":%d}]}`, later, later), "0@0 40002 0@1 40002")
	f("cleanup.policy", "compact", `{"records":[{"value":1},{"key":"k","value":2},{"key":"k","value":3}]}`, "50002 0@0 0@1")
	f("message.timestamp.type", "LogAppendTime", fmt.Sprintf(`{"records":[{"value":1},{"value":2,"timestamp":%d}]}`, later), "0@0 0@1")
	var offsets []string
	for i := range 100 {
		offsets = append(offsets, fmt.Sprint("0@", i))
	}
	f("max.message.bytes", "2000", `{"records":[`+strings.Repeat(`{"value":"`+strings.Repeat("x", 98)+`"},`, 99)+`{"value":"`+strings.Repeat("x", 98)+`"}]}`, strings.Join(offsets, " "))
	f("max.message.bytes", "2000", `{"records":[{"value":1},{"value":"`+strings.Repeat("x", 3000)+`"},{"value":3}]}`, "0@0 413 0@1")
}

// Every codec, acks and kind of record: what is read back is what was written.
func TestRecordsComeBack(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const text = `{"records":[{"key":"k","value":{"a":1}},{"value":null},{"key":"","value":"` + "é" + `","headers":[{"key":"h","value":"aGk="},{"key":"n"}],"timestamp":1700000000123},{}]}`
		for _, acks := range []int{0, 1, -1} {
			for _, codec := range kafka.Codecs {
				topic := configured(t, b, "", "")
				p := startOn(t, b, func(k *kafka.Producer) { k.Acks, k.Idempotent, k.Compression = acks, acks == -1, codec })
				long := strings.TrimSuffix(text, "]}") + `,{"value":"` + strings.Repeat("long ", 2000) + `"}]}`
				if got, err := to(t, p, topic, long); err != nil || got != "0@0 0@1 0@2 0@3 0@4" {
					t.Fatalf("acks %d, %s: %s, %v", acks, codec, got, err)
				}
				checkRecords(t, testkit.ReadTopic(t, b, topic, 5), fmt.Sprintf("acks %d, %s", acks, codec))
			}
		}
	})
}

func checkRecords(t *testing.T, r []*kgo.Record, what string) {
	t.Helper()
	if string(r[0].Key) != `"k"` || string(r[0].Value) != `{"a":1}` || r[1].Key != nil || r[1].Value != nil || r[3].Value != nil || len(r[4].Value) != 10_002 {
		t.Errorf("%s: read %.300v", what, r)
	}
	if h := r[2].Headers; len(h) != 2 || h[0].Key != "h" || string(h[0].Value) != "hi" || h[1].Value != nil || r[2].Timestamp.UnixMilli() != 1700000000123 {
		t.Errorf("%s: headers %q, timestamp %v", what, r[2].Headers, r[2].Timestamp)
	}
	if age := time.Since(r[0].Timestamp); age < 0 || age > time.Minute {
		t.Errorf("%s: the time is %v", what, r[0].Timestamp)
	}
}
