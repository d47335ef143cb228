package v3

import (
	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/server"
)

// batch handles POST …/records:batch: a few records, all of which are answered by one response.
func (p *Produce) batch(ctx *fasthttp.RequestCtx) error {
	topic, err := p.target(ctx)
	if err != nil {
		return err
	}
	if len(server.RequestBody(ctx)) == 0 {
		return apierr.BatchRefused.New("The batch has no body: send {\"entries\":[…]}.")
	}
	f := newFlight(nil, nil)
	defer f.release()
	f.job = p.producer.Acquire()
	f.job.Body = server.SwapBody(ctx, f.job.Body)
	f.job.Trace, f.job.Holder = server.TraceOf(ctx), p.edge.HolderOf(ctx)
	if f.entries, err = codec.DecodeBatch(f.job.Body, &f.job.Slab, p.settings.MaxEntries); err != nil {
		return err
	}
	p.encode(f, nil, topic, mayNameSubjects(ctx, topic))
	if err := p.producer.Admit(f.job); err != nil {
		return err
	}
	server.ReleaseBody(ctx) // the producer accounts for it now
	p.edge.ChargeRecords(ctx, f.job.Len())
	b := batchResponse{flight: f, results: results{of: p, head: p.head(ctx, topic), topic: topic, client: p.edge.SenderOf(ctx)}}
	if err := b.write(topic); err != nil {
		return err
	}
	if len(b.results.failed) == 0 && server.PrefersMinimal(ctx) {
		b.results.count()
		server.RespondNothing(ctx)
		return nil
	}
	b.results.count()
	ctx.SetStatusCode(fasthttp.StatusMultiStatus)
	return server.Respond(ctx, func(dst []byte) ([]byte, error) { return append(dst, b.text...), nil })
}

// batchResponse makes the response to a batch: the entries whose records are in Kafka, and the
// others.
type batchResponse struct {
	flight  *flight
	results results
	text    []byte
}

// write writes the records, and makes the response. It fails if none is in Kafka, for a reason that
// is not of the records.
func (b *batchResponse) write(topic string) error {
	f := b.flight
	job := f.job
	if f.job = nil; job.Len() == 0 {
		job.Release()
		b.append(nil, nil)
		return nil
	}
	alone := job.Len() < len(f.entries)
	if f.err = b.results.of.producer.Submit(job, topic, batch.AnyPartition); f.err == nil {
		_, f.err = b.results.of.producer.Await(job, nil, b.append)
	}
	switch {
	case f.err == nil:
		return nil
	case alone: // others have their own reasons
		b.append(nil, nil)
		return nil
	}
	b.results.of.edge.AllFailed(b.results.client, topic, f.err, len(f.entries))
	return f.err
}

// append makes the response. job is nil if no record of it is in Kafka.
func (b *batchResponse) append(dst []byte, job *batch.Job) []byte {
	l := landed{b.flight, job}
	written, failed := []byte(`{"successes":[`), []byte(`],"failures":[`)
	for n, o := range l.each {
		id := json.AppendString([]byte(`{"id":`), l.entries[n].ID)
		if o.err == nil {
			written = b.results.append(append(append(written, id...), ','), l, n, o)
			written = append(written, ',')
			continue
		}
		b.results.failed.Add(b.results.topic, o.err, 1)
		failed = append(append(failed, id...), ',')
		failed = append(codec.AppendErrorMembers(failed, o.err), `},`...)
	}
	b.text = append(trimComma(written), append(trimComma(failed), `]}`...)...)
	return dst
}

// trimComma returns a list without the comma behind its last element.
func trimComma(list []byte) []byte {
	if list[len(list)-1] == ',' {
		return list[:len(list)-1]
	}
	return list
}
