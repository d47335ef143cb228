package ingest

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/ingest/cloudevents"
	"millrace/ingest/otlp"
	"millrace/internal/apierr"
	"millrace/metrics"
	"millrace/schema"
	"millrace/server"
	"millrace/spool"
)

// Settings of the front door.
type Settings struct {
	// DefaultRoutes makes a route of each topic, under its name (ingest.routes.default).
	DefaultRoutes bool
	// MaxEvents bounds the events of one request (request.max.records).
	MaxEvents int
	// File is where the routes are from (ingest.routes.file); empty is none.
	File string
	// Routes are those of the file, or nil; [Ingest.SetRoutes] changes them later.
	Routes *Table

	// OTLP has the topics of the signals of OpenTelemetry (ingest.otlp.traces.topic and others).
	OTLP otlp.Settings

	// SpoolDir is the folder of the spool (ingest.spool.dir); empty is none. SpoolLimits are its
	// bounds, without a function.
	SpoolDir    string
	SpoolLimits spool.Settings
}

// Deps are the parts that the front door uses. It borrows them.
type Deps struct {
	Producer *batch.Producer
	// Schemas is nil where there is no schema registry.
	Schemas *schema.Registry
	// Spool keeps events until Kafka has them, and Dead those that Kafka will never take; nil where
	// there is none.
	Spool, Dead *spool.Spool
	Logger      *slog.Logger
	// Beside, if not nil, is a resource with the same routes for other callers: the two know the same
	// events again, and count the same keys.
	Beside *Ingest
}

// Ingest is the resource that takes events. Many goroutines may use it.
type Ingest struct {
	settings   Settings
	edge       *server.Server
	producer   *batch.Producer
	schemas    *schema.Registry
	spool      *spool.Spool // nil: there is none; dead too
	dead       *spool.Spool
	log        *slog.Logger
	figures    *metrics.Ingest
	counts     *metrics.Format
	forwarder  *forwarder
	ids        *ids   // of events of late
	rates      *rates // of keys
	deliveries sync.Pool
	table      atomic.Pointer[Table] // never nil
}

// New returns the resource.
func New(edge *server.Server, s Settings, d Deps) *Ingest {
	in := &Ingest{settings: s, edge: edge, producer: d.Producer, schemas: d.Schemas, spool: d.Spool, dead: d.Dead, log: d.Logger, figures: &edge.Metrics().Ingest, counts: edge.Metrics().Format("ingest")}
	in.forwarder = &forwarder{in: in, dir: filepath.Join(s.SpoolDir, "aside"), patience: patience, lanes: map[string]*lane{}}
	if in.ids, in.rates = newIDs(), newRates(); d.Beside != nil {
		in.ids, in.rates = d.Beside.ids, d.Beside.rates
	}
	in.deliveries.New = func() any { return newDelivery() }
	in.SetRoutes(s.Routes)
	return in
}

// SetRoutes makes t the routes of requests from now on. Nil is none.
func (in *Ingest) SetRoutes(t *Table) {
	if t == nil {
		t = &Table{}
	}
	in.table.Store(t)
}

// Prefix begins the path of every request for this package.
const Prefix = "/ingest/"

var prefix = []byte(Prefix)

// Owns reports whether a request, which may not be routed yet, is for this package.
func Owns(ctx *fasthttp.RequestCtx) bool {
	return bytes.HasPrefix(ctx.URI().PathOriginal(), prefix)
}

// ready returns why the body of a request need not be read: its media type is none of events, or
// the producer would not take it, and nothing else does.
func (in *Ingest) ready(ctx *fasthttp.RequestCtx, size int) error {
	if _, _, err := formOf(ctx.Request.Header.ContentType()); err != nil {
		return err
	}
	r := in.named(ctx)
	if r != nil && r.maxBytes > 0 && size > r.maxBytes {
		return r.tooLarge(size)
	}
	if r != nil && (r.ack == ackDisk || r.fallback) {
		return nil
	}
	return in.producer.Ready(in.edge.HolderOf(ctx), max(size, 0))
}

