package main

import (
	"testing"

	"google.golang.org/protobuf/proto"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"millrace/internal/testkit"
)

// The exporter of OpenTelemetry's Go SDK, which is in millrace for its own traces, sends to a node
// as it does to a collector: the spans of one node arrive in the topic of another.
func TestSpansOfTheSDK(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	spans, topic := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	_, gateway := serve(t, b, "--set=ingest.otlp.traces.topic="+spans)
	_, node := serve(t, b, "--set=tracing.otlp.endpoint="+gateway, "--set=tracing.sample.ratio=1")
	send(t, "POST", node+"/topics/"+topic, `{"records":[{"value":1}]}`, "Content-Type: application/vnd.kafka.json.v2+json")
	record := recordsOf(t, b, spans, 1)[0]
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(record.Value, &request); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range request.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				names[span.Name] = true
			}
		}
	}
	if !names["POST /topics/{topic}"] {
		t.Errorf("the spans are %v", names)
	}
}
