package batch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/pool"
)

// cluster has the topic "t" with three partitions.
var cluster = Cluster{
	Topic: func(_ context.Context, name string) (string, int32, error) {
		if name != "t" {
			return "", 0, apierr.TopicNotFound.Err()
		}
		return "t", 3, nil
	},
	Healthy:      func() error { return nil },
	Contradicted: func() {},
}

// start returns a producer for the model, which has the topic "t", until t ends.
func start(t testing.TB, m *model, change ...func(*Cluster, *Settings, *kafka.Producer)) *Producer {
	t.Helper()
	if m.topics["t"] == nil {
		m.create("t", 3)
	}
	before := pool.Outstanding()
	c, s, k := cluster, Settings{BufferBytes: 1 << 20, Timeout: 10 * time.Second, Linger: time.Millisecond, BatchBytes: 1 << 16}, kafka.DefaultProducer()
	for _, f := range change {
		f(&c, &s, &k)
	}
	none, err := kafka.NewCompressor(k.Compression, k.Level)
	if err != nil {
		t.Fatal(err)
	}
	p := New(m, none, c, s, k)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		if p.Held() != 0 || p.Buffered() != 0 {
			t.Errorf("%d bytes are still admitted, %d records buffered", p.Held(), p.Buffered())
		}
		if n := pool.Outstanding() - before; n != 0 {
			t.Errorf("%d pooled things were not released", n)
		}
	})
	return p
}

// fill makes a job of the records in body.
func fill(t testing.TB, p *Producer, body string) *Job {
	t.Helper()
	j := p.Acquire()
	j.Body = append(j.Body, body...)
	if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, 10000); err != nil {
		t.Fatal(err)
	}
	return j
}

// results writes each record's result: partition@offset or the error's code.
func results(dst []byte, j *Job) []byte {
	for i := range j.Len() {
		p, o, err := j.Result(i)
		if err != nil {
			dst = fmt.Appendf(dst, "%d ", err.Kind.Code)
			continue
		}
		dst = fmt.Appendf(dst, "%d@%d ", p, o)
	}
	return dst
}

// produce sends one request and returns its results as text.
func produce(t testing.TB, p *Producer, body string, partition int32) (string, error) {
	t.Helper()
	got, err := p.Produce(fill(t, p, body), "t", partition, nil, results)
	return strings.TrimSpace(string(got)), err
}

func TestProduceAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := start(t, m)
		f := func(body string, partition int32, want string, kind *apierr.Kind) {
			t.Helper()
			got, err := produce(t, p, body, partition)
			if kind == nil && err != nil || kind != nil && !kind.Is(err) {
				t.Errorf("%s: error %v, want %v", body, err, kind)
			}
			if got != want {
				t.Errorf("%s: %q, want %q", body, got, want)
			}
		}
		f(`{"records":[{"value":1,"partition":0},{"value":2,"partition":0}]}`, AnyPartition, "0@0 0@1", nil)
		f(`{"records":[{"value":1},{"value":2,"partition":1}]}`, 2, "2@0 1@0", nil)
		// A partition that does not exist fails its own slot only.
		f(`{"records":[{"partition":9},{"partition":1},{"partition":-5}]}`, AnyPartition, "40402 1@1 40402", nil)
		// When all fail for one reason the request does.
		f(`{"records":[{"partition":9},{"partition":-1}]}`, AnyPartition, "", apierr.PartitionNotFound)
		f(`{"records":[{"value":1}]}`, 3, "", apierr.PartitionNotFound)
		f(`{"records":[{"value":"bad"},{"value":"bad"}]}`, 0, "", apierr.KafkaInvalid)
		// Several reasons, or one success, and each record keeps its own result.
		f(`{"records":[{"value":"bad"},{"partition":9}]}`, 0, "40002 40402", nil)
		f(`{"records":[{"value":1},{"value":"bad"},{"value":3}]}`, 0, "0@2 40002 0@3", nil)
	})
}

// An error of Kafka's that contradicts the metadata starts a new look-up, and is retriable.
func TestContradictedMetadata(t *testing.T) {
	f := func(err *kerr.Error, want int, kind *apierr.Kind) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			m, count := newModel(), 0
			m.fault = func(string, int32, *kmsg.RecordBatch) int16 { return err.Code }
			p := start(t, m, func(c *Cluster, _ *Settings, k *kafka.Producer) {
				c.Contradicted = func() { count++ }
				k.Retries = 0
			})
			if _, got := produce(t, p, `{"records":[{"value":1}]}`, 2); !kind.Is(got) || count != want {
				t.Errorf("%v: %v, looked up again %d times", err, got, count)
			}
		})
	}
	f(kerr.UnknownTopicOrPartition, 1, apierr.TopicNotFound)
	f(kerr.NotLeaderForPartition, 1, apierr.KafkaRetriable)
	f(kerr.LeaderNotAvailable, 1, apierr.KafkaRetriable)
	f(kerr.NotEnoughReplicas, 0, apierr.KafkaRetriable)
}

func TestUnknownTopicAndDeadClusterFailAtOnce(t *testing.T) {
	p := start(t, newModel())
	if _, err := p.Produce(fill(t, p, `{"records":[{}]}`), "nope", AnyPartition, nil, results); !apierr.TopicNotFound.Is(err) {
		t.Errorf("unknown topic: %v", err)
	}
	q := start(t, newModel(), func(c *Cluster, _ *Settings, _ *kafka.Producer) {
		c.Healthy = func() error { return apierr.BrokersAway.Err() }
	})
	if _, err := q.Produce(fill(t, q, `{"records":[{}]}`), "t", AnyPartition, nil, results); !apierr.BrokersAway.Is(err) {
		t.Errorf("no brokers: %v", err)
	}
}

// A request that comes behind the end of the producer, as of a sender that was answered before its
// records were sent, is refused.
func TestProduceAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newModel())
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); err == nil {
			t.Errorf("it is written: %s", got)
		}
	})
}
