package ingest

import (
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/ingest/cloudevents"
	"millrace/internal/apierr"
)

// cloud is what makes the events of a request CloudEvents; the zero cloud is of other events.
type cloud struct {
	mode cloudevents.Mode
	// headers are those of each record, and key is the partitionkey in binary mode, or nil.
	headers []kgo.RecordHeader
	key     []byte
}

// begin takes the attributes of a request in binary mode, and its content-type. They are copied
// into the arena.
func (c *cloud) begin(h *fasthttp.RequestHeader, mode cloudevents.Mode, arena []byte) (grown []byte, err error) {
	c.mode = mode
	contentType := h.ContentType()
	switch mode {
	case cloudevents.None:
		return arena, nil
	case cloudevents.Binary:
		if c.headers, arena, c.key, err = cloudevents.AppendAttributes(c.headers, arena, h); err != nil {
			return arena, err
		}
	case cloudevents.Batch: // which the record of one event is not
		contentType = []byte(cloudevents.ContentType)
	}
	c.headers, arena = cloudevents.AppendContentType(c.headers, arena, contentType)
	return arena, nil
}

// check returns why an event is no CloudEvent, or nil.
func (c *cloud) check(event []byte) *apierr.Error {
	if c.mode == cloudevents.JSON || c.mode == cloudevents.Batch {
		return cloudevents.Check(event)
	}
	return nil
}

// formOf returns the form of a body of CloudEvents; f is what its Content-Type says otherwise, and
// in binary mode that of its data.
func (c *cloud) formOf(f form) form {
	switch c.mode {
	case cloudevents.JSON, cloudevents.Batch:
		return values
	case cloudevents.Foreign:
		return raw
	}
	return f
}

// partitionKey returns the key that a CloudEvent names itself, or nil.
func (r *rules) partitionKey(event []byte) (key []byte) {
	switch r.cloud.mode {
	case cloudevents.Binary:
		return r.cloud.key
	case cloudevents.JSON, cloudevents.Batch:
		key, r.arena = textOf(cloudevents.Key(event), r.arena)
	}
	return key
}
