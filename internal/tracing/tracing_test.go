package tracing

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"millrace/internal/testkit"
	"millrace/internal/testkit/spans"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestWanted(t *testing.T) {
	f := func(want bool, s Settings, environ ...string) {
		t.Helper()
		for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
			t.Setenv(name, "")
		}
		for _, variable := range environ {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
		}
		if Wanted(s) != want {
			t.Errorf("%+v with %q: %v", s, environ, !want)
		}
	}
	named := Settings{Endpoint: "http://c:4318"}
	f(false, Settings{Ratio: 1})
	f(true, named)
	f(true, Settings{}, "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318")
	f(true, Settings{}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4318/v1/traces")
	f(false, Settings{}, "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_TRACES_EXPORTER=none")
	f(true, named, "OTEL_TRACES_EXPORTER=none")
	f(false, named, "OTEL_SDK_DISABLED=true")
}

func TestTracesURL(t *testing.T) {
	f := func(endpoint, want string) {
		t.Helper()
		if got, err := tracesURL(endpoint); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", endpoint, got, err, want)
		}
	}
	f("http://c:4318", "http://c:4318/v1/traces")
	f("http://c:4318/", "http://c:4318/v1/traces")
	f("https://c/otlp", "https://c/otlp/v1/traces")
	f("https://c/otlp/v1/traces", "https://c/otlp/v1/traces")
}

// Spans are children of the span in the request's headers, carry the request's result, and a
// failed one is marked.
func TestSpans(t *testing.T) {
	c := spans.StartCollector(t)
	tracing, err := New(Settings{Endpoint: c.URL, Ratio: 1, Version: "v"})
	if err != nil {
		t.Fatal(err)
	}
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	header := func(text string) Header {
		return func(name string) string {
			if name == traceparent {
				return text
			}
			return ""
		}
	}
	ends := func(text string, o Outcome) { tracing.Begin(o.Method, header(text)).End(o) }
	ends("00-"+trace+"-"+parent+"-01", Outcome{Method: "GET", Route: "/topics", Status: 200})
	ends("00-"+trace+"-"+parent+"-00", Outcome{Method: "GET", Route: "/unsampled", Status: 200})
	ends("garbage", Outcome{Method: "POST", Route: "/topics/{topic}", Status: 503, Sent: 7})
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := c.Spans()
	if len(spans) != 2 {
		t.Fatalf("spans %+v", spans)
	}
	if s := spans[0]; s.Name != "GET /topics" || s.Trace != trace || s.Parent != parent || s.Attributes["error.type"] != "" {
		t.Errorf("%+v", s)
	}
	if s := spans[1]; s.Name != "POST /topics/{topic}" || s.Trace == trace || s.Parent != "" || s.Attributes["error.type"] != "503" || s.Attributes["http.response.body.size"] != "7" {
		t.Errorf("%+v", s)
	}
}

// A collector that is away is one line in the log, not one for each span.
func TestComplaintsAreRare(t *testing.T) {
	var out bytes.Buffer
	c := complaints{slog.New(slog.NewTextHandler(&out, nil)), rate.Sometimes{Interval: complaintEvery}}
	for range 100 {
		c.Handle(errors.New("no route"))
	}
	if n := strings.Count(out.String(), "no route"); n != 1 {
		t.Errorf("%d lines", n)
	}
}
