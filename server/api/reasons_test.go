package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// The words with which Kafka refuses something are in the response: they say more than the code.
func TestReasonsOfKafka(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker)
	const reason = "the policy of the night shift forbids it"
	b.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		req := r.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, of := range req.Topics {
			out := kmsg.ProduceResponseTopic{Topic: of.Topic, TopicID: of.TopicID}
			for _, p := range of.Partitions {
				out.Partitions = append(out.Partitions, kmsg.ProduceResponseTopicPartition{
					Partition: p.Partition, ErrorCode: kerr.PolicyViolation.Code, ErrorMessage: kmsg.StringPtr(reason),
				})
			}
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil, true
	})
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).want(t, 400, `"error_code":40002`).want(t, 400, reason)
	s.do(t, "POST", s.v3(topic)+"/records", `{"value":{"type":"JSON","data":1}}`, plainJSON).want(t, 200, reason)

	b.ControlKey(int16(kmsg.DescribeConfigs), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		req := r.(*kmsg.DescribeConfigsRequest)
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, of := range req.Resources {
			resp.Resources = append(resp.Resources, kmsg.DescribeConfigsResponseResource{
				ErrorCode: kerr.InvalidRequest.Code, ErrorMessage: kmsg.StringPtr(reason), ResourceType: of.ResourceType, ResourceName: of.ResourceName,
			})
		}
		return resp, nil, true
	})
	status := s.do(t, "GET", "/topics/"+topic, "")
	status.want(t, status.status, reason)
	status = s.do(t, "GET", s.v3(topic)+"/configs", "")
	status.want(t, status.status, reason)
}
