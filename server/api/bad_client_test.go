package api_test

import (
	"fmt"
	"math"
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
// any timestamp.
type strictClock struct {
	t        *testing.T
	mu       sync.Mutex
	requests int // Produce requests
	refused  int // of them
	delayed  int // records without a fault in those, which have to come again
}

const aheadLimit = time.Hour

func (c *strictClock) produce(r kmsg.Request) (kmsg.Response, error, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
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
// nothing: none of their records is refused, at most one in a hundred comes to Kafka twice, so that
// their p99 is not of those, and Kafka gets at most a tenth more requests.
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
	s := start(t, b.Broker)
	const clients, each, share = 9, 400, 100
	var clean atomic.Int64 // records that were acked
	due := make(chan struct{}, clients*each)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range each {
				r, err := s.try("POST", "/topics/t", `{"records":[{"value":1}]}`, jsonV2)
				if err != nil || r.status != 200 {
					t.Errorf("a clean client got %v, %v", r, err)
					return
				}
				if clean.Add(1)%(share-1) == 0 {
					due <- struct{}{}
				}
			}
		})
	}
	bad := 0
	ended := make(chan struct{})
	go func() { all.Wait(); close(due); close(ended) }()
	for range due {
		bad++
		s.do(t, "POST", "/topics/t", fmt.Sprintf(`{"records":[{"value":2,"timestamp":%d}]}`, time.Now().Add(48*time.Hour).UnixMilli()), jsonV2).
			want(t, 400, "record 0 of the request")
	}
	<-ended
	clock.mu.Lock()
	defer clock.mu.Unlock()
	if n := int(clean.Load()); n != clients*each || bad < n/share || clock.delayed*100 > n {
		t.Errorf("%d records of clean clients are acked, of which %d came twice, and %d of the bad one refused", n, clock.delayed, bad)
	}
	if without := clock.requests - clock.refused; clock.requests*10 > without*11 || clock.refused == 0 {
		t.Errorf("%d requests to Kafka, of which %d were refused", clock.requests, clock.refused)
	}
	t.Logf("%d requests, %d refused, %d records twice, %d bad", clock.requests, clock.refused, clock.delayed, bad)
}
