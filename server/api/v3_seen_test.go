package api_test

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// lagging are brokers that hear of a change of a topic later than the controller, as Kafka's do:
// some of their responses after it are of before.
type lagging struct {
	*v3
	fake *testkit.FakeKafka
	path string
	// stale is how many responses are still of before.
	stale atomic.Int32
	// before and after are the replicas of the partition. The first of after leads it then, before
	// the last of before does.
	before, after []int32
}

// behind is how many responses after a change are of before.
const behind = 5

// startLagging starts a node whose brokers take any change of the kind at once, and show it later.
func startLagging(t *testing.T, kind kmsg.Request, taken func(topic string, r kmsg.Request) kmsg.Response, before, after []int32) *lagging {
	t.Helper()
	const topic = "readings"
	f := testkit.Fake(t, kfake.NumBrokers(3), kfake.SeedTopics(1, topic))
	l := &lagging{fake: f, v3: startV3(t, f.Broker), path: "/topics/" + topic + "/partitions/0", before: before, after: after}
	l.stale.Store(math.MaxInt32)
	f.ControlKey(kind.Key(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		l.stale.Store(behind)
		return taken(topic, r), nil, true
	})
	f.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		r := req.(*kmsg.MetadataRequest)
		if len(r.Topics) != 1 || r.Topics[0].Topic == nil {
			return nil, nil, false
		}
		return l.describe(f.ListenAddrs(), r), nil, true
	})
	return l
}

// describe returns the topic as it is, or was while brokers lag behind.
func (l *lagging) describe(addrs []string, r *kmsg.MetadataRequest) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.MetadataResponse)
	resp.ClusterID = &l.id
	for id, addr := range addrs {
		host, port, _ := net.SplitHostPort(addr)
		n, _ := strconv.Atoi(port)
		resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: int32(id), Host: host, Port: int32(n)})
	}
	p := kmsg.NewMetadataResponseTopicPartition()
	p.Replicas, p.Leader = l.after, l.after[0]
	if l.stale.Add(-1) >= 0 {
		p.Replicas, p.Leader = l.before, l.before[len(l.before)-1]
	}
	p.ISR = p.Replicas
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.Partitions = r.Topics[0].Topic, append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	return resp
}

func takeReassignment(topic string, r kmsg.Request) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	of := kmsg.NewAlterPartitionAssignmentsResponseTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, kmsg.NewAlterPartitionAssignmentsResponseTopicPartition())
	resp.Topics = append(resp.Topics, of)
	return resp
}

// A reassignment is answered when a broker shows the new replicas: the next request shows them.
func TestV3ReassignmentIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	l := startLagging(t, kmsg.NewPtrAlterPartitionAssignmentsRequest(), takeReassignment, []int32{0}, []int32{2, 1, 0})
	l.call(t, "GET", l.path+"/replicas/2", "").want(t, 404, "")
	l.call(t, "PUT", l.path+"/reassignment", `{"replicas":[2,1]}`).want(t, 204, "")
	l.call(t, "GET", l.path+"/replicas/2", "").want(t, 200, `"broker_id":2`)
}

// A cancelled reassignment is answered when a broker shows the former replicas.
func TestV3CancelledReassignmentIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	l := startLagging(t, kmsg.NewPtrAlterPartitionAssignmentsRequest(), takeReassignment, []int32{2, 1, 0}, []int32{0})
	moving := func(req kmsg.Request) (kmsg.Response, error, bool) {
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Replicas, p.AddingReplicas, p.RemovingReplicas = l.before, []int32{2, 1}, []int32{0}
		of := kmsg.NewListPartitionReassignmentsResponseTopic()
		of.Topic, of.Partitions = "readings", append(of.Partitions, p)
		resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
		resp.Topics = append(resp.Topics, of)
		return resp, nil, true
	}
	l.fake.ControlKey(int16(kmsg.ListPartitionReassignments), moving)
	l.call(t, "DELETE", l.path+"/reassignment", "").want(t, 204, "")
	l.call(t, "GET", l.path+"/replicas/2", "").want(t, 404, "")
}

// An election is answered when a broker shows the leader.
func TestV3ElectionIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	elected := func(topic string, r kmsg.Request) kmsg.Response {
		resp := r.ResponseKind().(*kmsg.ElectLeadersResponse)
		of := kmsg.NewElectLeadersResponseTopic()
		of.Topic, of.Partitions = topic, append(of.Partitions, kmsg.NewElectLeadersResponseTopicPartition())
		resp.Topics = append(resp.Topics, of)
		return resp
	}
	l := startLagging(t, kmsg.NewPtrElectLeadersRequest(), elected, []int32{1, 2, 0}, []int32{1, 2, 0})
	l.call(t, "GET", l.path+"/replicas/1", "").wantAt(t, "is_leader", false)
	l.call(t, "POST", "/topics/-/partitions/-/leader:elect", `{"data":[{"topic_name":"readings","partition_id":0}]}`).want(t, 200, `"failures":[]`)
	l.call(t, "GET", l.path+"/replicas/1", "").wantAt(t, "is_leader", true)
}

// Version 2 shows the settings that a topic has now, however long its answers are kept: after a
// change, and when another topic has the name.
func TestV2ShowsSettingsAtOnce(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := startV3(t, b, func(o *stackOptions) { o.metadata.MaxAge = time.Hour })
	const create = `{"topic_name":"t","partitions_count":1,"replication_factor":1,"configs":[{"name":"retention.ms","value":"%s"}]}`
	shown := func(value string) {
		t.Helper()
		s.do(t, "GET", "/topics/t", "").want(t, 200, `"retention.ms":"`+value+`"`)
	}
	s.call(t, "POST", "/topics", fmt.Sprintf(create, "1111")).want(t, 201, "")
	shown("1111")
	s.call(t, "PUT", "/topics/t/configs/retention.ms", `{"value":"2222"}`).want(t, 204, "")
	shown("2222")
	s.call(t, "DELETE", "/topics/t", "").want(t, 204, "")
	s.call(t, "POST", "/topics", fmt.Sprintf(create, "3333")).want(t, 201, "")
	shown("3333")
}
