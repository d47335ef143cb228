package ingest

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/metrics"
	"millrace/server"
)

// Settings of the front door.
type Settings struct {
	// DefaultRoutes makes a route of each topic, under its name (ingest.routes.default).
	DefaultRoutes bool
	// MaxEvents bounds the events of one request (request.max.records).
	MaxEvents int
}

// Ingest is the resource that takes events. Many goroutines may use it.
type Ingest struct {
	settings   Settings
	edge       *server.Server
	producer   *batch.Producer
	counts     *metrics.Format
	deliveries sync.Pool
}

// New returns the resource.
func New(edge *server.Server, p *batch.Producer, s Settings) *Ingest {
	in := &Ingest{settings: s, edge: edge, producer: p, counts: edge.Metrics().Format("ingest")}
	in.deliveries.New = func() any { return newDelivery() }
	return in
}

// Prefix begins the path of every request for this package.
const Prefix = "/ingest/"

var prefix = []byte(Prefix)

// Owns reports whether a request, which may not be routed yet, is for this package.
func Owns(ctx *fasthttp.RequestCtx) bool {
	return bytes.HasPrefix(ctx.URI().PathOriginal(), prefix)
}

// Routes returns the resource's routes.
func (in *Ingest) Routes() []server.Route {
	return []server.Route{
		{Method: "POST", Path: Prefix + "{topic}", Admit: answersJSON, Action: server.Produce, Resource: server.Topic, Handle: in.post},
	}
}

// answersJSON makes answer and errors plain JSON, whatever Accept says: an event is not lost
// because its sender, who may not look at the answer, asks for another type.
func answersJSON(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(server.MediaJSON)
	return nil
}

// post handles POST /ingest/{topic}.
func (in *Ingest) post(ctx *fasthttp.RequestCtx) error {
	topic, err := in.topic(ctx)
	if err != nil {
		return err
	}
	form, beacon, err := formOf(ctx.Request.Header.ContentType())
	if err != nil {
		return err
	}
	d := in.deliveries.Get().(*delivery)
	d.minimal = beacon || server.PrefersMinimal(ctx)
	err = in.deliver(ctx, d, topic, form)
	for _, t := range d.tally {
		if t.kind != nil {
			in.edge.RecordsFailed(t.kind, t.events)
		}
	}
	d.reset()
	in.deliveries.Put(d)
	return err
}

// topic returns the topic of the request's events.
func (in *Ingest) topic(ctx *fasthttp.RequestCtx) (string, error) {
	name, err := server.PathParam(ctx, "topic")
	if err != nil {
		return "", err
	}
	if !in.settings.DefaultRoutes {
		return "", apierr.NotFound.New("There is no ingest route %s, and topics have none of their own here (ingest.routes.default).", name)
	}
	for key := range ctx.QueryArgs().All() {
		return "", apierr.BadRequest.New("The ingest route %s takes no query parameter %q.", name, key)
	}
	return name, nil
}

// deliver moves the body into a job, makes records of its events there, and submits the job.
func (in *Ingest) deliver(ctx *fasthttp.RequestCtx, d *delivery, topic string, f form) error {
	job := in.producer.Acquire()
	job.Body = server.SwapBody(ctx, job.Body)
	job.Trace = server.TraceOf(ctx)
	d.body, d.slab, d.max = job.Body, &job.Slab, in.settings.MaxEvents
	err := d.parse(f)
	if err == nil && job.Len() == 0 { // a request that failed as a whole has no 2xx status
		first := d.refused[0]
		err = first.err.Kind.New("No event was written. Event %d: %s", first.index, first.err.Message())
	}
	if err == nil {
		err = in.producer.Admit(job)
	}
	if err != nil {
		job.Release()
		return err
	}
	server.ReleaseBody(ctx) // the producer accounts for it now
	records := job.Len()
	dst, err := in.producer.Produce(job, topic, batch.AnyPartition, ctx.Response.SwapBody(nil)[:0], d.answer)
	ctx.Response.SwapBody(dst)
	if err != nil {
		in.edge.RecordsFailed(apierr.From(err).Kind, records)
		return err
	}
	in.counts.Produced.Add(uint64(d.events - d.failed))
	respond(ctx, d, len(dst) == 0)
	return nil
}

// respond sets the status of a request of which events were written.
func respond(ctx *fasthttp.RequestCtx, d *delivery, empty bool) {
	switch {
	case empty:
		server.RespondNothing(ctx)
	case d.failed > 0:
		ctx.SetStatusCode(fasthttp.StatusMultiStatus)
		if d.retryAfter > 0 {
			ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int(d.retryAfter/time.Second)))
		}
	}
}
