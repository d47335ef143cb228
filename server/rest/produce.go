package rest

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/schema"
	"millrace/server"
)

// Produce is the resource that writes records.
type Produce struct {
	edge     *server.Server
	media    *Media
	producer *batch.Producer
	schemas  *schema.Registry
	limit    int // of records in a request
	// appends has, by version and format, the functions that append a response and count its
	// records. The functions are made at start, since making one allocates.
	appends [v1 + 1][codec.Protobuf + 1]responses
}

// appendResponse appends the response to a produce request.
type appendResponse func(dst []byte, job *batch.Job) []byte

// responses are the two forms of a response. The minimal one is empty when all records are
// written, and else the whole one.
type responses struct{ whole, minimal appendResponse }

// NewProduce returns the resource. schemas is nil without a registry.
func NewProduce(edge *server.Server, m *Media, p *batch.Producer, schemas *schema.Registry) *Produce {
	r := &Produce{edge: edge, media: m, producer: p, schemas: schemas, limit: m.settings.MaxRecords}
	for format := codec.Binary; format <= codec.Protobuf; format++ {
		r.appends[v2][format] = r.counting(format, appendOffsets)
		r.appends[v1][format] = r.counting(format, appendOffsetsV1)
	}
	return r
}

// ready returns why the body of a request need not be read: it is not of records, or the producer
// could not take it.
func (p *Produce) ready(ctx *fasthttp.RequestCtx, size int) error {
	if _, err := p.media.records(ctx); err != nil {
		return err
	}
	return p.producer.Ready(p.edge.HolderOf(ctx), max(size, 0))
}

// counting is both forms of f with the records counted as of the format.
func (p *Produce) counting(format codec.Format, f appendResponse) responses {
	counts := p.edge.Metrics().Format(format.String())
	whole := func(dst []byte, job *batch.Job) []byte {
		written := job.Written()
		counts.Produced.Add(uint64(written))
		if written < job.Len() {
			p.failedOf(job)
		}
		return f(dst, job)
	}
	return responses{whole, func(dst []byte, job *batch.Job) []byte {
		if job.Written() < job.Len() {
			return whole(dst, job)
		}
		counts.Produced.Add(uint64(job.Len()))
		return dst
	}}
}

// Routes returns the resource's routes.
func (p *Produce) Routes() []server.Route {
	query := server.Query{InBody: []string{"key", "partition", "headers", "timestamp"}}
	route := func(path string, of server.Resource, h server.Handler) server.Route {
		return server.Route{Method: "POST", Path: path, Query: query, Admit: p.media.negotiate, Ready: p.ready, Action: server.Produce, Resource: of, Handle: h}
	}
	return []server.Route{
		route("/topics", server.Topics, p.toTopics),
		route("/topics/{topic}", server.Topic, p.toTopic),
		route(partitionPath, server.Topic, p.toPartition),
	}
}

// toTopic handles POST /topics/{topic}.
func (p *Produce) toTopic(ctx *fasthttp.RequestCtx) error {
	return p.produce(ctx, batch.AnyPartition)
}

// toPartition handles POST /topics/{topic}/partitions/{partition}.
func (p *Produce) toPartition(ctx *fasthttp.RequestCtx) error {
	partition, err := pathPartition(ctx)
	if err != nil {
		return err
	}
	return p.produce(ctx, partition)
}

// produce moves the body into a job, decodes it there, and submits the job.
func (p *Produce) produce(ctx *fasthttp.RequestCtx, partition int32) error {
	media, err := p.media.records(ctx)
	if err != nil {
		return err
	}
	topic, err := server.PathParam(ctx, "topic")
	if err != nil {
		return err
	}
	if len(server.RequestBody(ctx)) == 0 {
		return apierr.Unprocessable.New("The request needs a body: {\"records\":[…]}.")
	}
	job := p.producer.Acquire()
	job.Body = server.SwapBody(ctx, job.Body)
	job.Trace, job.Request, job.Holder = server.TraceOf(ctx), ctx, p.edge.HolderOf(ctx)
	schemas, err := codec.DecodeProduce(job.Body, media.format, &job.Slab, p.limit)
	if err == nil && media.format.NeedsSchema() {
		err = p.encode(job, media, topic, schemas)
	}
	if err == nil {
		err = p.producer.Admit(job)
	}
	if err != nil {
		err = media.explain(job.Body, err)
		job.Release()
		return err
	}
	server.ReleaseBody(ctx) // the producer accounts for it now
	records := job.Len()
	p.edge.ChargeRecords(ctx, records)
	answer := p.appends[media.version][media.format]
	if server.PrefersMinimal(ctx) {
		answer.whole = answer.minimal
	}
	dst, err := p.producer.Produce(job, topic, partition, ctx.Response.SwapBody(nil)[:0], answer.whole)
	ctx.Response.SwapBody(dst)
	switch {
	case err != nil:
		p.edge.AllFailed(p.edge.SenderOf(ctx), topic, err, records)
	case len(dst) == 0:
		server.RespondNothing(ctx)
	}
	return err
}

// explain adds to the error of a body what its client most likely got wrong before that.
func (m recordsMedia) explain(body []byte, err error) error {
	if !apierr.BadRequest.Is(err) {
		return err
	}
	if packed := server.Packed(body); packed != nil {
		return packed
	}
	if m.implied {
		return apierr.BadRequest.Wrap(err, "%s. The Content-Type does not name a format, which means binary: for JSON values send Content-Type: %s.",
			strings.TrimSuffix(apierr.From(err).Message(), "."), jsonRecordsV2)
	}
	return err
}

