package v3

import (
	"context"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/schema"
	"millrace/server"
)

// located are the schemas of one record's key and value; those without an id are none.
type located struct{ key, value schema.Located }

// encoder encodes the data of one flight's records for which there are schemas.
type encoder struct {
	of    *Produce
	from  *stream // nil: of a batch
	topic string
	job   *batch.Job
	with  codec.Encoding
	spans []span // of job.Arena: those of key and value of each record, by turns
	// anySubject: the caller may have a schema registered under any subject.
	anySubject bool
}

type span struct{ from, to int }

var (
	noSpan     = span{-1, -1} // the data is not in the arena
	failedSpan = span{-2, -2} // the record cannot be encoded
)

// encode encodes the data with schemas. An entry whose data cannot be encoded gets its error, and
// the job has the records of the other entries then. A stream waits for memory.
func (p *Produce) encode(f *flight, from *stream, topic string, anySubject bool) {
	if !f.needsSchemas() {
		return
	}
	budget, err := p.producer.Budget(f.job)
	for from.awaitMemory(err) {
		budget, err = p.producer.Budget(f.job)
	}
	if err != nil {
		f.refuse(err)
		return
	}
	e := encoder{of: p, from: from, topic: topic, job: f.job, spans: f.spans[:0], with: codec.Encoding{Dialect: p.settings.Dialect, Budget: budget}, anySubject: anySubject}
	f.located = append(f.located[:0], make([]located, len(f.entries))...)
	for n, i := 0, 0; n < len(f.entries); n++ {
		if entry := &f.entries[n]; entry.Err == nil {
			e.entry(entry, i, &f.located[n])
			i++
		}
	}
	f.spans = e.spans
	e.show()
}

func (f *flight) needsSchemas() bool {
	for i := range f.entries {
		if e := &f.entries[i]; e.Err == nil && (e.Key.Type.NeedsSchema() || e.Value.Type.NeedsSchema()) {
			return true
		}
	}
	return false
}

// refuse gives all entries an error that have none.
func (f *flight) refuse(err error) {
	for i := range f.entries {
		if f.entries[i].Err == nil {
			f.entries[i].Err = apierr.From(err)
		}
	}
	f.job.Slab.Truncate()
}

// entry encodes the key and value of the entry, the job's record i.
func (e *encoder) entry(entry *codec.Entry, i int, at *located) {
	r := &e.job.Slab.Records[i]
	key, value := noSpan, noSpan
	var err error
	if entry.Key.Type.NeedsSchema() {
		key, at.key, err = e.data(&entry.Key, true, r.Key)
	}
	if err == nil && entry.Value.Type.NeedsSchema() {
		value, at.value, err = e.data(&entry.Value, false, r.Value)
	}
	if err != nil {
		entry.Err, key = apierr.From(err), failedSpan
	}
	e.spans = append(e.spans, key, value)
}

// data encodes one key or value, and returns where it is in the arena. A null is encoded by the
// schema like other data, unless the settings make it a tombstone.
func (e *encoder) data(d *codec.Data, key bool, text []byte) (at span, of schema.Located, err error) {
	half := "value"
	if key {
		half = "key"
	}
	if e.of.schemas == nil {
		return at, of, apierr.BadRequest.New("The %s needs a schema, and this node has no schema registry. Send a type without one: BINARY, JSON or STRING.", half)
	}
	format, known := d.Type.Format()
	name := schema.Named{
		Format: format, AnyFormat: !known, Topic: e.topic, Key: key,
		Subject: d.Schema.Subject, Strategy: d.Schema.Strategy, Text: d.Schema.Text, ID: d.Schema.ID, Version: d.Schema.Version,
	}
	if !e.anySubject && len(name.Text) > 0 && !name.NamesTopic() {
		return at, of, apierr.Unauthorized.New("The schema of the %s may have to be registered under another subject than the topic's, which takes the right to administer the topic. Leave subject and subject_name_strategy out, or send the id of a schema that is registered.", half)
	}
	of, err = e.of.schemas.Locate(context.Background(), name)
	if err != nil {
		return at, of, err
	}
	d.Type = codec.DataTypeOf(of.Format)
	if text == nil && e.of.settings.NullsAreTombstones {
		return noSpan, of, nil
	}
	at.from = len(e.job.Arena)
	budget := *e.with.Budget
	e.job.Arena, err = codec.EncodeData(e.job.Arena, of.Registered, half, text, e.with)
	for e.from.awaitMemory(err) { // nothing was appended
		*e.with.Budget = budget
		e.job.Arena, err = codec.EncodeData(e.job.Arena, of.Registered, half, text, e.with)
	}
	at.to = len(e.job.Arena)
	return at, of, err
}

// mayNameSubjects reports whether the caller may choose the subject of a schema that the node
// registers with its own rights. Otherwise a caller that may write to one topic could register
// schemas for all of them.
func mayNameSubjects(ctx *fasthttp.RequestCtx, topic string) bool {
	return server.CallerOf(ctx).May(server.Administer, server.Topic, topic)
}

// show makes keys and values views of the arena, which has stopped to grow, and removes the records
// of entries that have got an error.
func (e *encoder) show() {
	for n := range e.job.Slab.Records {
		r := &e.job.Slab.Records[n]
		if s := e.spans[2*n]; s.from >= 0 {
			r.Key = e.job.Arena[s.from:s.to:s.to]
		}
		if s := e.spans[2*n+1]; s.from >= 0 {
			r.Value = e.job.Arena[s.from:s.to:s.to]
		}
	}
	e.job.Slab.Keep(func(i int) bool { return e.spans[2*i] != failedSpan })
}