// Routes returns the resource's routes.
func (in *Ingest) Routes() []server.Route {
	return []server.Route{
		{Method: "POST", Path: Prefix + "{topic}", Admit: answersJSON, Ready: in.ready, KeyInQuery: true, Action: server.Ingest, Resource: server.Topic, Handle: in.post},
		{Method: "GET", Path: Prefix + "{topic}/pixel.gif", Admit: answersJSON, KeyInQuery: true, Action: server.Ingest, Resource: server.Topic, Handle: in.getPixel},
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
	route, topic, err := in.route(ctx)
	if err != nil {
		return err
	}
	form, beacon, err := formOf(ctx.Request.Header.ContentType())
	if err != nil {
		return err
	}
	mode, err := cloudevents.ModeOf(&ctx.Request.Header)
	if err != nil {
		return err
	}
	if mode == cloudevents.Binary {
		form = form.ofData(beacon)
	}
	if n := len(server.RequestBody(ctx)); route.maxBytes > 0 && n > route.maxBytes {
		return route.tooLarge(n)
	}
	job := in.producer.Acquire()
	job.Body = server.SwapBody(ctx, job.Body)
	return in.deliver(ctx, job, request{route, topic, form, mode, beacon || server.PrefersMinimal(ctx)})
}

// tooLarge returns the error of a body of so many bytes.
func (r *Route) tooLarge(size int) error {
	return apierr.BodyTooLarge.New("The request body has %d bytes; the ingest route takes %d.", size, r.maxBytes)
}

// request is what is known of a request before its body is read.
type request struct {
	route   *Route
	topic   string
	form    form
	mode    cloudevents.Mode
	minimal bool // of its answer: see [delivery]
}

// route returns the route of a request, and the topic of its events.
func (in *Ingest) route(ctx *fasthttp.RequestCtx) (*Route, string, error) {
	name, err := server.PathParam(ctx, "topic")
	if err != nil {
		return nil, "", err
	}
	if r := in.table.Load().routes[name]; r != nil {
		topic, err := r.topicOf(ctx)
		if err == nil {
			err = r.checkQuery(ctx)
		}
		return r, topic, err
	}
	if !in.settings.DefaultRoutes {
		return nil, "", apierr.NotFound.New("There is no ingest route %s, and topics have none of their own here (ingest.routes.default).", name)
	}
	if err := server.AllowWrite(ctx, name); err != nil {
		return nil, "", err
	}
	return defaultRoute, name, defaultRoute.checkQuery(ctx)
}

// deliver makes records of the events in the job's body, writes them, and answers. It takes the
// job.
func (in *Ingest) deliver(ctx *fasthttp.RequestCtx, job *batch.Job, r request) error {
	d := in.deliveries.Get().(*delivery)
	d.minimal, d.topic = r.minimal, r.topic
	err := in.write(ctx, d, job, r)
	if len(d.tally) > 0 {
		in.edge.RecordsFailed(in.edge.SenderOf(ctx), d.tally)
	}
	d.reset()
	in.deliveries.Put(d)
	return err
}

func (in *Ingest) write(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r request) (failure error) {
	job.Trace, job.Holder = server.TraceOf(ctx), in.edge.HolderOf(ctx)
	d.body, d.slab = job.Body, &job.Slab
	d.max, d.most = in.settings.MaxEvents, r.route.maxEventBytes
	if r.route.maxEvents > 0 {
		d.max = min(d.max, r.route.maxEvents)
	}
	err := d.rules.begin(ctx, r.route, job.Arena)
	if err == nil {
		d.rules.enrich(in.edge, ctx)
		d.rules.beginIDs(ctx, in.ids)
		d.rules.arena, err = d.rules.cloud.begin(&ctx.Request.Header, r.mode, d.rules.arena)
	}
	if err == nil {
		err = d.parse(d.rules.cloud.formOf(r.form))
		job.Arena = d.rules.arena
	}
	panicked := true
	if err == nil {
		d.leaveOutDoubles(&job.Slab)
		defer func() { d.endIDs(panicked || failure != nil) }()
	}
	in.figures.Dropped.Add(uint64(d.left))
	if err == nil {
		err = in.encode(d, job, r)
	}
	if err == nil {
		in.keepDead(ctx, d, r)
	}
	if err == nil && job.Len() == 0 {
		job.Release()
		return in.nothingToWrite(ctx, d)
	}
	if err == nil {
		in.edge.ChargeRecords(ctx, job.Len())
		in.divert(ctx, d, job, &r)
		err = in.keep(ctx, d, job, r)
		job = nil // whoever kept it has it
		if err != nil && (d.stored() || d.firstToRetry() >= 0 && !mayPass(apierr.From(err).Kind)) {
			in.answerPartly(ctx, d, apierr.From(err))
			err = nil
		}
		if err != nil && d.refusedAll > 0 { // else the spool has them, or the answer counts each
			in.edge.AllFailed(in.edge.SenderOf(ctx), r.topic, err, d.refusedAll)
		}
	}
	if job != nil {
		job.Release()
	}
	panicked = false
	return err
}

// nothingToWrite answers a request none of whose events is to be written: with an error, or, if all
// are left out by rules, that all is well. An error that may pass comes before others.
func (in *Ingest) nothingToWrite(ctx *fasthttp.RequestCtx, d *delivery) error {
	if d.faults() == 0 {
		dst := d.appendCounts(ctx.Response.SwapBody(nil)[:0], nil, 0)
		ctx.Response.SwapBody(dst)
		respond(ctx, d, len(dst) == 0)
		return nil
	}
	first := d.firstFault()
	if i := d.firstToRetry(); i >= 0 {
		first = d.refused[i]
	}
	where := ""
	if first.kept {
		where = " It is kept in the dead-letter topic."
	}
	return first.err.Kind.New("No event was written.%s Event %d: %s", where, first.index, first.err.Message())
}

// respond sets the status of a request of which events were taken.
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
