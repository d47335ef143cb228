package api_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// retriable finds the kind of an answer by its status and error_code, where a
// retry can help.
func retriable(r reply) *apierr.Kind {
	for _, k := range apierr.Kinds() {
		if k.Retry && r.status == k.Status && strings.HasPrefix(r.body, fmt.Sprintf(`{"error_code":%d,`, k.Code)) {
			return k
		}
	}
	return nil
}

// walkAPI makes a request of every route of s, and hands on each answer.
func walkAPI(t *testing.T, s *stack, topic string, look func(what string, r reply)) {
	t.Helper()
	bodies := map[string]string{
		"/topics/{topic}":                        `{"records":[{"value":1}]}`,
		"/topics/{topic}/partitions/{partition}": `{"records":[{"value":1}]}`,
	}
	fill := strings.NewReplacer("{topic}", topic, "{partition}", "0", "{group}", "g", "{instance}", "i", "{file}", "nothing")
	for route := range everything().Routes() {
		method, path := route.Method, route.Path
		if strings.HasSuffix(path, "/stream") || strings.HasSuffix(path, "/changes") || strings.HasSuffix(path, "/events") {
			continue // without an end; what is wrong with them is in tests of their own
		}
		headers := []string{plainV2}
		if method == "POST" && bodies[path] != "" {
			headers = []string{jsonV2}
		}
		if method == "GET" && (strings.HasSuffix(path, "/records") || strings.HasSuffix(path, "/messages")) {
			path += "?offset=0&timeout=200"
			headers = []string{"Accept: application/vnd.kafka.json.v2+json"}
		}
		r, err := s.try(method, fill.Replace(path), bodies[path], headers...)
		if err != nil {
			t.Errorf("%s %s: %v", method, path, err)
			continue
		}
		look(method+" "+path, r)
	}
}

// wantGoodErrors checks what holds for each error, whatever went wrong: a client
// learns when to come back, and not where the parts behind the API are.
func wantGoodErrors(t *testing.T, what string, r reply, hidden ...string) {
	t.Helper()
	if k := retriable(r); k != nil && r.header.Get("Retry-After") == "" {
		t.Errorf("%s: %s without Retry-After: %s", what, k.Name, r.body)
	}
	if strings.Contains(r.body, apierr.Draining.Message) {
		t.Errorf("%s says that the node shuts down, which it does not: %s", what, r.body)
	}
	for _, text := range hidden {
		if r.status >= 400 && strings.Contains(r.body, text) {
			t.Errorf("%s shows %s: %s", what, text, r.body)
		}
	}
}

func TestErrorsWhileKafkaIsAway(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, withAdmin, func(o *stackOptions) { o.metadata.StaleFor, o.metadata.Timeout = 0, 2*time.Second })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	i := "/consumers/g/instances/i"
	s.do(t, "POST", "/consumers/g", `{"name":"i","format":"json"}`, plainV2).want(t, 200, "")
	s.do(t, "POST", i+"/assignments", `{"partitions":[{"topic":"`+topic+`","partition":0}]}`, plainV2).want(t, 204, "")
	b.Cluster.Close()
	testkit.Eventually(t, 20*time.Second, "the outage to be noticed", func() bool { return s.do(t, "GET", "/readyz", "").status == 503 })
	seen := map[string]int{}
	walkAPI(t, s, topic, func(what string, r reply) {
		wantGoodErrors(t, what, r, b.Addrs[0], "127.0.0.1", "dial tcp")
		if k := retriable(r); k != nil {
			seen[k.Name]++
		}
	})
	if seen[apierr.BrokersAway.Name] < 5 {
		t.Errorf("errors were met this often: %v", seen)
	}
}

// Kafka's passing errors: of metadata, of producing, of reading.
func TestErrorsThatPass(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.metadata.MaxAge = 0
		o.consumer.RequestTimeout = 500 * time.Millisecond
	})
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).want(t, 200, "offset")
	for _, code := range []*kerr.Error{kerr.CorruptMessage, kerr.KafkaStorageError, kerr.RequestTimedOut} {
		fault := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch, kmsg.ListOffsets, kmsg.OffsetFetch, kmsg.FindCoordinator}, Err: code, Count: -1})
		seen := 0
		walkAPI(t, s, topic, func(what string, r reply) {
			wantGoodErrors(t, code.Message+": "+what, r, b.Addrs[0])
			if retriable(r) != nil {
				seen++
			}
		})
		fault.Remove()
		if seen == 0 {
			t.Errorf("%s: no request failed for it", code.Message)
		}
	}
}

// Where the registry is, and with which password, is nothing for clients.
func TestErrorsOfTheRegistryHideIt(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const inner = "http://leader.internal:8081"
	answering := func(status int, body string) string {
		f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(f.Close)
		return f.URL
	}
	for name, c := range map[string]struct {
		url    string
		status int
	}{
		"closed":       {"http://" + closed.Addr().String(), 503},
		"500":          {answering(500, `{"error_code":50003,"message":"Error while forwarding to `+inner+`"}`), 503},
		"401":          {answering(401, `{"error_code":401,"message":"not at `+inner+`"}`), 401},
		"page":         {answering(200, `<a href="`+inner+`">`), 500},
		"missing page": {answering(404, `<a href="`+inner+`">`), 500},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, b.Broker, withRegistry(t, strings.Replace(c.url, "//", "//user:hunter2@", 1)))
			topic := testkit.CreateTopic(t, b.Broker, 1)
			framed := `{"records":[{"value":"AAAAAAEC"}]}`
			s.do(t, "POST", "/topics/"+topic, framed, binaryV2).want(t, 200, "offset")
			i := s.consumer(t, `{"format":"avro","auto.offset.reset":"earliest"}`)
			s.do(t, "POST", i+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
			const avro = "application/vnd.kafka.avro.v2+json"
			for what, r := range map[string]reply{
				"produce":     s.do(t, "POST", "/topics/"+topic, `{"value_schema":"\"long\"","records":[{"value":1}]}`, "Content-Type: "+avro),
				"direct read": s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=0&timeout=100", "", "Accept: "+avro),
				"read":        s.do(t, "GET", i+"/records?timeout=3000", "", "Accept: "+avro),
			} {
				if r.status < 400 || what == "produce" && r.status != c.status {
					t.Errorf("%s: %d %s", what, r.status, r.body)
				}
				wantGoodErrors(t, what, r, "127.0.0.1", "hunter2", "internal:8081", "http://")
			}
			if log := s.log.String(); !strings.Contains(log, c.url) || strings.Contains(log, "hunter2") {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}
