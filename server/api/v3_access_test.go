package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// ownRules lets one key see and change the topics telemetry-* and the groups dash-*, and use what
// is about the cluster.
const ownRules = `
rules:
  - who: [key:dash]
    allow: [describe, admin]
    topics: [telemetry-*]
    groups: [dash-*]
    paths: [/v3/*]
  - who: [key:root]
    allow: [all]
`

// Lists that are about many topics or groups have those that the caller may describe.
func TestV3ListsShowWhatTheCallerMaySee(t *testing.T) {
	t.Parallel()
	d := newDoors(t, ownRules)
	f := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "secret"))
	f.ControlKey(int16(kmsg.ListPartitionReassignments), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
		for _, topic := range []string{"telemetry-a", "secret"} {
			moved := kmsg.NewListPartitionReassignmentsResponseTopic()
			moved.Topic = topic
			moved.Partitions = append(moved.Partitions, kmsg.NewListPartitionReassignmentsResponseTopicPartition())
			resp.Topics = append(resp.Topics, moved)
		}
		return resp, nil, true
	})
	s := startV3(t, f.Broker, func(o *stackOptions) { o.access = d.settings })
	for _, group := range []string{"dash-1", "secret-group"} {
		var offsets kadm.Offsets
		offsets.AddOffset("telemetry-a", 0, 0, -1)
		offsets.AddOffset("secret", 0, 0, -1)
		if err := s.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"telemetry-a", "secret"} {
		inTransaction(t, f.Broker, topic, "writer-of-"+topic)
	}
	f.ControlKey(int16(kmsg.ListTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return req.ResponseKind(), nil, true // so that all of them hang
	})
	for _, c := range []struct{ path, seen, kept string }{
		{"/topics", `"telemetry-a"`, `"secret"`},
		{"/topics?include_authorized_operations=true", `"telemetry-a"`, `"secret"`},
		{"/topics/-/configs", `"telemetry-a"`, `"secret"`},
		{"/topics/-/partitions/-/reassignment", `"telemetry-a"`, `"secret"`},
		{"/topics/-/hanging-transactions?idle_ms=0", `"telemetry-a"`, `"secret"`},
		{"/brokers/" + fmt.Sprint(s.broker) + "/partition-replicas", `"telemetry-a"`, `"secret"`},
		{"/brokers/" + fmt.Sprint(s.broker) + "/log-dirs", `"telemetry-a"`, `"secret"`},
		{"/consumer-groups", `"dash-1"`, `"secret-group"`},
		{"/consumer-groups/dash-1/lags", `"telemetry-a"`, `"secret"`},
	} {
		own := s.do(t, "GET", s.cluster+c.path, "", d.dashKey).want(t, 200, c.seen)
		if strings.Contains(own.body, c.kept) {
			t.Errorf("GET %s shows %s: %s", c.path, c.kept, own.body)
		}
		s.do(t, "GET", s.cluster+c.path, "", d.rootKey).want(t, 200, c.kept)
	}
	summary := s.do(t, "GET", s.cluster+"/consumer-groups/dash-1/lag-summary", "", d.dashKey)
	summary.wantAt(t, "max_lag_topic_name", "telemetry-a")
}

// A change that names many topics in its body needs the right to each of them.
func TestV3ChangesOfManyTopicsNeedEachRight(t *testing.T) {
	t.Parallel()
	d := newDoors(t, ownRules)
	f := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "secret"))
	s := startV3(t, f.Broker, func(o *stackOptions) { o.access = d.settings })
	var offsets kadm.Offsets
	offsets.AddOffset("telemetry-a", 0, 7, -1)
	offsets.AddOffset("secret", 0, 7, -1)
	if err := s.admin.CommitAllOffsets(t.Context(), "dash-1", offsets); err != nil {
		t.Fatal(err)
	}
	const reset = "/consumer-groups/dash-1/offsets:reset"
	for _, c := range []struct {
		path, body string
		own        int // the status where all topics are the caller's
	}{
		{"/topics/-/configs:alter", `{"data":[{"topic_name":"telemetry-a","configs":[{"name":"retention.ms","value":"5000"}]},{"topic_name":"TOPIC","configs":[{"name":"retention.bytes","value":"5000"}]}]}`, 204},
		{"/topics/-/partitions/-/leader:elect", `{"data":[{"topic_name":"TOPIC","partition_id":0}]}`, 200},
		{reset, `{"to":"earliest","topics":["TOPIC"]}`, 200},
		{reset, `{"to":"shift","shift":-1,"topics":["TOPIC"]}`, 200},
		{reset, `{"to":"offsets","data":[{"topic_name":"TOPIC","partition_id":0,"offset":0}]}`, 200},
		{reset, `{"to":"earliest","validate_only":true,"topics":["TOPIC"]}`, 200},
	} {
		other := s.do(t, "POST", s.cluster+c.path, strings.Replace(c.body, "TOPIC", "secret", 1), jsonBody, d.dashKey)
		other.want(t, 403, "topic secret")
		// One that does not exist is refused as well: a refusal does not tell which topics there are.
		s.do(t, "POST", s.cluster+c.path, strings.Replace(c.body, "TOPIC", "absent", 1), jsonBody, d.dashKey).want(t, 403, "topic absent")
		own := strings.Replace(c.body, "TOPIC", "telemetry-a", 1)
		if strings.HasSuffix(c.path, "configs:alter") {
			own = strings.Replace(c.body, "TOPIC", "telemetry-b", 1)
			s.do(t, "POST", s.cluster+"/topics", `{"topic_name":"telemetry-b"}`, jsonBody, d.dashKey).want(t, 201, "")
		}
		s.do(t, "POST", s.cluster+c.path, own, jsonBody, d.dashKey).want(t, c.own, "")
	}
	s.do(t, "POST", s.cluster+reset, `{"to":"earliest"}`, jsonBody, d.dashKey).want(t, 403, "topic secret")
	const elect = "/topics/-/partitions/-/leader:elect" // of all partitions
	s.do(t, "POST", s.cluster+elect, `{}`, jsonBody, d.dashKey).want(t, 403, "every topic")
	s.do(t, "POST", s.cluster+elect, `{}`, jsonBody, d.rootKey).want(t, 200, "")
	configs, err := s.admin.DescribeTopicConfigs(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range configs[0].Configs {
		if set.Key == "retention.bytes" && set.MaybeValue() == "5000" {
			t.Error("the topic was changed")
		}
	}
	if at, err := s.admin.FetchOffsets(t.Context(), "dash-1"); err != nil || at["secret"][0].At != 7 {
		t.Errorf("the offsets are %v, %v", at, err)
	}
}
