package ingest

import (
	"context"

	"millrace/batch"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/schema"
)

// schemaRule is the schema that the events of a route must fit. It is immutable.
type schemaRule struct {
	format codec.Format
	any    bool // of any format
	// subject is empty for that of the topic's values. Without id and version it is the latest.
	subject     []byte
	id, version int32
}

// named returns what the registry is asked for.
func (s *schemaRule) named(topic string) schema.Named {
	return schema.Named{Format: s.format, AnyFormat: s.any, Topic: topic, Subject: s.subject, ID: s.id, Version: s.version}
}

// span is where an encoded event is in the arena, or -1.
type span struct{ from, to int }

// encode makes the events of a job what the schema of their route makes of them: the bytes that
// Kafka's clients with a schema registry read. An event that does not fit is refused alone.
func (in *Ingest) encode(d *delivery, job *batch.Job, r request) error {
	rule := r.route.schema
	if rule == nil || job.Len() == 0 {
		return nil
	}
	if in.schemas == nil {
		return apierr.BadRequest.New("The ingest route %s has a schema, and this node has no schema registry.", r.route.name)
	}
	located, err := in.schemas.Locate(context.Background(), rule.named(r.topic)) // bounded by its own timeout
	if err != nil {
		return unusable(err)
	}
	budget, err := in.producer.Budget(job)
	if err != nil {
		return err
	}
	with := codec.Encoding{Dialect: codec.Plain, Budget: budget}
	d.spans, d.misfits = d.spans[:0], d.misfits[:0]
	for i := range job.Slab.Records {
		event := job.Slab.Records[i].Value
		at, fault := span{from: len(job.Arena)}, error(nil)
		if job.Arena, fault = d.encodeEvent(job.Arena, event, located.Registered, with); fault != nil {
			if apierr.BodyTooLarge.Is(fault) || apierr.From(fault).Kind.Retry { // for want of memory: so would the others
				return fault
			}
			at.from = -1
			d.misfits = append(d.misfits, refusal{index: i, event: event, err: misfit(fault)})
		}
		at.to = len(job.Arena)
		d.spans = append(d.spans, at)
	}
	for i, at := range d.spans { // the arena has stopped to grow
		if at.from >= 0 {
			job.Slab.Records[i].Value = job.Arena[at.from:at.to:at.to]
		}
	}
	if len(d.misfits) == 0 {
		return nil
	}
	d.encoding = true
	d.keepRecords(&job.Slab, func(i int) bool { return d.spans[i].from >= 0 })
	return d.refuseMisfits()
}

// unusable returns the error of a schema that cannot be had. The fault is never the sender's, so
// the sender is told to retry.
func unusable(err error) error {
	if e := apierr.From(err); !e.Kind.Retry {
		return apierr.RegistryAway.Wrap(err, "The schema of the ingest route cannot be used: %s", e.Message())
	}
	return err
}

// encodeEvent appends what the schema makes of an event.
func (d *delivery) encodeEvent(arena, event []byte, with codec.Registered, e codec.Encoding) ([]byte, error) {
	if d.rules.opaque {
		return arena, apierr.Unprocessable.New("the route has a schema, and the event is not JSON by its Content-Type")
	}
	d.text = append(d.text[:0], event...) // the event stays as it came
	w := json.NewWalker(d.text)
	return codec.EncodeData(arena, with, "event", w.Value(), e)
}

// misfit returns the error of an event that does not fit the schema of its route.
func misfit(fault error) *apierr.Error {
	return apierr.Misfit.New("The event does not fit the schema of the route: %s", apierr.From(fault).Message())
}

// refuseMisfits adds the events that do not fit to those that are refused, in order.
func (d *delivery) refuseMisfits() error {
	if d.faults()+len(d.misfits) > maxRefused {
		return apierr.Misfit.New("More than %d events are refused, and nothing was written. One of them: %s", maxRefused, d.misfits[0].err.Message())
	}
	d.without(d.misfits)
	return nil
}

// without adds events to those that are refused or left out, in order. They have the number of
// their record for an index.
func (d *delivery) without(gone []refusal) {
	var all []refusal
	refused, record := d.refused, 0
	for index := range d.events {
		if len(refused) > 0 && refused[0].index == index {
			all = append(all, refused[0])
			refused = refused[1:]
			continue
		}
		if len(gone) > 0 && gone[0].index == record {
			gone[0].index = index
			all = append(all, gone[0])
			gone = gone[1:]
		}
		record++
	}
	d.refused = all
}
