package api_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"millrace/ingest/otlp"
	"millrace/internal/testkit"
)

const protobufOTLP = "Content-Type: application/x-protobuf"

// Each signal goes to its topic as it came, in both encodings, and the response is an empty one.
func TestOTLP(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topics := otlp.Settings{Traces: testkit.CreateTopic(t, b, 1), Logs: testkit.CreateTopic(t, b, 1), Metrics: testkit.CreateTopic(t, b, 1)}
		s := start(t, b, func(o *stackOptions) { o.ingest.OTLP = topics })
		for _, c := range []struct {
			path, topic, json string
			request, response proto.Message
		}{
			{"/v1/traces", topics.Traces, ` {"resourceSpans":[]}`, &traces.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{SchemaUrl: "a"}}}, &traces.ExportTraceServiceResponse{}},
			{"/v1/logs", topics.Logs, `{"resourceLogs":[]}`, &logs.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{SchemaUrl: "b"}}}, &logs.ExportLogsServiceResponse{}},
			{"/v1/metrics", topics.Metrics, `{"resourceMetrics":[]}`, &collector.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{SchemaUrl: "c"}}}, &collector.ExportMetricsServiceResponse{}},
		} {
			binary, err := proto.Marshal(c.request)
			if err != nil {
				t.Fatal(err)
			}
			r := s.do(t, "POST", c.path, string(binary), protobufOTLP).want(t, 200, "")
			if err := proto.Unmarshal([]byte(r.body), c.response); err != nil || r.header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("%s: %v, %v", c.path, err, r.header)
			}
			s.do(t, "POST", c.path, encode(t, "gzip", string(binary)), protobufOTLP, "Content-Encoding: gzip").want(t, 200, "")
			s.do(t, "POST", c.path, "", protobufOTLP).want(t, 200, "") // nothing to export
			r = s.do(t, "POST", c.path+"/", c.json, jsonBody+"; charset=utf-8").want(t, 200, "")
			if r.body != "{}" || r.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %s, %v", c.path, r.body, r.header)
			}
			records := testkit.ReadTopic(t, b, c.topic, 3)
			for i, want := range []string{string(binary), string(binary), c.json} {
				if got := string(records[i].Value); got != want {
					t.Errorf("record %d of %s is %q, not %q", i, c.path, got, want)
				}
			}
		}
	})
}

// Errors are a google.rpc.Status in the encoding of the request, those of the edge too.
func TestErrorsOfOTLP(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	d := newDoors(t, "rules:\n  - {who: [key:edge], allow: [ingest], paths: [/v1/traces]}\n  - {who: [key:root], allow: [all]}\n  - {who: [key:root], deny: [produce], topics: [secret]}\n")
	s := start(t, b.Broker, func(o *stackOptions) {
		o.ingest.OTLP = otlp.Settings{Traces: topic, Logs: "secret"}
		o.server.MaxBodyBytes, o.access = 100, d.settings
	})
	refuse := func(status int, want, path, body string, headers ...string) {
		t.Helper()
		s.do(t, "POST", path, body, append(headers, d.rootKey)...).want(t, status, want)
	}
	refuse(400, `{"code":3,"message":"The body is not a JSON object."}`, "/v1/traces", "[1]", jsonBody)
	refuse(400, "\x08\x03\x12\x2eThe body is not an export request", "/v1/traces", "\x0a\xff", protobufOTLP)
	refuse(400, "not an export request", "/v1/traces", "\x08\x01", protobufOTLP)
	refuse(413, `{"code":3,`, "/v1/traces", `{"a":"`+strings.Repeat("x", 100)+`"}`, jsonBody)
	refuse(415, `{"code":3,"message":"OTLP comes as`, "/v1/traces", "x", "Content-Type: text/plain")
	refuse(404, "\x08\x0c\x12", "/v1/metrics", "", protobufOTLP)
	refuse(404, "ingest.otlp.metrics.topic", "/v1/metrics", "", protobufOTLP)
	refuse(403, `{"code":7,"message":"The caller may not write to the topic secret`, "/v1/logs", "{}", jsonBody)
	s.do(t, "POST", "/v1/traces", "{}", jsonBody, d.writeKey).want(t, 200, "{}")
	s.do(t, "POST", "/v1/logs", "{}", jsonBody, d.writeKey).want(t, 403, `{"code":7,`)
	s.do(t, "POST", "/v1/traces", "{}", jsonBody).want(t, 401, `{"code":16,`)
	s.do(t, "POST", "/v1/traces", "\x0a\x00", protobufOTLP).want(t, 401, "\x08\x10\x12")
	testkit.ReadTopic(t, b.Broker, topic, 1)
}

// While Kafka is away a client is told to send again, and when.
func TestOTLPWithoutBrokers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker, func(o *stackOptions) { o.ingest.OTLP = otlp.Settings{Traces: topic} })
	b.Cluster.Close()
	testkit.Eventually(t, 30*time.Second, "the outage to be known", func() bool { return s.do(t, "GET", "/readyz", "").status == 503 })
	r := s.do(t, "POST", "/v1/traces", "{}", jsonBody).want(t, 503, `{"code":14,"message":`)
	if r.header.Get("Retry-After") == "" {
		t.Error("a response without Retry-After")
	}
}
