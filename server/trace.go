package server

import (
	"context"

	"github.com/valyala/fasthttp"

	"millrace/internal/tracing"
	"millrace/metrics"
)

// spanKey is where a request's span stands among its user values.
type spanKey struct{}

// beginSpan begins what is told of a request.
func (s *Server) beginSpan(ctx *fasthttp.RequestCtx) *tracing.Span {
	span := s.deps.Tracing.Begin(string(ctx.Method()), func(name string) string {
		return string(ctx.Request.Header.Peek(name))
	})
	ctx.SetUserValue(spanKey{}, span)
	return span
}

// endSpan ends it. What a stream sends from here on is not told.
func endSpan(ctx *fasthttp.RequestCtx, span *tracing.Span) {
	o := tracing.Outcome{Method: string(ctx.Method()), Path: string(ctx.Path()), Status: ctx.Response.StatusCode(), Sent: sent(ctx)}
	if r, ok := ctx.UserValue(routeKey{}).(*metrics.Route); ok {
		o.Route = r.Template()
	}
	span.End(o)
}

// TraceOf returns the context for what is done for a request, nil if it is not traced.
func TraceOf(ctx *fasthttp.RequestCtx) context.Context {
	if span, ok := ctx.UserValue(spanKey{}).(*tracing.Span); ok {
		return span.Context()
	}
	return nil
}
