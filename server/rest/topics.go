package rest

import (
	"strconv"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
)

// maxMixed bounds the topics of one request: each takes a job.
const maxMixed = 1000

// mixed is one request of records of several topics. It becomes a job for each topic, whose records
// have views of the body of the request's own job until they are framed. All jobs are admitted
// before the first record is written, or none is.
type mixed struct {
	whole  *batch.Job
	topics []string // of each record; views of whole's body
	index  map[string]int
	parts  []part
	slots  []slot

	current int                                     // the part that results are taken from
	take    func(dst []byte, job *batch.Job) []byte // takeResults, made once
}

// part is the records of one topic.
type part struct {
	topic       string
	job         *batch.Job // nil once its results are there
	first, last int        // of its records
	key, value  int32      // ids of schemas
}

// slot is the result of one record.
type slot struct {
	partition int32
	offset    int64
	err       *apierr.Error
	part      int
	next      int // record of the same part
}

var mixes = sync.Pool{New: func() any {
	m := &mixed{index: make(map[string]int)}
	m.take = m.takeResults
	return m
}}

// release gives m back, with the jobs that were not submitted.
func (m *mixed) release() {
	if m.whole != nil {
		m.whole.Release()
		m.whole = nil
	}
	for i := range m.parts {
		if job := m.parts[i].job; job != nil {
			job.Release()
		}
	}
	clear(m.index)
	clear(m.topics)
	clear(m.parts)
	clear(m.slots)
	m.topics, m.parts, m.slots = m.topics[:0], m.parts[:0], m.slots[:0]
	if cap(m.slots) > pool.MaxPooledRecords {
		m.topics, m.slots = nil, nil
	}
	mixes.Put(m)
}

// toTopics handles POST /topics: each record names its topic.
func (p *Produce) toTopics(ctx *fasthttp.RequestCtx) error {
	media, err := p.media.records(ctx)
	if err != nil {
		return err
	}
	if media.version == v1 {
		return apierr.UnsupportedMedia.New("Records of several topics have a Content-Type of v2, such as %s.", jsonRecordsV2)
	}
	if len(server.RequestBody(ctx)) == 0 {
		return apierr.Unprocessable.New("The request needs a body: {\"records\":[{\"topic\":…}…]}.")
	}
	m := mixes.Get().(*mixed)
	defer m.release()
	m.whole = p.producer.Acquire()
	m.whole.Body = server.SwapBody(ctx, m.whole.Body)
	m.whole.Trace, m.whole.Holder = server.TraceOf(ctx), p.edge.HolderOf(ctx)
	named, topics, err := codec.DecodeTopics(m.whole.Body, media.format, &m.whole.Slab, p.limit, m.topics)
	if m.topics = topics; err != nil {
		return media.explain(m.whole.Body, err)
	}
	p.edge.ChargeRecords(ctx, len(m.topics))
	if err := m.split(p.producer); err != nil {
		return err
	}
	for i := range m.parts {
		if err := server.Allow(ctx, server.Produce, server.Topic, m.parts[i].topic); err != nil {
			return err
		}
	}
	for i := range m.parts {
		if err := p.prepare(&m.parts[i], media, named); err != nil {
			return err
		}
	}
	m.submit(p.producer)
	m.whole.Release()
	m.whole = nil
	server.ReleaseBody(ctx) // the producer accounts for what is framed
	return p.answer(ctx, m, media.format)
}

// split makes the parts.
func (m *mixed) split(p *batch.Producer) error {
	records := m.whole.Slab.Records
	for i := range records {
		at, ok := m.index[m.topics[i]]
		if !ok {
			if at = len(m.parts); at == maxMixed {
				return apierr.BodyTooLarge.New("The request has records of more than %d topics. Send several requests.", maxMixed)
			}
			m.index[m.topics[i]] = at
			m.parts = append(m.parts, part{topic: strings.Clone(m.topics[i]), job: p.Acquire(), first: i, last: i})
			m.parts[at].job.Trace, m.parts[at].job.Holder = m.whole.Trace, m.whole.Holder
		}
		of, r := &m.parts[at], &records[i]
		*of.job.Slab.Add() = *r
		of.job.Lent += len(r.Key) + len(r.Value)
		for h := range r.Headers {
			of.job.Lent += len(r.Headers[h].Key) + len(r.Headers[h].Value)
		}
		m.slots = append(m.slots, slot{part: at, next: -1})
		if ok {
			m.slots[of.last].next = i
			of.last = i
		}
	}
	return nil
}

