package server

import (
	"bytes"
	"context"
	"strconv"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/schema"
)

var produceRoutes = []route{
	{"POST", "/topics/{topic}", jsonAnswer, (*Server).produceToTopic},
	{"POST", "/topics/{topic}/partitions/{partition}", jsonAnswer, (*Server).produceToPartition},
}

// isProduce reports whether the request, which has not been routed yet, is for one of
// produceRoutes: nothing else is posted to below their path.
func isProduce(ctx *fasthttp.RequestCtx) bool {
	return ctx.IsPost() && bytes.HasPrefix(ctx.URI().PathOriginal(), topicsPath)
}

var topicsPath = []byte("/topics/")

// POST /topics/{topic}
func (s *Server) produceToTopic(ctx *fasthttp.RequestCtx) error {
	return s.produce(ctx, batch.AnyPartition)
}

// POST /topics/{topic}/partitions/{partition}
func (s *Server) produceToPartition(ctx *fasthttp.RequestCtx) error {
	partition, err := pathPartition(ctx)
	if err != nil {
		return err
	}
	return s.produce(ctx, partition)
}

// produce moves the body into a job, decodes it there, and gives the job away.
func (s *Server) produce(ctx *fasthttp.RequestCtx, partition int32) error {
	media, err := s.recordsMedia(ctx)
	if err != nil {
		return err
	}
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	if len(requestBody(ctx)) == 0 {
		return apierr.Unprocessable.New("The request needs a body: {\"records\":[…]}.")
	}
	job := s.deps.Producer.Acquire()
	moveBody(ctx, job)
	job.Trace = traceOf(ctx)
	schemas, err := codec.DecodeProduce(job.Body, media.format, &job.Slab, s.settings.MaxRecords)
	if err == nil && media.format.NeedsSchema() {
		err = s.encode(job, media, topic, schemas)
	}
	if err == nil {
		err = s.deps.Producer.Admit(job)
	}
	if err != nil {
		job.Release()
		return err
	}
	releaseBody(ctx) // the producer accounts for it now
	records := job.Len()
	dst, err := s.deps.Producer.Produce(job, topic, partition, ctx.Response.SwapBody(nil)[:0], s.figures.answers[media.version][media.format])
	ctx.Response.SwapBody(dst)
	if err != nil {
		s.figures.lost(records, err)
	}
	return err
}

// encode looks up the schemas that a request named and encodes its records with them.
func (s *Server) encode(job *batch.Job, media recordsMedia, topic string, named codec.Schemas) error {
	key, err := s.resolve(schema.Wanted{Format: media.format, Topic: topic, Key: true, Text: named.Key, ID: named.KeyID})
	if err != nil {
		return err
	}
	value, err := s.resolve(schema.Wanted{Format: media.format, Topic: topic, Text: named.Value, ID: named.ValueID})
	if err != nil {
		return err
	}
	budget, err := s.deps.Producer.Budget(job)
	if err != nil {
		return err
	}
	job.KeySchema, job.ValueSchema = key.ID, value.ID
	job.Arena, err = codec.EncodeRecords(&job.Slab, job.Arena, codec.Encoding{Key: key, Value: value, Dialect: media.dialect, Budget: budget})
	return err
}

// resolve bounds its wait by schema.registry.request.timeout.ms. A client that
// leaves meanwhile does not end it: others may wait for the same answer.
func (s *Server) resolve(w schema.Wanted) (codec.Registered, error) {
	return s.deps.Schemas.Resolve(context.Background(), w)
}

// appendOffsets appends the answer to a v2 produce request.
func appendOffsets(dst []byte, job *batch.Job) []byte {
	return appendSlots(dst, job, recordErrorCode)
}

// appendOffsetsV1 appends the answer to a v1 produce request.
func appendOffsetsV1(dst []byte, job *batch.Job) []byte {
	return appendSlots(dst, job, recordErrorCodeV1)
}

// appendSlots appends an answer with a slot for each record; code names what
// failed one.
func appendSlots(dst []byte, job *batch.Job, code func(*apierr.Kind) int) []byte {
	dst = append(dst, `{"offsets":[`...)
	for i := range job.Len() {
		partition, offset, failed := job.Result(i)
		if failed != nil {
			dst = append(dst, `{"partition":null,"offset":null,"error_code":`...)
			dst = strconv.AppendInt(dst, int64(code(failed.Kind)), 10)
			dst = append(dst, `,"error":`...)
			dst = apierr.AppendJSONString(dst, failed.Message())
			dst = append(dst, `},`...)
			continue
		}
		dst = append(dst, `{"partition":`...)
		dst = strconv.AppendInt(dst, int64(partition), 10)
		dst = append(dst, `,"offset":`...)
		dst = strconv.AppendInt(dst, offset, 10)
		dst = append(dst, `,"error_code":null,"error":null},`...)
	}
	dst = dst[:len(dst)-1] // the comma; there is at least one record
	dst = appendSchemaID(append(dst, `],"key_schema_id":`...), job.KeySchema)
	dst = appendSchemaID(append(dst, `,"value_schema_id":`...), job.ValueSchema)
	return append(dst, '}')
}

func appendSchemaID(dst []byte, id int32) []byte {
	if id == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, int64(id), 10)
}

// recordErrorCode is the code in the slot of a record that failed: a partition
// that does not exist is named as such, the rest divides by whether sending
// the record again can help.
func recordErrorCode(k *apierr.Kind) int {
	switch {
	case k == apierr.PartitionNotFound:
		return k.Code
	case k.Retry:
		return apierr.KafkaRetriable.Code
	}
	return apierr.KafkaError.Code
}

// recordErrorCodeV1 is the same in v1, which knows only whether sending the
// record again can help.
func recordErrorCodeV1(k *apierr.Kind) int {
	if k.Retry {
		return apierr.V1RecordRetriable
	}
	return apierr.V1RecordFailed
}
