package tracing

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kotel"
	"go.opentelemetry.io/otel/trace"
)

// traceparent is the header that names a record's trace.
const traceparent = "traceparent"

// errNotTold keeps kotel from exporting keys.
var errNotTold = errors.New("keys are not told")

// records makes kotel create a span of each record read that is part of a trace.
type records struct{ kotel *kotel.Tracer }

// Hook returns the hook for a Kafka client that reads, whose clientID the spans name.
func (t *Tracing) Hook(clientID string) kgo.Hook {
	return &records{kotel: t.newKotel(clientID)}
}

func (t *Tracing) newKotel(clientID string) *kotel.Tracer {
	return kotel.NewTracer(
		kotel.TracerProvider(t.provider),
		kotel.TracerPropagator(t.context),
		kotel.ClientID(clientID),
		kotel.KeyFormatter(func(*kgo.Record) (string, error) { return "", errNotTold }),
	)
}

// Records returns the functions that begin and end the span of a record that is written by a
// client with that id. A record whose client gave it a trace of its own stays in that trace. begin
// adds the header that names the trace.
func (t *Tracing) Records(clientID string) (begin func(*kgo.Record), end func(*kgo.Record, error)) {
	spans := t.newKotel(clientID)
	begin = func(r *kgo.Record) {
		if r.Context == nil {
			r.Context = context.Background()
		}
		if traced(r) {
			r.Context = t.context.Extract(r.Context, kotel.NewRecordCarrier(r))
		}
		spans.OnProduceRecordBuffered(r)
	}
	return begin, spans.OnProduceRecordUnbuffered
}

// OnFetchRecordBuffered implements [kgo.HookFetchRecordBuffered]. Records without a trace get no
// span; otherwise each would begin a trace.
func (h *records) OnFetchRecordBuffered(r *kgo.Record) {
	if traced(r) {
		h.kotel.OnFetchRecordBuffered(r)
	}
}

// OnFetchRecordUnbuffered implements [kgo.HookFetchRecordUnbuffered].
func (h *records) OnFetchRecordUnbuffered(r *kgo.Record, polled bool) {
	if r.Context != nil && trace.SpanFromContext(r.Context).SpanContext().IsValid() {
		h.kotel.OnFetchRecordUnbuffered(r, polled)
	}
}

func traced(r *kgo.Record) bool {
	for i := range r.Headers {
		if r.Headers[i].Key == traceparent {
			return true
		}
	}
	return false
}
