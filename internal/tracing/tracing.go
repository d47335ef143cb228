package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// Settings of the tracing.
type Settings struct {
	// Endpoint is the collector's URL; /v1/traces is added where it is missing. Empty: the
	// variables OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT.
	Endpoint string
	// Ratio of the requests without a traceparent that are recorded, 0 to 1.
	Ratio float64
	// Version of this program and Instance, the name of this node, if it has one.
	Version, Instance string
	// Logger logs when spans cannot be exported.
	Logger *slog.Logger
}

// name is the service's name in traces, unless OTEL_SERVICE_NAME is set.
const name = "millrace"

// Wanted reports whether tracing is on: a collector is named, by the settings or by
// OpenTelemetry's own variables, and those do not turn it off.
func Wanted(s Settings) bool {
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"):
		return false
	case s.Endpoint != "":
		return true
	case os.Getenv("OTEL_TRACES_EXPORTER") == "none":
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// Tracing makes spans and exports them. Make it with [New].
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// New returns a tracing that exports until [Tracing.Close]. It does not wait for the collector.
// Headers, certificates and time-outs of the export come from OpenTelemetry's own variables
// (OTEL_EXPORTER_OTLP_HEADERS, …).
func New(s Settings) (*Tracing, error) {
	var opts []otlptracehttp.Option
	if s.Endpoint != "" {
		endpoint, err := tracesURL(s.Endpoint)
		if err != nil {
			return nil, err
		}
		opts = append(opts, otlptracehttp.WithEndpointURL(endpoint))
	}
	exporter, err := otlptracehttp.New(context.Background(), opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the exporter of traces: %w", err)
	}
	attributes := []attribute.KeyValue{attribute.String("service.name", name), attribute.String("service.version", s.Version)}
	if s.Instance != "" {
		attributes = append(attributes, attribute.String("service.instance.id", s.Instance))
	}
	about, err := resource.New(
		context.Background(),
		resource.WithAttributes(attributes...),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // outranks the options before it
	)
	if err != nil {
		return nil, fmt.Errorf("cannot describe this program for traces: %w", err)
	}
	if s.Logger != nil {
		otel.SetErrorHandler(&complaints{s.Logger, rate.Sometimes{Interval: complaintEvery}})
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter),
		sdk.WithResource(about),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(s.Ratio))),
	)
	return &Tracing{provider: provider, tracer: provider.Tracer(name, trace.WithInstrumentationVersion(s.Version))}, nil
}

// tracesURL returns the URL of a collector for spans.
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("cannot read the URL of the collector of traces: %w", err)
	}
	if !strings.HasSuffix(u.Path, "/v1/traces") {
		u = u.JoinPath("v1", "traces")
	}
	return u.String(), nil
}

// Close exports the remaining spans, within ctx.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("cannot hand over the last traces: %w", err)
	}
	return nil
}

// complaintEvery is the shortest interval between log lines about lost spans.
const complaintEvery = time.Minute

// complaints logs errors of the export to the collector.
type complaints struct {
	log    *slog.Logger
	logged rate.Sometimes
}

// Handle implements [otel.ErrorHandler].
func (c *complaints) Handle(err error) {
	c.logged.Do(func() { c.log.Warn("traces are lost", "err", err) })
}
