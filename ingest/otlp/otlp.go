package otlp

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/encoding/protowire"

	"millrace/batch"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/metrics"
	"millrace/server"
)

// Settings are the topics of the signals. A signal without one is not served.
type Settings struct {
	Traces, Logs, Metrics string
}

// OTLP is the resource that takes signals.
type OTLP struct {
	edge     *server.Server
	producer *batch.Producer
	settings Settings
	counts   *metrics.Format
}

// New returns the resource.
func New(edge *server.Server, s Settings, p *batch.Producer) *OTLP {
	return &OTLP{edge: edge, producer: p, settings: s, counts: edge.Metrics().Format("ingest")}
}

// Routes returns the resource's routes.
func (o *OTLP) Routes() []server.Route {
	route := func(path, setting, topic string) server.Route {
		return server.Route{
			Method: "POST", Path: path, Action: server.Ingest, Resource: server.Node, Ready: o.ready,
			Handle: func(ctx *fasthttp.RequestCtx) error { return o.post(ctx, setting, topic) },
		}
	}
	return []server.Route{
		route("/v1/traces", "ingest.otlp.traces.topic", o.settings.Traces),
		route("/v1/logs", "ingest.otlp.logs.topic", o.settings.Logs),
		route("/v1/metrics", "ingest.otlp.metrics.topic", o.settings.Metrics),
	}
}

// ready returns why the body of a request need not be read: it is not of OTLP, or the producer
// could not take it.
func (o *OTLP) ready(ctx *fasthttp.RequestCtx, size int) error {
	if _, err := encodingOf(ctx); err != nil {
		return err
	}
	return o.producer.Ready(o.edge.HolderOf(ctx), max(size, 0))
}

// Owns reports whether a request, which may not be routed yet, is for this package.
func Owns(ctx *fasthttp.RequestCtx) bool {
	switch string(bytes.TrimRight(ctx.URI().PathOriginal(), "/")) {
	case "/v1/traces", "/v1/logs", "/v1/metrics":
		return ctx.IsPost()
	}
	return false
}

// post handles a request with a signal.
func (o *OTLP) post(ctx *fasthttp.RequestCtx, setting, topic string) error {
	if topic == "" {
		return apierr.NotFound.New("This node takes no such signal: %s names no topic for it.", setting)
	}
	if err := server.AllowWrite(ctx, topic); err != nil {
		return err
	}
	e, err := encodingOf(ctx)
	if err != nil {
		return err
	}
	body := server.RequestBody(ctx)
	if err := e.check(body); err != nil {
		return err
	}
	if len(body) > 0 {
		if err := o.write(ctx, topic); err != nil {
			return err
		}
	}
	ctx.SetContentType(e.media())
	return server.Respond(ctx, func(dst []byte) ([]byte, error) { return e.appendEmpty(dst), nil })
}

// write makes the body a record, and returns when Kafka has it.
func (o *OTLP) write(ctx *fasthttp.RequestCtx, topic string) error {
	job := o.producer.Acquire()
	job.Body = server.SwapBody(ctx, job.Body)
	job.Trace, job.Holder = server.TraceOf(ctx), o.edge.HolderOf(ctx)
	r := job.Slab.Add()
	r.Value, r.Partition = job.Body, batch.AnyPartition
	if err := o.producer.Admit(job); err != nil {
		job.Release()
		return err
	}
	server.ReleaseBody(ctx) // the producer accounts for it now
	o.edge.ChargeRecords(ctx, 1)
	var refused *apierr.Error
	_, err := o.producer.Produce(job, topic, batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		_, _, refused = job.Result(0)
		return dst
	})
	switch {
	case err != nil:
		o.edge.AllFailed(o.edge.SenderOf(ctx), topic, err, 1)
		return err
	case refused != nil:
		o.edge.AllFailed(o.edge.SenderOf(ctx), topic, refused, 1)
		return refused
	}
	o.counts.Produced.Add(1)
	return nil
}

// encoding is that of a request, and of its response.
type encoding uint8

const (
	binary encoding = iota
	text
)

const mediaBinary = "application/x-protobuf"

func encodingOf(ctx *fasthttp.RequestCtx) (encoding, error) {
	name, _, _ := bytes.Cut(ctx.Request.Header.ContentType(), []byte{';'})
	switch string(bytes.ToLower(bytes.TrimSpace(name))) {
	case mediaBinary, "application/protobuf":
		return binary, nil
	case server.MediaJSON:
		return text, nil
	}
	return binary, apierr.UnsupportedMedia.New("OTLP comes as %s or %s, not %q.", mediaBinary, server.MediaJSON, name)
}

func (e encoding) media() string {
	if e == text {
		return server.MediaJSON
	}
	return mediaBinary
}

// appendEmpty appends an empty response.
func (e encoding) appendEmpty(dst []byte) []byte {
	if e == text {
		return append(dst, "{}"...)
	}
	return dst
}

var errNoMessage = errors.New("it is no message of Protobuf")

// check looks at a body as far as its encoding goes: those who read the topic read the rest.
func (e encoding) check(body []byte) error {
	if e == text {
		if i := json.SkipSpace(body, 0); i == len(body) || body[i] != '{' || !json.Valid(body) {
			return apierr.BadRequest.New("The body is not a JSON object.")
		}
		return nil
	}
	for len(body) > 0 {
		n, kind, size := protowire.ConsumeField(body)
		if size < 0 || n == 1 && kind != protowire.BytesType {
			return apierr.BadRequest.Wrap(errNoMessage, "The body is not an export request in Protobuf.")
		}
		body = body[size:]
	}
	return nil
}
