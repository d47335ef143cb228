package ingest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/ingest/cloudevents"
	"millrace/ingest/deadletter"
	"millrace/internal/apierr"
	"millrace/server"
)

// isDead reports whether the event will never be taken as it is.
func (r *refusal) isDead() bool { return r.err != nil && !r.err.Kind.Retry }

// keepDead writes the refused events of a request to the dead-letter topic of its route, if it has
// one. Where that fails an event's sender keeps it: its error becomes that of the topic.
func (in *Ingest) keepDead(ctx *fasthttp.RequestCtx, d *delivery, r request) {
	dead := 0
	for i := range d.refused {
		if d.refused[i].isDead() {
			dead++
		}
	}
	if r.route.deadLetter == "" || dead == 0 {
		return
	}
	fates := in.store(in.deadJob(ctx, d, r), r.route.deadLetter, r.route)
	kept, left := 0, fates.first()
	for i, letter := 0, 0; i < len(d.refused); i++ {
		refused := &d.refused[i]
		if !refused.isDead() {
			continue
		}
		failed := fates.of(letter)
		letter++
		switch {
		case failed == nil:
			refused.kept = true
			kept++
		case apierr.BodyTooLarge.Is(failed): // it always will be: its sender drops it
		default:
			kind := apierr.KafkaRetriable // also of an operator's fault: the sender keeps the event
			if failed.Kind.Retry {
				kind = failed.Kind
			}
			refused.err = kind.New("The event cannot be kept in the dead-letter topic (%s), where it belongs: %s", failed.Message(), refused.err.Message())
		}
	}
	in.figures.DeadLetters.Add(uint64(kept))
	if left != nil {
		in.log.Warn("refused events cannot be kept in the dead-letter topic", "route", r.route.name, "topic", r.route.deadLetter, "events", dead-kept, "err", left)
	}
}

// deadJob makes a job of the refused events, with copies of all that it has.
func (in *Ingest) deadJob(ctx *fasthttp.RequestCtx, d *delivery, r request) *batch.Job {
	job := in.producer.Acquire()
	job.Holder = in.edge.HolderOf(ctx)
	w := deadWriter{job: job}
	contentType := w.copy(ctx.Request.Header.ContentType())
	if ctx.IsGet() { // the event was made of a query
		contentType = []byte(server.MediaJSON)
	}
	var sent []field
	for _, name := range r.route.params {
		if ctx.QueryArgs().Has(name) {
			sent = append(sent, field{deadletter.Query + name, w.copy(ctx.QueryArgs().Peek(name))})
		}
	}
	for _, name := range r.route.reads {
		if value := ctx.Request.Header.Peek(name); len(value) > 0 {
			sent = append(sent, field{deadletter.Header + name, w.copy(value)})
		}
	}
	if r.mode == cloudevents.Binary {
		for name, value := range ctx.Request.Header.All() {
			if name := strings.ToLower(string(name)); strings.HasPrefix(name, "ce-") {
				sent = append(sent, field{deadletter.Header + name, w.copy(value)})
			}
		}
	}
	first := firstIndex(ctx)
	for i := range d.refused {
		refused := &d.refused[i]
		if !refused.isDead() {
			continue
		}
		w.record(w.copy(refused.event))
		w.reason(r.route.name, r.topic, refused.err)
		w.header(deadletter.Index, strconv.AppendInt(nil, int64(first+refused.index), 10))
		if len(contentType) > 0 {
			w.header(deadletter.Type, contentType)
		}
		for _, f := range sent {
			w.header(f.name, f.value)
		}
	}
	return job
}

type field struct {
	name  string
	value []byte
}

// deadWriter fills a job. It is for the few events that are refused, and allocates.
type deadWriter struct {
	job *batch.Job
}

func (w *deadWriter) record(value []byte) {
	w.job.Slab.Add().Value = value
	w.job.Lent += len(value)
}

func (w *deadWriter) header(name string, value []byte) {
	records := w.job.Slab.Records
	w.job.Slab.AddHeader(&records[len(records)-1], name, value)
	w.job.Lent += len(name) + len(value)
}

// reason adds the headers with the reason, and with the topic that the record was for.
func (w *deadWriter) reason(route, topic string, why *apierr.Error) {
	w.header(deadletter.Route, []byte(route))
	w.header(deadletter.Topic, []byte(topic))
	w.header(deadletter.Reason, []byte(why.Kind.Name))
	w.header(deadletter.Message, []byte(why.Message()))
}

// copy returns bytes that live as long as somebody looks at them.
func (w *deadWriter) copy(b []byte) []byte { return append([]byte{}, b...) }

// fates are why the records of a job are not where they are to be, nil for those that are. All are
// for nil fates, and none for the same reason where there is one fate.
type fates []*apierr.Error

// of returns the fate of record i.
func (f fates) of(i int) *apierr.Error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return f[0]
	}
	return f[i]
}

// first returns the first failure, or nil.
func (f fates) first() *apierr.Error {
	for _, failed := range f {
		if failed != nil {
			return failed
		}
	}
	return nil
}

// retry reports whether there are failures, and nothing was written of any of the records: all may
// be brought elsewhere.
func (f fates) retry() bool {
	return f.first() != nil && !slices.ContainsFunc(f, func(e *apierr.Error) bool { return e != nil && !e.Kind.Retry })
}

// fate returns the fates of a job that has failed as a whole, or has not.
func fate(failed *apierr.Error) fates {
	if failed == nil {
		return nil
	}
	return fates{failed}
}

// store brings a job for another topic of the route, the dead-letter or the overflow topic, to
// where the route's ack promises that its events are. It takes the job.
func (in *Ingest) store(job *batch.Job, topic string, r *Route) fates {
	if r.ack == ackDisk || r.fallback && !in.direct(topic) {
		return fate(in.storeOnDisk(job, topic, r))
	}
	if !r.fallback {
		return in.storeInKafka(job, topic)
	}
	entry := encode(job, topic, r.name) // Produce takes the job
	defer entry.Release()
	failed := in.storeInKafka(job, topic)
	if failed.retry() {
		return fate(in.toSpool(topic, entry.B))
	}
	return failed
}

func (in *Ingest) storeOnDisk(job *batch.Job, topic string, r *Route) *apierr.Error {
	entry := encode(job, topic, r.name)
	defer entry.Release()
	job.Release()
	return in.toSpool(topic, entry.B)
}

// storeInKafka writes a job. It takes the job.
func (in *Ingest) storeInKafka(job *batch.Job, topic string) (failed fates) {
	_, err := in.producer.Produce(job, topic, batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		if job.Written() == job.Len() {
			return dst
		}
		failed = make(fates, job.Len())
		for i := range failed {
			_, _, failed[i] = job.Result(i)
		}
		return dst
	})
	if err != nil {
		return fates{apierr.From(err)}
	}
	return failed
}
