package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
	"millrace/server"
	"millrace/server/api"
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
		s.call(t, "PATCH", "/topics/"+name, `{"partitions_count":2147483647}`).want(t, 400, "10000 partitions")
		s.call(t, "POST", "/topics", `{"topic_name":"`+name+`-large","partitions_count":2147483647}`).want(t, 400, "10000 partitions")
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

// Endpoints that are not served answer as if they did not exist; the others work.
func TestEndpointsThatAreNotServed(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t")).Broker
	s := startV3(t, b, func(o *stackOptions) {
		o.endpoints = api.Endpoints{Block: []string{"api.v3.acls.*", "api.v3.topics.delete", "api.v2.topics.list", "millrace.streams.*"}}
	})
	s.call(t, "GET", "/acls", "").want(t, 404, "api.endpoints")
	s.call(t, "DELETE", "/topics/t", "").want(t, 405, "api.endpoints")
	s.call(t, "GET", "/topics/t", "").want(t, 200, "")
	s.do(t, "GET", "/topics", "").want(t, 404, "api.endpoints")
	s.do(t, "GET", "/topics/t/stream", "").want(t, 404, "api.endpoints")
	s.do(t, "GET", "/topics/t", "").want(t, 200, "")
	if err := s.server.CheckEndpoints(); err != nil {
		t.Error(err)
	}
	only := startV3(t, b, func(o *stackOptions) {
		o.endpoints = api.Endpoints{Allow: []string{"api.v3.topics.*", "api.v2.topics.lost"}}
	})
	only.call(t, "GET", "/topics", "").want(t, 200, "")
	only.call(t, "GET", "/brokers", "").want(t, 404, "api.endpoints")
	only.do(t, "POST", "/topics/t", `{"records":[{"value":1}]}`, jsonV2).want(t, 405, "api.endpoints")
	only.do(t, "GET", "/readyz", "").want(t, 200, "")
	if err := only.server.CheckEndpoints(); err == nil || !strings.Contains(err.Error(), "api.v2.topics.lost") {
		t.Errorf("a name that no route has is taken: %v", err)
	}
}

// Every route that moves records or describes the cluster has a name, so that it can be forbidden.
func TestEveryEndpointHasAName(t *testing.T) {
	t.Parallel()
	for rt := range everything().Routes() {
		operation := rt.Action == server.Probe || rt.Action == server.Notify || strings.HasPrefix(rt.Path, "/admin") || rt.Path == "/metrics" || strings.HasPrefix(rt.Path, "/ui")
		if !operation && strings.Count(rt.Name, ".") < 2 {
			t.Errorf("%s %s is called %q", rt.Method, rt.Path, rt.Name)
		}
	}
}

// Long lists have pages, which together have each element once.
func TestV3Pages(t *testing.T) {
	t.Parallel()
	const topics = 25
	var names []string
	for i := range topics {
		names = append(names, fmt.Sprintf("topic-%02d", i))
	}
	s := startV3(t, testkit.Fake(t, kfake.SeedTopics(1, names...)).Broker)
	for _, path := range []string{"/topics?x=y&page_size=10", "/topics?page_size=10&include_authorized_operations=true", "/topics/-/configs?page_size=70"} {
		var seen []string
		url, pages := s.base+s.cluster+path, 0
		for url != "" {
			r := s.do(t, "GET", strings.TrimPrefix(url, s.base), "").want(t, 200, "")
			data, _ := r.at(t, "data").([]any)
			for _, d := range data {
				self, _ := d.(map[string]any)["metadata"].(map[string]any)["self"].(string)
				seen = append(seen, self)
			}
			url, _ = r.at(t, "metadata/next").(string)
			pages++
		}
		unique := slices.Compact(slices.Clone(seen))
		if len(unique) != len(seen) || !slices.IsSorted(seen) || len(seen) < topics || pages < 3 {
			t.Errorf("%s: %d pages with %d elements, %d of them different", path, pages, len(seen), len(unique))
		}
	}
	s.call(t, "GET", "/topics?page_size=0", "").want(t, 400, "page_size")
	s.call(t, "GET", "/topics?page_token=%21", "").want(t, 400, "page_token")
}

// The next page is found whatever characters are in the path.
func TestV3NextPageOfAnyName(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t, kfake.SeedTopics(2, "readings")).Broker)
	for _, group := range []string{"a b", "50%", "why?#", "a/b", "été"} {
		var offsets kadm.Offsets
		offsets.AddOffset("readings", 0, 0, -1)
		offsets.AddOffset("readings", 1, 0, -1)
		if err := s.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatal(err)
		}
		path := "/consumer-groups/" + url.PathEscape(group) + "/lags?page_size=1"
		next := fmt.Sprint(s.call(t, "GET", path, "").want(t, 200, `"partition_id":0`).at(t, "metadata/next"))
		s.do(t, "GET", strings.TrimPrefix(next, s.base), "").want(t, 200, `"partition_id":1`)
	}
}

// Links are right behind a reverse proxy.
func TestV3LinksBehindAProxy(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t, kfake.SeedTopics(1, "t")).Broker)
	r := s.do(t, "GET", s.cluster+"/topics/t", "", "X-Forwarded-Proto: https", "X-Forwarded-Host: kafka.example")
	r.wantAt(t, "metadata/self", "https://kafka.example"+s.cluster+"/topics/t")
	r.wantAt(t, "partitions/related", "https://kafka.example"+s.cluster+"/topics/t/partitions")
	made := s.do(t, "POST", s.cluster+"/topics", `{"topic_name":"new"}`, jsonBody, "X-Forwarded-Proto: https", "X-Forwarded-Host: kafka.example")
	if at := made.header.Get("Location"); at != "https://kafka.example"+s.cluster+"/topics/new" {
		t.Errorf("Location is %s: %s", at, made.body)
	}
}

