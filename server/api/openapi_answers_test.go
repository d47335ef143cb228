package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"millrace/internal/testkit"
	"millrace/server/ops"
)

// contract is the document that a node serves.
type contract struct {
	*openAPI
	t    *testing.T
	base string
}

func newContract(t *testing.T, base string) *contract {
	t.Helper()
	resp, err := http.Get(base + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/yaml" {
		t.Fatalf("%s, %s, %v", resp.Status, resp.Header.Get("Content-Type"), err)
	}
	doc, err := parseOpenAPI(text)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{doc, t, base}
}

// newRequest makes a request of a line like GET /topics. media are
// Content-Type and Accept.
func newRequest(t *testing.T, base, line, media, body string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	contentType, accept, _ := strings.Cut(media, "|")
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": contentType, "Accept": accept} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return req
}

// exchange sends a request and checks the response against the document, and the request too if
// it succeeds. It returns the response's body.
func (c *contract) exchange(line, media, body string, want int) string {
	c.t.Helper()
	req := newRequest(c.t, c.base, line, media, body)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != want {
		c.t.Errorf("%s: %s, want %d, %v: %s", line, resp.Status, want, err, text)
		return ""
	}
	if want < 300 {
		if err := c.checkRequest(req, body); err != nil {
			c.t.Errorf("%s, the request: %v", line, err)
		}
	}
	if err := c.checkResponse(req, resp, string(text)); err != nil {
		c.t.Errorf("%s, answered %s: %v", line, text, err)
	}
	return string(text)
}

