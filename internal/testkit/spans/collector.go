package spans

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector is an OpenTelemetry collector that keeps the spans it is sent.
type Collector struct {
	// URL is its address, without /v1/traces.
	URL string

	mu    sync.Mutex
	spans []*tracepb.Span
}

// StartCollector serves OTLP over HTTP until t ends.
func StartCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("cannot read spans: %v", err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// take keeps the spans of one request.
func (c *Collector) take(r *http.Request) error {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = plain
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var req collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range req.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return nil
}

// Span is a span as it arrived.
type Span struct {
	// Name, and the ids in hexadecimal; Parent is empty at the root of a trace.
	Name, Trace, ID, Parent string
	// Attributes as text.
	Attributes map[string]string
}

// Spans returns what has arrived, in its order.
func (c *Collector) Spans() (spans []Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		span := Span{
			Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId),
			Parent: hex.EncodeToString(s.ParentSpanId), Attributes: map[string]string{},
		}
		for _, a := range s.Attributes {
			span.Attributes[a.Key] = attribute(a.Value.GetValue())
		}
		spans = append(spans, span)
	}
	return spans
}

// attribute is the text of a value: what tests compare.
func attribute(value any) string {
	switch v := value.(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	}
	return fmt.Sprint(value)
}
