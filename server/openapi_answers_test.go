package server_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"

	"millrace/internal/testkit"
	"millrace/server"
)

// contract is the document that a server serves.
type contract struct {
	validator.Validator
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
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	c := &contract{v, t, base}
	if ok, faults := v.ValidateDocument(); !ok {
		c.report("the document", faults)
	}
	return c
}

func (c *contract) report(what string, faults []*errors.ValidationError) {
	c.t.Helper()
	for _, f := range faults {
		c.t.Errorf("%s: line %d: %s: %s", what, f.SpecLine, f.Message, f.Reason)
		for _, s := range f.SchemaValidationErrors {
			c.t.Errorf("    %s", s.Reason)
		}
	}
}

// exchange sends a request and holds the answer against the document, and the
// request too if it is answered well. media are Content-Type and Accept.
func (c *contract) exchange(line, media, body string, want int) {
	c.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	contentType, accept, _ := strings.Cut(media, "|")
	request := func() *http.Request {
		req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
		if err != nil {
			c.t.Fatal(err)
		}
		for name, value := range map[string]string{"Content-Type": contentType, "Accept": accept} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		return req
	}
	resp, err := http.DefaultClient.Do(request())
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != want {
		c.t.Errorf("%s: %s, want %d, %v: %s", line, resp.Status, want, err, text)
		return
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	if want < 300 {
		if ok, faults := c.ValidateHttpRequest(request()); !ok {
			c.report(line+", the request", faults)
		}
	}
	if ok, faults := c.ValidateHttpResponse(request(), resp); !ok {
		c.report(line+", answered "+string(text), faults)
	}
}

// What the server answers is what its document says.
func TestOpenAPIAnswers(t *testing.T) {
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.server.Admin = true
		o.admin = server.Admin{
			Settings: func() []server.Setting { return []server.Setting{{Name: "a", Value: "b", Origin: "default"}} },
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
		{"POST " + t0, old + "|" + j1, `{"records":[]}`, 422},
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

// The check of answers can fail.
func TestOpenAPIRefuses(t *testing.T) {
	s := start(t, testkit.Fake(t).Broker)
	c := newContract(t, s.base)
	for media, body := range map[string]string{
		"application/vnd.kafka.v2+json": `{"error_code":418,"message":"I am a teapot."}`, // no code of ours
		"application/json":              `{"message":"There is no code."}`,
		"text/html":                     `<h1>Bad</h1>`,
	} {
		req, err := http.NewRequest(http.MethodGet, s.base+"/topics", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body))}
		if ok, _ := c.ValidateHttpResponse(req, resp); ok {
			t.Errorf("%s of %s passes", body, media)
		}
	}
}
