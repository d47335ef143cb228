package ingest

import (
	"errors"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
	"millrace/spool"
)

// keep brings the job's records to where the route's ack promises that they are, and answers. It
// takes the job.
func (in *Ingest) keep(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r request) error {
	switch {
	case r.route.ack == ackMemory:
		return in.toMemory(ctx, d, job, r)
	case r.route.ack == ackDisk, r.route.fallback && !in.direct(r.topic):
		entry := encode(job, r.topic, r.route.name)
		defer entry.Release()
		job.Release()
		return in.toDisk(ctx, d, r.topic, entry.B)
	case r.route.fallback:
		return in.toKafkaOrDisk(ctx, d, job, r)
	}
	return in.toKafka(ctx, d, job, r)
}

// direct reports whether events of a route with a fallback may go to Kafka: while the spool has
// any, later ones would overtake them.
func (in *Ingest) direct(topic string) bool {
	return in.spool.Empty() && in.forwarder.lane(topic) == nil && in.producer.Ready(nil, 0) == nil
}

// toKafka answers when Kafka has the events.
func (in *Ingest) toKafka(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r request) error {
	if err := in.producer.Admit(job); err != nil {
		job.Release()
		return err
	}
	if !r.route.fallback { // else its charge is for the entry that is kept for the disk
		server.ReleaseBody(ctx) // the producer accounts for it now
	}
	records := job.Len()
	dst, err := in.producer.Produce(job, r.topic, batch.AnyPartition, ctx.Response.SwapBody(nil)[:0], d.answer)
	ctx.Response.SwapBody(dst)
	if err != nil {
		d.refusedAll = records
		return err
	}
	in.counts.Produced.Add(uint64(d.events - d.left - d.failed))
	respond(ctx, d, len(dst) == 0)
	return nil
}

// toKafkaOrDisk is toKafka, but the spool takes what is certain not to be in Kafka. Its sender
// decides about an event that may be there.
func (in *Ingest) toKafkaOrDisk(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r request) error {
	entry := encode(job, r.topic, r.route.name) // Produce takes the job
	defer entry.Release()
	err := in.toKafka(ctx, d, job, r)
	if err == nil || !apierr.From(err).Kind.Retry || len(entry.B) > spool.MaxEntry {
		return err
	}
	return in.toDisk(ctx, d, r.topic, entry.B)
}

// encode returns the job's records as an entry of the spool.
func encode(job *batch.Job, topic, route string) *pool.Buffer {
	b := pool.GetBuffer(len(job.Body) + len(job.Body)/4 + 32*job.Len())
	b.B = appendRecords(b.B, topic, route, job.Slab.Records, time.Now())
	return b
}

// toDisk answers when the disk has the events.
func (in *Ingest) toDisk(ctx *fasthttp.RequestCtx, d *delivery, topic string, entry []byte) error {
	if failed := in.toSpool(topic, entry); failed != nil {
		return failed
	}
	in.accepted(ctx, d)
	return nil
}

// toSpool returns when the disk has an entry.
func (in *Ingest) toSpool(topic string, entry []byte) *apierr.Error {
	if l := in.forwarder.lane(topic); l != nil && l.full(in.settings.SpoolLimits) {
		return apierr.SpoolFull.New("Kafka does not take the events of the topic %s, and this node holds as many of them as it can. Nothing was written: send it again.", topic)
	}
	if len(entry) > spool.MaxEntry {
		return apierr.BodyTooLarge.New("The events take %d bytes in the spool of this node; at most %d are allowed. Send several requests.", len(entry), spool.MaxEntry)
	}
	switch err := in.spool.Append(entry); {
	case errors.Is(err, spool.ErrClosed):
		return apierr.Draining.Err()
	case err != nil:
		return apierr.SpoolFull.Wrap(err, "The disk of this node takes no more events, and Kafka has not taken those that it holds. Nothing was written: send it again.")
	}
	return nil
}

// toMemory answers at once. The events are on their way to Kafka, within the memory of the
// producer; if they do not arrive there they are lost, and counted.
func (in *Ingest) toMemory(ctx *fasthttp.RequestCtx, d *delivery, job *batch.Job, r request) error {
	if err := in.producer.Admit(job); err != nil {
		job.Release()
		return err
	}
	server.ReleaseBody(ctx)
	in.accepted(ctx, d)
	go in.send(job, strings.Clone(r.topic), in.edge.SenderOf(ctx)) // the topic is a view of the request
	return nil
}

// send writes a job of a sender that does not wait for it. It takes the job, which is admitted.
func (in *Ingest) send(job *batch.Job, topic string, from server.Sender) {
	records, written := job.Len(), 0
	_, err := in.producer.Produce(job, topic, batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		written = job.Written()
		return dst
	})
	in.counts.Produced.Add(uint64(written))
	in.figures.Lost.Add(uint64(records - written))
	if err != nil {
		in.edge.AllFailed(from, topic, err, records)
	}
}

// accepted answers for events that are not in Kafka yet.
func (in *Ingest) accepted(ctx *fasthttp.RequestCtx, d *delivery) {
	dst := d.appendAccepted(ctx.Response.SwapBody(nil)[:0])
	ctx.Response.SwapBody(dst)
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	if len(dst) == 0 {
		ctx.SetContentType("")
	} else {
		respond(ctx, d, false)
	}
}
