package server

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/internal/tracing"
	"millrace/metrics"
)

// figures are the counters that requests write to, all resolved at start.
type figures struct {
	*metrics.Metrics
	unmatched, unreadable *metrics.Route
	shed                  *metrics.Route // refused unread, for overload
	failures              map[*apierr.Kind]*metrics.Failure
	recent                *recent
}

// newFigures makes figures; m is nil where the metrics are not read.
func newFigures(m *metrics.Metrics) figures {
	if m == nil {
		m = metrics.New(metrics.Settings{}, metrics.Build{})
	}
	f := figures{
		Metrics:    m,
		unmatched:  m.Route("any", "unmatched"),
		unreadable: m.Route("any", "unreadable"),
		shed:       m.Route("any", "shed"),
		failures:   make(map[*apierr.Kind]*metrics.Failure),
		recent:     &recent{},
	}
	for _, k := range apierr.Kinds() {
		f.failures[k] = m.Failure(k.Name, k.Code)
	}
	return f
}

// routeKey is the key of a request's counters among its user values.
type routeKey struct{}

// counted wraps h, and counts its requests under the route and the method.
func (s *Server) counted(method string, rt Route, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	counters := s.figures.Route(method, rt.Path)
	var value any = counters
	if rt.Waits {
		value = waiter{counters}
	}
	return func(ctx *fasthttp.RequestCtx) {
		ctx.SetUserValue(routeKey{}, value)
		h(ctx)
	}
}

// waiter is the route of a request that waits.
type waiter struct{ *metrics.Route }

// Waits marks a request that waits because its client asked for it, as [Route.Waits] marks all of
// a route. Its time is kept out of its route's latencies: pollers with wait= share their routes
// with clients that want an immediate response.
func (s *Server) Waits(ctx *fasthttp.RequestCtx) {
	ctx.SetUserValue(routeKey{}, waiter{s.figures.route(ctx)})
}

// route returns the counters of the request's route.
func (f *figures) route(ctx *fasthttp.RequestCtx) *metrics.Route {
	switch r := ctx.UserValue(routeKey{}).(type) {
	case *metrics.Route:
		return r
	case waiter:
		return r.Route
	}
	return f.unmatched
}

// done counts a request with its response; received is the size of its body.
func (f *figures) done(ctx *fasthttp.RequestCtx, took time.Duration, received int) {
	status, sent := ctx.Response.StatusCode(), sent(ctx)
	switch r := ctx.UserValue(routeKey{}).(type) {
	case *metrics.Route:
		r.Done(status, took, received, sent)
	case waiter:
		r.Waited(status, received, sent)
	default:
		f.unmatched.Done(status, took, received, sent)
	}
	f.InFlight.Add(-1)
}

// sent returns the size of the response's body. The body of a stream is counted as it is sent,
// see [Stream.Send], except one that another node announced.
func sent(ctx *fasthttp.RequestCtx) int {
	switch {
	case ctx.IsHead():
		return 0
	case ctx.Response.IsBodyStream():
		return max(ctx.Response.Header.ContentLength(), 0)
	}
	return len(ctx.Response.Body())
}

// failed counts a request that gets an error; the route is nil for a refused connection.
func (f *figures) failed(k *apierr.Kind, at *metrics.Route, sample Sample) {
	if c := f.failures[k]; c != nil {
		c.Requests.Add(1)
	}
	f.recent.note(errorPlace{kind: k, route: at}, 1, sample)
}

// Metrics returns the metrics that requests are counted in.
func (s *Server) Metrics() *metrics.Metrics { return s.figures.Metrics }

// openConnections returns how many connections are open. fasthttp counts each listener as a
// connection and subtracts one.
func (s *Server) openConnections() int {
	return max(int(s.http.GetOpenConnectionsCount())-(len(s.listeners)-1), 0)
}

// Stats returns the state of the HTTP edge, for the metrics.
func (s *Server) Stats() metrics.Server {
	return metrics.Server{
		Connections: s.openConnections(),
		Rejected:    s.limits.refused.Load(),
		Draining:    s.draining.Load(),
		Bodies:      metrics.Bodies(s.budget.Stats()),
	}
}

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