// The node's responses agree with its document.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, withRoutes(t, "routes:\n  picky: {topic: picked, key: {pointer: /id, required: true}, drop: [{pointer: /env, is: [test]}], dead_letter: picked.dead}\n"), func(o *stackOptions) {
		o.adminOn = true
		o.produce.MaxEntries = 10
		o.ingest.OTLP.Traces = "spans"
		o.admin = ops.Config{
			Settings: func() []ops.Setting { return []ops.Setting{{Name: "a", Value: "b", Origin: "default"}} },
			Change:   func(map[string]string) error { return nil },
		}
	})
	topic, group := testkit.CreateTopic(t, b.Broker, 1), testkit.Group(t)
	c := newContract(t, s.base)
	const (
		j2   = "application/vnd.kafka.v2+json"
		j1   = "application/vnd.kafka.v1+json"
		json = "application/vnd.kafka.json.v2+json"
		old  = "application/vnd.kafka.json.v1+json"
	)
	t0, instance := "/topics/"+topic, "/consumers/"+group+"/instances/i"
	partitions := `{"partitions":[{"topic":"` + topic + `","partition":0}]}`
	for _, e := range []struct {
		line, media, body string
		want              int
	}{
		{"POST " + t0, json, `{"records":[{"key":"k","value":{"a":1},"headers":[{"key":"h","value":"AA=="}],"timestamp":1},{"value":null,"partition":7}]}`, 200},
		{"POST " + t0, old + "|" + j1, `{"records":[{"value":1}]}`, 200},
		{"POST " + t0 + "/partitions/0", json, `{"records":[{"value":1}]}`, 200},
		{"POST " + t0 + "/partitions/9", json, `{"records":[{"value":1}]}`, 404},
		{"POST " + t0, json, `{"records":`, 400},
		{"POST " + t0, "text/plain", `x`, 415},
		{"POST /ingest/picky", "application/json", `[{"id":1},{"id":2,"env":"test"},{"n":3}]`, 207},
		{"POST " + t0, old + "|" + j1, `{"records":[]}`, 422},
		{"POST /topics", json, `{"records":[{"topic":"` + topic + `","key":"k","value":{"a":1}},{"topic":"made-by-a-record","value":"on"}]}`, 200},
		{"POST " + s.v3(topic) + "/records", "application/json", `{"key":{"type":"STRING","data":"k"},"value":{"type":"JSON","data":{"a":1}},"partition_id":0,"headers":[{"name":"h","value":null}],"timestamp":5}`, 200},
		{"POST " + s.v3(topic) + "/records", "application/json", `{"value":{"type":"BINARY","data":"@"}}`, 200},
		{"POST " + s.v3(topic) + "/records:batch", "application/json", `{"entries":[{"id":"1","value":{"type":"JSON","data":1}},{"id":"2","value":{"type":"STRING","data":5}}]}`, 207},
		{"POST " + s.v3(topic) + "/records:batch", "application/json", `{"entries":[]}`, 422},
		{"POST /v3/clusters/none/topics/t/records:batch", "application/json", `{"entries":[]}`, 404},
		{"POST /ingest/" + topic, "application/json", `[1,2]`, 200},
		{"POST /ingest/" + topic, "text/plain", `[1,2]`, 204},
		{"POST /ingest/" + topic, "text/csv", `a,b`, 200},
		{"POST /ingest/" + topic, "application/x-ndjson", "1\nx\n", 207},
		{"POST /ingest/" + topic, "application/x-ndjson", "x\n", 400},
		{"POST /ingest/" + topic + "?kex=a", "application/json", "{}", 400},
		{"POST /ingest/" + topic, "application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"a","type":"b"}`, 200},
		{"POST /v1/traces", "application/json", "{}", 200},
		{"POST /v1/traces", "application/json", "[]", 400},
		{"POST /v1/logs", "application/json", "{}", 404},
		{"GET /", "", "", 200},
		{"GET /topics", "", "", 200},
		{"GET /topics", "|" + j1, "", 200},
		{"GET " + t0, "", "", 200},
		{"GET /topics/absent", "", "", 404},
		{"GET /topics?wait=x", "", "", 400},
		{"GET " + t0 + "/partitions", "", "", 200},
		{"GET " + t0 + "/partitions/0", "", "", 200},
		{"GET " + t0 + "/partitions/0/offsets", "", "", 200},
		{"GET " + t0 + "/partitions/0/records?offset=0&headers=true&timestamps=true&timeout=1000", "|" + json, "", 200},
		{"GET " + t0 + "/partitions/0/records", "|" + json, "", 422},
		{"GET " + t0 + "/partitions/0/messages?offset=0&count=3", "|" + old, "", 200},
		{"GET /brokers", "", "", 200},
		{"POST /consumers/" + group, j2, `{"name":"i","format":"json","auto.offset.reset":"earliest","fetch.min.bytes":1}`, 200},
		{"POST /consumers/" + group, j2, `{"name":"i","format":"json"}`, 409},
		{"GET " + instance + "/records", "|" + json, "", 409},
		{"POST " + instance + "/subscription", j2, `{"topics":["` + topic + `"]}`, 204},
		{"GET " + instance + "/subscription", "", "", 200},
		{"GET " + instance + "/records?timeout=10000", "|" + json, "", 200},
		{"GET " + instance + "/records", "|application/vnd.kafka.binary.v2+json", "", 406},
		{"GET " + instance + "/assignments", "", "", 200},
		{"POST " + instance + "/offsets", j2, `{"offsets":[{"topic":"` + topic + `","partition":0,"offset":0}]}`, 200},
		{"GET " + instance + "/offsets?topic=" + topic + "&partition=0", "", "", 200},
		{"POST " + instance + "/positions", j2, `{"offsets":[{"topic":"` + topic + `","partition":0,"offset":1}]}`, 204},
		{"POST " + instance + "/positions/beginning", j2, partitions, 204},
		{"POST " + instance + "/positions/end", j2, partitions, 204},
		{"POST " + instance + "/assignments", j2, partitions, 409},
		{"DELETE " + instance + "/subscription", "", "", 204},
		{"POST " + instance + "/assignments", j2, partitions, 204},
		{"DELETE " + instance, "", "", 204},
		{"DELETE " + instance, "", "", 404},
		{"GET /healthz", "", "", 200},
		{"GET /readyz", "", "", 200},
		{"GET /metrics", "", "", 200},
		{"GET /openapi.yaml", "", "", 200},
		{"GET /admin/config", "", "", 200},
		{"PUT /admin/config", "application/json", `{"producer.linger.ms":5}`, 200},
		{"PUT /admin/config", "application/json", `{"a":[]}`, 422},
	} {
		c.exchange(e.line, e.media, e.body, e.want)
	}
}

