package api_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// strictClock refuses records from the future as Kafka does by default, and names them. kfake takes
// any timestamp. It takes brokerTime for a Produce request, so that many wait for one and share the
// next.
type strictClock struct {
	t        *testing.T
	mu       sync.Mutex
	requests int // Produce requests
	refused  int // of them
	delayed  int // records without a fault in those, which have to come again
}

const (
	aheadLimit = time.Hour
	brokerTime = time.Millisecond
)

func (c *strictClock) produce(r kmsg.Request) (kmsg.Response, error, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	<-time.After(brokerTime)
	c.requests++
	in := r.(*kmsg.ProduceRequest)
	out := in.ResponseKind().(*kmsg.ProduceResponse)
	latest, refused := time.Now().Add(aheadLimit), false
	for _, t := range in.Topics {
		of := kmsg.NewProduceResponseTopic()
		of.Topic, of.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			batch := kmsg.NewFetchResponseTopicPartition()
			batch.RecordBatches, batch.HighWatermark = append([]byte(nil), p.Records...), math.MaxInt64
			got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &batch, kgo.DefaultDecompressor(), nil)
			if got.Err != nil {
				c.t.Error(got.Err)
			}
			answer := kmsg.NewProduceResponseTopicPartition()
			answer.Partition = p.Partition
			for i, record := range got.Records {
				if record.Timestamp.After(latest) {
					e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
					e.RelativeOffset = int32(i)
					answer.ErrorCode, answer.ErrorRecords, refused = kerr.InvalidTimestamp.Code, append(answer.ErrorRecords, e), true
				}
			}
			c.delayed += len(got.Records) * min(len(answer.ErrorRecords), 1)
			c.delayed -= len(answer.ErrorRecords)
			of.Partitions = append(of.Partitions, answer)
		}
		out.Topics = append(out.Topics, of)
	}
	if refused {
		c.refused++
	}
	return out, nil, refused
}

// configs answers with the settings that strictClock has.
func (c *strictClock) configs(r kmsg.Request) (kmsg.Response, error, bool) {
	in := r.(*kmsg.DescribeConfigsRequest)
	out := in.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for _, asked := range in.Resources {
		of := kmsg.NewDescribeConfigsResponseResource()
		of.ResourceType, of.ResourceName = asked.ResourceType, asked.ResourceName
		for name, value := range map[string]string{
			"message.timestamp.type":         "CreateTime",
			"message.timestamp.after.max.ms": fmt.Sprint(aheadLimit.Milliseconds()),
		} {
			config := kmsg.NewDescribeConfigsResponseResourceConfig()
			config.Name, config.Value = name, &value
			of.Configs = append(of.Configs, config)
		}
		out.Resources = append(out.Resources, of)
	}
	return out, nil, true
}

// One client in ten, whose clock is ahead, sends one record in a hundred. The others notice
// nothing: none of their records is refused, at most one in a hundred comes to Kafka twice, Kafka
// gets at most a tenth more requests, and their p99 is at most half as long again as without the
// bad one.
func TestBadClientCostsOthersNothing(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	clock := &strictClock{t: t}
	for key, f := range map[kmsg.Key]func(kmsg.Request) (kmsg.Response, error, bool){kmsg.Produce: clock.produce, kmsg.DescribeConfigs: clock.configs} {
		b.Cluster.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) {
			b.Cluster.KeepControl()
			return f(r)
		})
	}
	m := mixedClients{start(t, b.Broker)}
	with := m.run(t, true)
	alone := m.run(t, false)
	clock.check(t, with)
	// A code path that takes longer does so each time, a busy machine now and then.
	for tries := 1; p99(with.took)*2 > p99(alone.took)*3 && !t.Failed(); tries++ {
		if tries == 8 {
			t.Errorf("p99 of clean clients is %v beside a bad one, %v without", p99(with.took), p99(alone.took))
		}
		with, alone = m.run(t, true), m.run(t, false)
	}
	t.Logf("p99 of clean clients %v beside the bad one, %v without", p99(with.took), p99(alone.took))
}

// check compares what Kafka got with what the clients sent, of whom one was bad.
func (c *strictClock) check(t *testing.T, got sent) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	clean := len(got.took)
	if got.bad < clean/share || c.delayed*100 > clean {
		t.Errorf("%d records of clean clients are acked, of which %d came twice, and %d of the bad one refused", clean, c.delayed, got.bad)
	}
	if without := c.requests - c.refused; c.requests*10 > without*11 || c.refused == 0 {
		t.Errorf("%d requests to Kafka, of which %d were refused", c.requests, c.refused)
	}
	t.Logf("%d requests, %d refused, %d records twice, %d bad", c.requests, c.refused, c.delayed, got.bad)
}

// mixedClients are clean clients and, perhaps, a bad one that sends a record for share-1 of theirs.
type mixedClients struct{ s *stack }

const cleanClients, cleanRequests, share = 9, 200, 100

// sent is what became of the requests of a run.
type sent struct {
	took []time.Duration // by the requests of clean clients
	bad  int             // requests of the bad one, all of them refused
}

// run sends all requests of the clean clients, each of one record.
func (m mixedClients) run(t *testing.T, bad bool) sent {
	t.Helper()
	took := make([]time.Duration, cleanClients*cleanRequests)
	var clean atomic.Int64 // records that were acked
	due := make(chan struct{}, len(took))
	var all sync.WaitGroup
	for client := range cleanClients {
		all.Go(func() {
			for i := range cleanRequests {
				began := time.Now()
				r, err := m.s.try("POST", "/topics/t", `{"records":[{"value":1}]}`, jsonV2)
				if err != nil || r.status != 200 {
					t.Errorf("a clean client got %v, %v", r, err)
					return
				}
				took[client*cleanRequests+i] = time.Since(began)
				if clean.Add(1)%(share-1) == 0 && bad {
					due <- struct{}{}
				}
			}
		})
	}
	go func() { all.Wait(); close(due) }()
	got := sent{took: took}
	for range due {
		got.bad++
		m.s.do(t, "POST", "/topics/t", fmt.Sprintf(`{"records":[{"value":2,"timestamp":%d}]}`, time.Now().Add(48*time.Hour).UnixMilli()), jsonV2).
			want(t, 400, "record 0 of the request")
	}
	return got
}

func p99(took []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(took))[len(took)*99/100]
}
