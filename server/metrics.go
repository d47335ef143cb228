package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/metrics"
)

var metricsRoutes = []route{
	{"GET", "/metrics", ownAnswer, (*Server).scrape},
}

// figures are the counters that requests write to, all looked up at start.
type figures struct {
	*metrics.Metrics
	unmatched, unreadable *metrics.Route
	failures              map[*apierr.Kind]*metrics.Failure
	recent                *recent
	// answers is appendOffsets or appendOffsetsV1 for each format, with the
	// records counted.
	answers [v1 + 1][codec.Protobuf + 1]appendAnswer
}

// newFigures takes nil for metrics that nobody reads but the server's own /metrics.
func newFigures(m *metrics.Metrics) figures {
	if m == nil {
		m = metrics.New(metrics.Settings{}, metrics.Build{})
	}
	f := figures{
		Metrics:    m,
		unmatched:  m.Route("any", "unmatched"),
		unreadable: m.Route("any", "unreadable"),
		failures:   make(map[*apierr.Kind]*metrics.Failure),
		recent:     &recent{},
	}
	for _, k := range apierr.Kinds() {
		f.failures[k] = m.Failure(k.Name, k.Code)
	}
	for format := codec.Binary; format <= codec.Protobuf; format++ {
		f.answers[v2][format] = f.counting(format, appendOffsets)
		f.answers[v1][format] = f.counting(format, appendOffsetsV1)
	}
	return f
}

// appendAnswer appends the answer to a produce request.
type appendAnswer func(dst []byte, job *batch.Job) []byte

// counting is answer with the records counted as of the format.
func (f *figures) counting(format codec.Format, answer appendAnswer) appendAnswer {
	counts := f.Format(format.String())
	return func(dst []byte, job *batch.Job) []byte {
		written := job.Written()
		counts.Produced.Add(uint64(written))
		if written < job.Len() {
			failedBy(job, f.lostTo)
		}
		return answer(dst, job)
	}
}

// routeKey is where a request's counters stand among its user values.
type routeKey struct{}

// counted has h's requests counted as those of r.
func counted(r *metrics.Route, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		ctx.SetUserValue(routeKey{}, r)
		h(ctx)
	}
}

// waiter is the route of a request that asked to wait.
type waiter struct{ *metrics.Route }

// waits notes that the request waits because it asks to. The time that it takes
// is not one of its route's latencies, which others are judged by: pollers with
// wait= share their routes with those that want an answer now.
func (f *figures) waits(ctx *fasthttp.RequestCtx) {
	ctx.SetUserValue(routeKey{}, waiter{f.route(ctx)})
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

// done counts an answered request, whose body came with received bytes.
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

// sent is the size of the answer's body. That of a stream is counted as it is
// sent, see [stream.send], but for one that another node announced.
func sent(ctx *fasthttp.RequestCtx) int {
	switch {
	case ctx.IsHead():
		return 0
	case ctx.Response.IsBodyStream():
		return max(ctx.Response.Header.ContentLength(), 0)
	}
	return len(ctx.Response.Body())
}

// failed counts a request that is answered with an error; the route is nil for
// a connection that is turned away.
func (f *figures) failed(k *apierr.Kind, at *metrics.Route) {
	if c := f.failures[k]; c != nil {
		c.Requests.Add(1)
	}
	f.recent.note(errorPlace{kind: k, route: at}, 1)
}

// lost counts records that failed together with their request.
func (f *figures) lost(records int, err error) { f.lostTo(apierr.From(err).Kind, records) }

// lostTo counts records that failed for one reason. It is called once for all
// of a request's: it takes a lock that all requests share.
func (f *figures) lostTo(kind *apierr.Kind, records int) {
	if c := f.failures[kind]; c != nil {
		c.Records.Add(uint64(records))
	}
	f.recent.note(errorPlace{kind: kind, records: true}, records)
}

// failedBy tells of the records of a job that failed one by one: how many for
// each reason, which are few. Reasons beyond the first four are told of record
// by record.
func failedBy(job *batch.Job, tell func(kind *apierr.Kind, records int)) {
	var counts [4]struct {
		kind    *apierr.Kind
		records int
	}
next:
	for i := range job.Len() {
		_, _, failed := job.Result(i)
		if failed == nil {
			continue
		}
		for n := range counts {
			c := &counts[n]
			if c.kind == nil || c.kind == failed.Kind {
				c.kind = failed.Kind
				c.records++
				continue next
			}
		}
		tell(failed.Kind, 1)
	}
	for _, c := range counts {
		if c.kind != nil {
			tell(c.kind, c.records)
		}
	}
}

// GET /metrics, in the form that Prometheus asks for. A scrape does not find
// itself among the requests in flight.
func (s *Server) scrape(ctx *fasthttp.RequestCtx) error {
	s.figures.InFlight.Add(-1)
	defer s.figures.InFlight.Add(1)
	contentType, err := s.figures.Write(ctx, string(ctx.Request.Header.Peek(fasthttp.HeaderAccept)))
	if err != nil {
		return err
	}
	ctx.SetContentType(contentType)
	return nil
}

// Stats returns the state of the HTTP edge, for the metrics.
func (s *Server) Stats() metrics.Server {
	// fasthttp counts each listener as a connection and takes off one.
	open := int(s.http.GetOpenConnectionsCount()) - (len(s.listeners) - 1)
	return metrics.Server{
		Connections: max(open, 0),
		Rejected:    s.limits.refused.Load(),
		Draining:    s.draining.Load(),
		Bodies:      metrics.Bodies(s.budget.Stats()),
	}
}