// prepare encodes the records of a part, if they have schemas, and has them admitted.
func (p *Produce) prepare(of *part, media recordsMedia, named codec.Schemas) error {
	if media.format.NeedsSchema() {
		if err := p.encode(of.job, media, of.topic, named); err != nil {
			return err
		}
		of.key, of.value = of.job.KeySchema, of.job.ValueSchema
	}
	return p.producer.Admit(of.job)
}

// submit gives all parts to the producer.
func (m *mixed) submit(p *batch.Producer) {
	for i := range m.parts {
		of := &m.parts[i]
		if err := p.Submit(of.job, of.topic, batch.AnyPartition); err != nil {
			of.job = nil
			m.fail(i, err)
		}
	}
}

// await takes the results of all parts.
func (m *mixed) await(p *batch.Producer) {
	for m.current = range m.parts {
		of := &m.parts[m.current]
		if of.job == nil {
			continue
		}
		job := of.job
		of.job = nil
		if _, err := p.Await(job, nil, m.take); err != nil {
			m.fail(m.current, err)
		}
	}
}

// takeResults takes the results of the current part.
func (m *mixed) takeResults(_ []byte, job *batch.Job) []byte {
	for i, k := m.parts[m.current].first, 0; i >= 0; i, k = m.slots[i].next, k+1 {
		s := &m.slots[i]
		s.partition, s.offset, s.err = job.Result(k)
	}
	return nil
}

// fail gives all records of a part the same error.
func (m *mixed) fail(part int, err error) {
	for i := m.parts[part].first; i >= 0; i = m.slots[i].next {
		m.slots[i].err = apierr.From(err)
	}
}

// answer waits for the results and makes the response. It fails if no record is in Kafka, for one
// reason.
func (p *Produce) answer(ctx *fasthttp.RequestCtx, m *mixed, format codec.Format) error {
	m.await(p.producer)
	written := 0
	same := true
	var failed server.Failures
	for i := range m.slots {
		if err := m.slots[i].err; err == nil {
			written++
		} else {
			failed.Add(m.parts[m.slots[i].part].topic, err, 1)
			same = same && m.slots[0].err != nil && err.Kind == m.slots[0].err.Kind
		}
	}
	if written < len(m.slots) {
		p.edge.RecordsFailed(p.edge.SenderOf(ctx), failed)
	}
	p.edge.Metrics().Format(format.String()).Produced.Add(uint64(written))
	if written == 0 && same {
		return m.slots[0].err
	}
	return server.Respond(ctx, func(dst []byte) ([]byte, error) { return m.append(dst), nil })
}

// append appends the response: a slot for each record. The ids of schemas are those of all topics,
// if they are the same.
func (m *mixed) append(dst []byte) []byte {
	dst = append(dst, `{"offsets":[`...)
	for i := range m.slots {
		s := &m.slots[i]
		dst = json.AppendString(append(dst, `{"topic":`...), m.parts[s.part].topic)
		if s.err != nil {
			dst = append(dst, `,"partition":null,"offset":null,"error_code":`...)
			dst = strconv.AppendInt(dst, int64(recordErrorCode(s.err.Kind)), 10)
			dst = json.AppendString(append(dst, `,"error":`...), s.err.Message())
			dst = append(dst, `},`...)
			continue
		}
		dst = strconv.AppendInt(append(dst, `,"partition":`...), int64(s.partition), 10)
		dst = strconv.AppendInt(append(dst, `,"offset":`...), s.offset, 10)
		dst = append(dst, `,"error_code":null,"error":null},`...)
	}
	key, value := m.parts[0].key, m.parts[0].value
	for i := range m.parts {
		if m.parts[i].key != key {
			key = 0
		}
		if m.parts[i].value != value {
			value = 0
		}
	}
	dst = appendSchemaID(append(dst[:len(dst)-1], `],"key_schema_id":`...), key)
	dst = appendSchemaID(append(dst, `,"value_schema_id":`...), value)
	return append(dst, '}')
}