// The checks of the document, of requests and of responses can fail.
func TestOpenAPIRefuses(t *testing.T) {
	t.Parallel()
	text := ops.Document()
	doc, err := parseOpenAPI(text)
	if err != nil {
		t.Fatal(err)
	}
	const (
		j2     = "application/vnd.kafka.v2+json"
		json   = "application/vnd.kafka.json.v2+json"
		topics = "GET /topics"
		reads  = "GET /topics/t/partitions/0/records"
	)
	// say fails where an error does not contain the expected text.
	say := func(err error, want string, what ...any) {
		t.Helper()
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v: %v, want %s", what, err, want)
		}
	}
	for _, a := range []struct {
		line              string
		status            int
		media, body, want string
	}{
		{topics, 400, j2, `{"error_code":418,"message":"I am a teapot."}`, "at '/error_code': value must be one of"},
		{topics, 400, "application/json", `{"message":"There is no code."}`, "missing property 'error_code'"},
		{topics, 400, "text/html", `<h1>Bad</h1>`, "no body of text/html"},
		{topics, 400, j2, ``, "EOF"},
		{topics, 200, j2, `["a",1]`, "at '/1': got number, want string"},
		{topics, 200, j2, `{"error_code":404,"message":"This is of another status."}`, "got object, want array"},
		{topics, 200, "", `["a"]`, "no media type"},
		{topics, 304, j2, `["a"]`, "there is a body"},
		{"GET /nowhere", 200, j2, `[]`, "there is no GET /nowhere"},
		{"PUT /topics", 200, j2, `[]`, "there is no PUT /topics"},
		{reads, 200, json, `[{"topic":"t","key":null,"value":1,"partition":0}]`, "missing property 'offset'"},
		{reads, 200, json, `[{"topic":"t","key":null,"value":1,"partition":0,"offset":0,"x":1}]`, "'x' not allowed"},
	} {
		resp := &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {a.media}}}
		say(doc.checkResponse(newRequest(t, "", a.line, "", ""), resp, a.body), a.want, a.line, a.status, a.media, a.body)
	}
	for _, r := range []struct{ line, media, body, want string }{
		{"POST /topics/t", json, ``, "EOF"},
		{"POST /topics/t", json, `{"records":[]}`, "minItems"},
		{"POST /topics/t", json, `{"records":[{"headers":[{"value":"AA=="}]}]}`, "missing property 'key'"},
		{"POST /topics/t", "text/plain", `{"records":[{"value":1}]}`, "no body of text/plain"},
		{"POST /topics/t/partitions/x", json, `{"records":[{"value":1}]}`, "partition: "},
		{reads + "?offset=-1", "", "", "offset: "},
		{reads + "?headers=maybe", "", "", "headers: "},
		{reads + "?offset=1&offset=2", "", "", "offset: it is there 2 times"},
		{"GET /consumers/g/instances/i/offsets?topic=t&partition=0&partition=x", "", "", "at '/1': got string, want integer"},
		{topics, j2, `{}`, "there is a body"},
	} {
		say(doc.checkRequest(newRequest(t, "", r.line, r.media, r.body), r.body), r.want, r.line, r.media, r.body)
	}
	for _, m := range []struct{ old, new, want string }{
		{"'#/components/schemas/Names'", "'#/components/schemas/Nams'", "leads nowhere"},
		{"'#/components/responses/NotModified'", "'#/components/schemas/Names'", "does not match pattern"},
		{"summary: The names of all topics but those of Kafka itself.", "description: The names.", "summary"},
		{"minimum: 0", "minimum: none", "number"},
		{"  responses:\n", "  answers:\n", "responses"},
		{"text/plain:", "text/plane:", "text/plane"},
		{"/consumers/{group}:", "/consumers/{groups}:", `declares ["group"]`},
		{"in: path\n      required: true", "in: path", "required"},
		{"operationId: root", "operationId: openapi", "another operation openapi"},
		{"tags: [metadata]", "tags: [meta]", "no tag meta"},
		{"'200':", "200:", "unsupported type"},
	} {
		changed := strings.Replace(string(text), m.old, m.new, 1)
		_, err := parseOpenAPI([]byte(changed))
		say(err, m.want, m.new, "in place of", m.old)
	}
}
