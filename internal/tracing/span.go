package tracing

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Header returns a header of a request, "" if it is missing.
type Header func(name string) string

// Get implements [propagation.TextMapCarrier].
func (h Header) Get(name string) string { return h(name) }

// Set implements [propagation.TextMapCarrier]: a request is only read.
func (h Header) Set(string, string) {}

// Keys implements [propagation.TextMapCarrier].
func (h Header) Keys() []string { return nil }

// Span is the span of one HTTP request.
type Span struct {
	ctx  context.Context
	span trace.Span
}

// Begin begins the span of a request, as a child of the span that its headers name, if any. It
// borrows header for the call.
func (t *Tracing) Begin(method string, header Header) *Span {
	ctx := t.context.Extract(context.Background(), header)
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer))
	return &Span{ctx, span}
}

// Context returns the context of the work for the request. It never ends.
func (s *Span) Context() context.Context { return s.ctx }

// Outcome is the result of a request. Route is its template, "" if it matched none.
type Outcome struct {
	Method, Route, Path string
	Status, Sent        int
}

// End ends the span.
func (s *Span) End(o Outcome) {
	if s.span.IsRecording() {
		s.span.SetName(o.Method + " " + o.Route)
		s.span.SetAttributes(
			attribute.String("http.request.method", o.Method),
			attribute.String("http.route", o.Route),
			attribute.String("url.path", o.Path),
			attribute.Int("http.response.status_code", o.Status),
			attribute.Int("http.response.body.size", o.Sent),
		)
		if o.Status >= 500 {
			s.span.SetAttributes(attribute.String("error.type", strconv.Itoa(o.Status)))
			s.span.SetStatus(codes.Error, "")
		}
	}
	s.span.End()
}
