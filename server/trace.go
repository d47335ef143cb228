package server

import (
	"context"

	"github.com/valyala/fasthttp"

	"millrace/internal/tracing"
	"millrace/metrics"
)

// spanKey is the key of a request's span among its user values.
type spanKey struct{}

// beginSpan begins the span of a request.
func (s *Server) beginSpan(ctx *fasthttp.RequestCtx) *tracing.Span {
	span := s.deps.Tracing.Begin(string(ctx.Method()), func(name string) string {
		return string(ctx.Request.Header.Peek(name))
	})
	ctx.SetUserValue(spanKey{}, span)
	return span
}

// endSpan ends the span. Later output of a stream is not in it.
func endSpan(ctx *fasthttp.RequestCtx, span *tracing.Span) {
	o := tracing.Outcome{Method: string(ctx.Method()), Path: string(ctx.Path()), Status: ctx.Response.StatusCode(), Sent: sent(ctx)}
	if r, ok := ctx.UserValue(routeKey{}).(*metrics.Route); ok {
		o.Route = r.Template()
	}
	span.End(o)
}

// TraceOf returns the context for the work for a request, nil if the request is not traced.
func TraceOf(ctx *fasthttp.RequestCtx) context.Context {
	if span, ok := ctx.UserValue(spanKey{}).(*tracing.Span); ok {
		return span.Context()
	}
	return nil
}
