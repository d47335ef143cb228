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

// records makes kotel create a span of each record that is part of a trace.
type records struct {
	t     *Tracing
	kotel *kotel.Tracer
}

// Hook returns the hook for a Kafka client, whose clientID the spans name.
func (t *Tracing) Hook(clientID string) kgo.Hook {
	return &records{t: t, kotel: kotel.NewTracer(
		kotel.TracerProvider(t.provider),
		kotel.TracerPropagator(t.context),
		kotel.ClientID(clientID),
		kotel.KeyFormatter(func(*kgo.Record) (string, error) { return "", errNotTold }),
	)}
}

// OnProduceRecordBuffered implements [kgo.HookProduceRecordBuffered]. A record whose client gave
// it a trace of its own stays in that trace.
func (h *records) OnProduceRecordBuffered(r *kgo.Record) {
	if r.Context == nil {
		r.Context = context.Background()
	}
	if traced(r) {
		r.Context = h.t.context.Extract(r.Context, kotel.NewRecordCarrier(r))
	}
	h.kotel.OnProduceRecordBuffered(r)
}

// OnProduceRecordUnbuffered implements [kgo.HookProduceRecordUnbuffered].
func (h *records) OnProduceRecordUnbuffered(r *kgo.Record, err error) {
	h.kotel.OnProduceRecordUnbuffered(r, err)
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
