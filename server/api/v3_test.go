package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// v3 is a stack and the v3 API of its cluster.
type v3 struct {
	*stack
	admin   *kadm.Client // a second opinion
	cluster string       // the path of the cluster
	id      string
	broker  int32
}

const jsonBody = "Content-Type: application/json"

func startV3(t *testing.T, b testkit.Broker, change ...func(*stackOptions)) *v3 {
	t.Helper()
	s := &v3{stack: start(t, b, change...), admin: kadm.NewClient(testkit.Client(t, b))}
	meta, err := s.admin.BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.id, s.broker = meta.Cluster, meta.Brokers[0].NodeID
	s.cluster = "/v3/clusters/" + s.id
	return s
}

// call sends a request below the cluster.
func (s *v3) call(t *testing.T, method, path, body string) reply {
	t.Helper()
	if body == "" {
		return s.do(t, method, s.cluster+path, "")
	}
	return s.do(t, method, s.cluster+path, body, jsonBody)
}

func decodeJSON(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// at returns a member of the answer, by names and indexes separated by slashes.
func (r reply) at(t *testing.T, path string) any {
	t.Helper()
	v := decodeJSON(t, r.body)
	for name := range strings.SplitSeq(path, "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				t.Fatalf("no %s in %s", path, r.body)
			}
			v = in[i]
		default:
			t.Fatalf("no %s in %s", path, r.body)
		}
	}
	return v
}

// wantAt fails t unless a member of the answer has the value.
func (r reply) wantAt(t *testing.T, path string, want any) reply {
	t.Helper()
	if got := r.at(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is %v, want %v: %s", path, got, want, r.body)
	}
	return r
}

// Topics are created, changed and deleted, and links lead back to what they are links of.
func TestV3Topics(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		name := testkit.Topic(t)
		made := s.call(t, "POST", "/topics", `{"topic_name":"`+name+`","partitions_count":2,"replication_factor":1,"configs":[{"name":"cleanup.policy","value":"compact"}]}`)
		made.want(t, 201, `"partitions_count":2`)
		self := s.base + s.cluster + "/topics/" + name
		if at := made.header.Get("Location"); at != self {
			t.Errorf("Location is %s, want %s", at, self)
		}
		made.wantAt(t, "metadata/self", self)
		of, err := s.admin.ListTopics(t.Context(), name)
		if err != nil || len(of[name].Partitions) != 2 {
			t.Errorf("Kafka has %v, %v", of, err)
		}
		s.call(t, "GET", "/topics", "").want(t, 200, `"topic_name":"`+name+`"`)
		s.call(t, "GET", "/topics/"+name, "").wantAt(t, "replication_factor", 1).wantAt(t, "is_internal", false)
		partition := s.call(t, "GET", "/topics/"+name+"/partitions", "").wantAt(t, "data/1/partition_id", 1)
		leader, _ := partition.at(t, "data/1/leader/related").(string)
		s.do(t, "GET", strings.TrimPrefix(leader, s.base), "").want(t, 200, `"is_leader":true,"is_in_sync":true`)
		s.call(t, "PATCH", "/topics/"+name, `{"partitions_count":"4"}`).want(t, 200, `"partitions_count":4`)
		s.call(t, "GET", "/topics/"+name+"/partitions/3", "").want(t, 200, `"partition_id":3`)
		s.call(t, "GET", "/topics/"+name+"/partitions/4", "").want(t, 404, "40402")
		s.call(t, "DELETE", "/topics/"+name, "").want(t, 204, "")
		s.call(t, "GET", "/topics/"+name, "").want(t, 404, "40401")
		s.call(t, "DELETE", "/topics/"+name, "").want(t, 404, "40401")
		if strings.Contains(s.call(t, "GET", "/topics", "").body, `"`+name+`"`) {
			t.Errorf("%s is still listed", name)
		}
	})
}