// encode looks up the schemas that a request named and encodes its records with them. The topic is
// looked up before: a schema must not be registered for a topic that does not exist.
func (p *Produce) encode(job *batch.Job, media recordsMedia, topic string, named codec.Schemas) error {
	if err := p.producer.CheckTopic(topic); err != nil {
		return err
	}
	key, err := p.resolve(schema.Wanted{Format: media.format, Topic: topic, Key: true, Text: named.Key, ID: named.KeyID})
	if err != nil {
		return err
	}
	value, err := p.resolve(schema.Wanted{Format: media.format, Topic: topic, Text: named.Value, ID: named.ValueID})
	if err != nil {
		return err
	}
	budget, err := p.producer.Budget(job)
	if err != nil {
		return err
	}
	job.KeySchema, job.ValueSchema = key.ID, value.ID
	encodes := !p.media.settings.NullsAreTombstones // a null is one of the schema's values, if the request names one
	job.Arena, err = codec.EncodeRecords(&job.Slab, job.Arena, codec.Encoding{
		Key: key, KeyNulls: encodes && (len(named.Key) > 0 || named.KeyID != 0),
		Value: value, ValueNulls: encodes && (len(named.Value) > 0 || named.ValueID != 0),
		Dialect: media.dialect, Budget: budget,
	})
	return err
}

// resolve bounds its wait by schema.registry.request.timeout.ms. A client that disconnects
// meanwhile does not cancel it: other requests may share the look-up.
func (p *Produce) resolve(w schema.Wanted) (codec.Registered, error) {
	return p.schemas.Resolve(context.Background(), w)
}

// appendOffsets appends the response to a v2 produce request.
func appendOffsets(dst []byte, job *batch.Job) []byte {
	return appendSlots(dst, job, recordErrorCode)
}

// appendOffsetsV1 appends the response to a v1 produce request.
func appendOffsetsV1(dst []byte, job *batch.Job) []byte {
	return appendSlots(dst, job, recordErrorCodeV1)
}

// appendSlots appends a response with a slot for each record; code returns the error_code of a
// failed one.
func appendSlots(dst []byte, job *batch.Job, code func(*apierr.Kind) int) []byte {
	dst = append(dst, `{"offsets":[`...)
	for i := 0; i < job.Len(); {
		count, partition, offset, failed := job.Row(i)
		i += count
		if failed == nil {
			dst = appendWritten(dst, partition, offset, count)
			continue
		}
		slot := len(dst)
		dst = append(dst, `{"partition":null,"offset":null,"error_code":`...)
		dst = strconv.AppendInt(dst, int64(code(failed.Kind)), 10)
		dst = append(dst, `,"error":`...)
		dst = json.AppendString(dst, failed.Message())
		dst = append(dst, `},`...)
		for end := len(dst); count > 1; count-- {
			dst = append(dst, dst[slot:end]...)
		}
	}
	dst = dst[:len(dst)-1] // the comma; there is at least one record
	dst = appendSchemaID(append(dst, `],"key_schema_id":`...), job.KeySchema)
	dst = appendSchemaID(append(dst, `,"value_schema_id":`...), job.ValueSchema)
	return append(dst, '}')
}

// appendWritten appends the slots of count records that are in a partition from offset on. A slot
// differs from the one before it in the offset alone: it is copied, and counted up in place.
func appendWritten(dst []byte, partition int32, offset int64, count int) []byte {
	for end := offset + int64(count); offset < end; {
		slot := len(dst)
		dst = append(dst, `{"partition":`...)
		dst = strconv.AppendInt(dst, int64(partition), 10)
		dst = append(dst, `,"offset":`...)
		dst = strconv.AppendInt(dst, offset, 10)
		digits := len(dst) - slot
		dst = append(dst, `,"error_code":null,"error":null},`...)
		size, alike := len(dst)-slot, min(end, sameDigits(offset))
		dst = slices.Grow(dst, int(alike-offset-1)*size)
		for offset++; offset < alike; offset++ {
			dst = append(dst, dst[len(dst)-size:]...)
			countUp(dst[:len(dst)-size+digits])
		}
	}
	return dst
}

// sameDigits returns the first number above n that has more digits, or that follows a negative n.
func sameDigits(n int64) int64 {
	if n < 0 {
		return n + 1
	}
	limit := int64(10)
	for ; n >= limit; limit *= 10 {
		if limit == 1e18 {
			return math.MaxInt64 // there are numbers of 19 digits, and not all of 20
		}
	}
	return limit
}

// countUp adds one to the decimal number that b ends with, which has a digit other than 9.
func countUp(b []byte) {
	i := len(b) - 1
	for ; b[i] == '9'; i-- {
		b[i] = '0'
	}
	b[i]++
}

func appendSchemaID(dst []byte, id int32) []byte {
	if id == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, int64(id), 10)
}

// recordErrorCode returns the code in the slot of a record that failed. A partition or a topic that
// does not exist, a right that is missing and a record that may be in Kafka have codes of their
// own; other errors have one of two, retriable or not.
func recordErrorCode(k *apierr.Kind) int {
	switch k {
	case apierr.PartitionNotFound, apierr.TopicNotFound, apierr.Unauthorized, apierr.Unauthenticated, apierr.WriteUnknown:
		return k.Code
	}
	if k.Retry {
		return apierr.KafkaRetriable.Code
	}
	return apierr.KafkaError.Code
}

// recordErrorCodeV1 returns the same for v1, which has only the codes for retriable or not. A
// record that may be in Kafka is retriable, as in Kafka's own clients: the error's text warns.
func recordErrorCodeV1(k *apierr.Kind) int {
	if k.Retry || k == apierr.WriteUnknown {
		return apierr.V1RecordRetriable
	}
	return apierr.V1RecordFailed
}
