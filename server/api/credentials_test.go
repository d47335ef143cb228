package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A right that Kafka does not give this node is 403 by each way there is, at once: no retry gives
// it.
func TestRightsThatKafkaRefuses(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).want(t, 200, `"offset":0`)
	partition := fmt.Sprintf(`{"topic":%q,"partition":0`, topic)
	assigned := createConsumer(t, s, "")
	s.do(t, "POST", assigned+"/assignments", `{"partitions":[`+partition+`}]}`, plainV2).want(t, 204, "")
	v3 := s.v3(topic)
	const accept = "Accept: application/vnd.kafka.json.v2+json"
	for _, c := range []struct {
		key                       kmsg.Key
		top                       bool
		err                       *kerr.Error
		method, path, body, media string
	}{
		{kmsg.Produce, false, kerr.TopicAuthorizationFailed, "POST", "/topics/" + topic, `{"records":[{"value":1}]}`, jsonV2},
		{kmsg.Produce, false, kerr.TopicAuthorizationFailed, "POST", "/topics", `{"records":[{"topic":"` + topic + `","value":1}]}`, jsonV2},
		{kmsg.Produce, false, kerr.TopicAuthorizationFailed, "POST", "/ingest/" + topic, `{"a":1}`, plainJSON},
		{kmsg.DescribeConfigs, false, kerr.TopicAuthorizationFailed, "GET", "/topics/" + topic, "", plainV2},
		{kmsg.ListOffsets, false, kerr.TopicAuthorizationFailed, "GET", "/topics/" + topic + "/partitions/0/offsets", "", plainV2},
		{kmsg.ListOffsets, false, kerr.TopicAuthorizationFailed, "POST", assigned + "/positions/end", `{"partitions":[` + partition + `}]}`, plainV2},
		{kmsg.ListOffsets, false, kerr.TopicAuthorizationFailed, "POST", assigned + "/positions", `{"timestamps":[` + partition + `,"timestamp":"2026-01-02T03:04:05Z"}]}`, plainV2},
		{kmsg.Fetch, false, kerr.TopicAuthorizationFailed, "GET", "/topics/" + topic + "/partitions/0/records?offset=0", "", accept},
		{kmsg.Fetch, false, kerr.TopicAuthorizationFailed, "GET", "/topics/" + topic + "/partitions/0/messages?offset=0", "", "Accept: application/vnd.kafka.json.v1+json"},
		{kmsg.OffsetCommit, false, kerr.TopicAuthorizationFailed, "POST", assigned + "/offsets", `{"offsets":[` + partition + `,"offset":0}]}`, plainV2},
		{kmsg.OffsetFetch, false, kerr.TopicAuthorizationFailed, "GET", assigned + "/offsets", `{"partitions":[` + partition + `}]}`, plainV2},
		{kmsg.CreateTopics, false, kerr.TopicAuthorizationFailed, "POST", s.v3("")[:len(s.v3(""))-1], `{"topic_name":"new"}`, plainJSON},
		{kmsg.DeleteTopics, false, kerr.TopicAuthorizationFailed, "DELETE", v3, "", plainJSON},
		{kmsg.DescribeConfigs, false, kerr.TopicAuthorizationFailed, "GET", v3 + "/configs", "", plainJSON},
		{kmsg.IncrementalAlterConfigs, false, kerr.TopicAuthorizationFailed, "PUT", v3 + "/configs/retention.ms", `{"value":"1"}`, plainJSON},
		{kmsg.CreatePartitions, false, kerr.TopicAuthorizationFailed, "PATCH", v3, `{"partitions_count":3}`, plainJSON},
		{kmsg.DescribeACLs, true, kerr.ClusterAuthorizationFailed, "GET", s.v3("")[:len(s.v3(""))-len("topics/")] + "acls", "", plainJSON},
	} {
		fault := b.Fault(kfake.Fault{Keys: []kmsg.Key{c.key}, TopLevel: c.top, Err: c.err, Count: -1})
		got := s.do(t, c.method, c.path, c.body, c.media)
		fault.Remove()
		if got.status != 403 {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
			continue
		}
		got.want(t, 403, `40301`)
	}
}
