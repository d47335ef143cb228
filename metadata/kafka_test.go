package metadata

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// TestBrokers walks a topic's life, as a produce request and readers see it, on kfake and on
// Kafka. Kafka takes a moment to create a topic, and reports an unknown topic meanwhile.
func TestBrokers(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		ctx := testContext(t)
		name := testkit.Topic(t)
		creating := startCache(t, b.Addrs, Settings{CreateTopics: true})
		reading := startCache(t, b.Addrs, Settings{})
		for _, c := range []*Cache{creating, reading} {
			if err := c.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err := reading.Topic(ctx, name)
		wantKind(t, err, apierr.TopicNotFound)
		_, err = body(ctx, creating, Query{Of: TopicPartitions, Topic: name})
		wantKind(t, err, apierr.TopicNotFound)
		if took := time.Since(began); took > 5*time.Second { // a wait for the topic takes twice that
			t.Errorf("two refusals took %v", took)
		}

		topic, err := creating.Topic(ctx, name)
		if err != nil || topic.Name != name || len(topic.Partitions) != 1 {
			t.Fatalf("topic %+v, error %v", topic, err)
		}
		if out, err := body(ctx, creating, Query{Of: AllTopics}); err != nil || !bytes.Contains(out, []byte(`"`+name+`"`)) {
			t.Errorf("the topics are %s, error %v", out, err)
		}

		producer := testkit.Client(t, b, kgo.WithHooks(creating.Hook()))
		for range 3 {
			if err := producer.ProduceSync(ctx, &kgo.Record{Topic: name}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Eventually(t, 10*time.Second, "the other cache to forget that there was no topic", func() bool {
			_, err := reading.Topic(ctx, name)
			return err == nil
		})
		if out, err := body(ctx, reading, Query{Of: PartitionOffsets, Topic: name, Partition: 0}); string(out) != `{"beginning_offset":0,"end_offset":3}` {
			t.Errorf("offsets %s, error %v", out, err)
		}
		out, err := body(ctx, reading, Query{Of: OneTopic, Topic: name})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Name       string
			Configs    map[string]*string
			Partitions []struct{ Partition, Leader int }
		}
		if err := json.Unmarshal(out, &got); err != nil || got.Name != name || len(got.Partitions) != 1 || got.Partitions[0].Leader < 0 {
			t.Errorf("topic %s, error %v", out, err)
		}
		if v := got.Configs["retention.ms"]; v == nil || *v != "604800000" {
			t.Errorf("retention.ms is %v in %s", v, out)
		}
	})
}

// TestRealNames checks that ValidTopicName agrees with Kafka's rule for names.
func TestRealNames(t *testing.T) {
	b := testkit.RealKafka(t)
	c := startCache(t, b.Addrs, Settings{CreateTopics: true})
	ctx := testContext(t)
	for _, name := range []string{"ok.name_with-all", "...", strings.Repeat("n", 249), ".", "..", "a b", "a/b", "é", strings.Repeat("n", 250)} {
		_, err := c.search(ctx, name, true)
		if refused := err != nil && apierr.KafkaInvalid.Is(c.explain(err)); refused == ValidTopicName(name) {
			t.Errorf("%q: valid is %v, Kafka says %v", name, ValidTopicName(name), err)
		}
	}
}