// Requests that cannot be carried out say why, in the API's form.
func TestV3RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t, kfake.SeedTopics(1, "t")).Broker)
	for _, r := range []struct {
		line, body string
		status     int
		text       string
	}{
		{"GET /v3/clusters/nope/topics", "", 404, `{"error_code":404,"message":"Cluster nope cannot be found."}`},
		{"GET /v3/nothing", "", 404, `{"error_code":404,`},
		{"GET C/brokers/77", "", 404, "Broker 77 cannot be found."},
		{"GET C/brokers/x", "", 404, "not the number"},
		{"GET C/brokers/77/configs", "", 404, "Broker 77"},
		{"GET C/topics/t/configs/nope", "", 404, "Config nope"},
		{"PUT C/topics/t/configs/retention.ms", "", 422, "needs a body"},
		{"PUT C/topics/t/configs/retention.ms", "{}", 422, "value is missing"},
		{"PUT C/topics/t/configs/nope", `{"value":"1"}`, 404, "Config nope"},
		{"PUT C/topics/t/configs/retention.ms", `{"value":[1]}`, 400, "list or an object"},
		{"POST C/topics", "", 422, `"error_code":42206`},
		{"POST C/topics", `{"topic_name":"x","replication":1}`, 422, `Unrecognized field`},
		{"POST C/topics", `{"topic_name":"x","configs":{}}`, 400, "is not a list"},
		{"POST C/topics", `{"topic_name":"x"`, 400, "not valid JSON"},
		{"POST C/topics", `{"topic_name":"x","partitions_count":1.5}`, 400, "whole number"},
		{"POST C/topics", `{"topic_name":"x","replication_factor":99999}`, 400, "40002"},
		{"POST C/topics", `{"topic_name":"x","replicas_assignments":{"a":[0]}}`, 400, "not the number of a partition"},
		{"POST C/topics/t/configs:alter", `{"data":[]}`, 422, "data is missing"},
		{"POST C/topics/t/configs:alter", `{"data":[{"name":"retention.ms","operation":"ADD"}]}`, 400, "SET or DELETE"},
		{"PATCH C/topics/t", `{}`, 422, "partitions_count"},
		{"POST C/acls", `{"resource_type":"ANY","resource_name":"x","pattern_type":"LITERAL","principal":"User:a","host":"*","operation":"READ","permission":"ALLOW"}`, 400, "cannot be ANY"},
		{"DELETE C/acls", "", 400, "is required"},
		{"GET C/acls?operation=FLY", "", 400, "operation cannot be"},
		{"GET C/consumer-groups/nope", "", 404, "nope"},
		{"GET C/consumer-groups/nope/lag-summary", "", 404, "nope"},
		{"DELETE C/consumer-groups/nope", "", 404, "nope"},
	} {
		method, path, _ := strings.Cut(r.line, " ")
		got := s.do(t, method, strings.Replace(path, "C/", s.cluster+"/", 1), r.body, jsonBody)
		if got.status != r.status || !strings.Contains(got.body, r.text) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s %s, want %d with %q", r.line, r.body, got.status, got.header.Get("Content-Type"), got.body, r.status, r.text)
		}
	}
	s.do(t, "POST", s.cluster+"/topics", `{}`, "Content-Type: text/plain").want(t, 415, "application/json")
	s.do(t, "GET", s.cluster+"/topics", "", "Accept: text/html").want(t, 406, "application/json")
	s.do(t, "GET", s.cluster+"/topics", "", "Accept: application/*;q=0.5").want(t, 200, "KafkaTopicList")
}

// docs/api.md lists the names of all routes, for the settings that switch them off.
func TestDocumentListsTheEndpoints(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for rt := range everything().Routes() {
		if rt.Name != "" && !strings.Contains(string(text), "`"+rt.Name+"`") {
			t.Errorf("docs/api.md lacks %s: %s %s", rt.Name, rt.Method, rt.Path)
		}
	}
}

// A page goes on where the last one ended, also for a client that reaches the node by another name.
func TestV3PagesByAnotherName(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	f.ControlKey(int16(kmsg.DescribeACLs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
		for _, name := range []string{"a", "b", "c"} {
			r := kmsg.NewDescribeACLsResponseResource()
			r.ResourceType, r.ResourceName, r.ResourcePatternType = kmsg.ACLResourceTypeTopic, name, kmsg.ACLResourcePatternTypeLiteral
			r.ACLs = append(r.ACLs, kmsg.NewDescribeACLsResponseResourceACL())
			resp.Resources = append(resp.Resources, r)
		}
		return resp, nil, true
	})
	s := startV3(t, f.Broker)
	var seen []string
	query := "?page_size=1"
	for _, host := range []string{"m.example", "z.example", "a.example"} {
		r := s.do(t, "GET", s.cluster+"/acls"+query, "", "X-Forwarded-Host: "+host)
		seen = append(seen, fmt.Sprint(r.at(t, "data/0/resource_name")))
		next, _ := r.at(t, "metadata/next").(string)
		_, query, _ = strings.Cut(next, "/acls")
	}
	if !slices.Equal(seen, []string{"a", "b", "c"}) {
		t.Errorf("seen %v", seen)
	}
}
