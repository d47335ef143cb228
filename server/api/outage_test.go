package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A record of which Kafka does not say whether it has it has a code of its own in its slot, and
// takes no other's slot with it. v1 has only the code for a retry; a request of nothing else is
// 504, and asks for no retry.
func TestUnknownRecordsHaveTheirCode(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	// A busy machine must have sent the records by then: what was not is answered with 503.
	s := start(t, b.Broker, func(o *stackOptions) { o.producer.DeliveryTimeout = 3 * time.Second })
	topic := testkit.CreateTopic(t, b.Broker, 2)
	b.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		return answerProduce(r.(*kmsg.ProduceRequest)), nil, true
	})
	const records = `{"records":[{"value":1,"partition":0},{"value":2,"partition":1}]}`
	s.do(t, "POST", "/topics/"+topic, records, jsonV2).want(t, 200, `{"partition":0,"offset":7,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":50401,"error":"Kafka did not say`)
	s.do(t, "POST", "/topics/"+topic, records, "Content-Type: application/vnd.kafka.json.v1+json").want(t, 200, `"error_code":2,"error":"Kafka did not say`)
	whole := s.do(t, "POST", "/topics/"+topic+"/partitions/1", `{"records":[{"value":2}]}`, jsonV2)
	whole.want(t, 504, `"error_code":50401`)
	if after := whole.header.Get("Retry-After"); after != "" || !strings.Contains(whole.body, "may double") {
		t.Errorf("Retry-After %q: %s", after, whole.body)
	}
}

// answerProduce writes partition 0, and partition 1 to too few replicas.
func answerProduce(r *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	resp := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, asked := range r.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
		for _, p := range asked.Partitions {
			answer := kmsg.NewProduceResponseTopicPartition()
			answer.Partition, answer.BaseOffset = p.Partition, 7
			if p.Partition == 1 {
				answer.ErrorCode, answer.BaseOffset = kerr.NotEnoughReplicasAfterAppend.Code, -1
			}
			topic.Partitions = append(topic.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// A partition whose leader lacks replicas in sync is answered for long before produce.timeout.ms:
// 503 and in a slot 50003, which say that nothing was written. Others are served.
func TestTooFewReplicasAreToldSoon(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.producer.SilenceLimit = time.Second })
	topic := testkit.CreateTopic(t, b.Broker, 2)
	b.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		resp := answerProduce(r.(*kmsg.ProduceRequest))
		for t := range resp.Topics {
			for p := range resp.Topics[t].Partitions {
				if answer := &resp.Topics[t].Partitions[p]; answer.ErrorCode != 0 {
					answer.ErrorCode = kerr.NotEnoughReplicas.Code
				}
			}
		}
		return resp, nil, true
	})
	began := time.Now()
	whole := s.do(t, "POST", "/topics/"+topic+"/partitions/1", `{"records":[{"value":2}]}`, jsonV2)
	whole.want(t, 503, `"error_code":50312,"message":"Kafka takes no records for the partition`)
	if whole.header.Get("Retry-After") == "" {
		t.Error("without Retry-After")
	}
	const records = `{"records":[{"value":1,"partition":0},{"value":2,"partition":1}]}`
	s.do(t, "POST", "/topics/"+topic, records, jsonV2).want(t, 200, `{"partition":0,"offset":7,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":50003`)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
