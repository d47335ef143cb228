package api_test

import (
	"testing"

	"millrace/internal/testkit"
)

const plainJSON = "Content-Type: application/json"

// v3 returns the path of a topic's v3 resources.
func (s *stack) v3(topic string) string {
	return "/v3/clusters/" + s.metadata.Known().ClusterID + "/topics/" + topic
}

func TestV3Record(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	s.do(t, "POST", s.v3(topic)+"/records", `{"value":{"type":"BINARY","data":"aGVsbG8="}}`, plainJSON).
		want(t, 200, `"partition_id":0,"offset":0,"timestamp":"2`).want(t, 200, `Z","value":{"type":"BINARY","size":5}}`+"\r\n")
	s.do(t, "POST", s.v3(topic)+"/records", `{"key":{"type":"JSON","data":"k"},"value":{"type":"JSON","data":{"a":1}}}`, plainJSON).
		want(t, 200, `"offset":1`).want(t, 200, `"key":{"type":"JSON","size":3},"value":{"type":"JSON","size":7}}`)
}
