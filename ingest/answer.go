package ingest

import (
	"strconv"
	"time"

	"millrace/batch"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
)

// delivery is one request's events on their way, and what became of them. It is pooled.
type delivery struct {
	parser
	// minimal leaves the body of the answer away when all events are written.
	minimal bool
	// failed counts the events that are not written, and retryAfter is the longest time that one
	// of them asks its sender to wait.
	failed     int
	retryAfter time.Duration
	// topic is that of the request, tally the events of it that are not written, by reason.
	topic string
	tally server.Failures
	// Memory of the encoding by a schema: where each event is in the arena, those that do not fit,
	// and the text of one.
	spans   []span
	misfits []refusal
	text    []byte
	// encoding says that records are removed because of their schema, and unwritten are the records
	// that Kafka does not have, nil for none.
	encoding  bool
	unwritten []bool
	// hot are the records that are over the rate of the route. whole is why none of the others is
	// written, where the answer names each: some of those are, or an event is to be sent again.
	hot   []bool
	whole *apierr.Error
	// refusedAll is how many records Kafka has refused together.
	refusedAll int
	// answer is the method appendAnswer, made once since making it allocates.
	answer func(dst []byte, job *batch.Job) []byte
}

func newDelivery() *delivery {
	d := &delivery{}
	d.json = new(json.Values)
	d.answer = d.appendAnswer
	return d
}

// reset makes the delivery ready for its next life; answer and memory are kept.
func (d *delivery) reset() {
	clear(d.refused)
	clear(d.misfits)
	clear(d.rules.shared)
	clear(d.rules.picked)
	clear(d.rules.cloud.headers)
	clear(d.rules.common)
	d.json.Reset(nil)
	d.parser = parser{json: d.json, refused: d.refused[:0], rules: rules{shared: d.rules.shared[:0], picked: d.rules.picked[:0], common: d.rules.common[:0], noted: d.rules.noted[:0], cloud: cloud{headers: d.rules.cloud.headers[:0]}}}
	if cap(d.refused) > 2*maxRefused {
		d.refused = nil
	}
	if cap(d.spans) > pool.MaxPooledRecords || cap(d.text) > pool.MaxPooledBytes {
		d.spans, d.misfits, d.text = nil, nil, nil
	}
	d.encoding, d.unwritten, d.whole = false, nil, nil
	if d.hot = d.hot[:0]; cap(d.hot) > pool.MaxPooledRecords {
		d.hot = nil
	}
	d.tally.Reset()
	d.minimal, d.failed, d.refusedAll, d.retryAfter, d.topic = false, 0, 0, 0, ""
}

// appendAnswer appends the answer: the counts and, of each event that is not written, its index
// in the body, the reason, and whether it is to be sent again. It appends nothing to a minimal
// answer without failures.
func (d *delivery) appendAnswer(dst []byte, job *batch.Job) []byte {
	d.noteFailures(job)
	return d.appendCounts(dst, job, job.Written())
}

// appendAccepted appends the answer to events that are not in Kafka yet.
func (d *delivery) appendAccepted(dst []byte) []byte {
	return d.appendCounts(dst, nil, d.events-len(d.refused))
}

// appendCounts appends an answer; job is nil where no record of it has a result.
func (d *delivery) appendCounts(dst []byte, job *batch.Job, accepted int) []byte {
	d.failed = d.events - d.left - d.away - accepted
	if d.failed == 0 && d.minimal {
		return dst
	}
	dst = append(dst, `{"accepted":`...)
	dst = strconv.AppendInt(dst, int64(accepted+d.away), 10)
	dst = append(dst, `,"refused":`...)
	dst = strconv.AppendInt(dst, int64(d.failed), 10)
	if d.left > 0 {
		dst = strconv.AppendInt(append(dst, `,"dropped":`...), int64(d.left), 10)
	}
	if d.failed > 0 {
		dst = d.appendErrors(append(dst, `,"errors":[`...), job)
		dst[len(dst)-1] = ']' // the last comma
	}
	return append(dst, '}')
}

// appendErrors walks the refused events and the job's records in the order of their indexes.
func (d *delivery) appendErrors(dst []byte, job *batch.Job) []byte {
	refused := d.refused
	for index, record := 0, 0; index < d.events; index++ {
		if len(refused) > 0 && refused[0].index == index {
			if refused[0].err != nil {
				dst = d.appendError(dst, index, refused[0].err)
			}
			if refused[0].kept {
				dst = append(dst[:len(dst)-len(`},`)], `,"dead_letter":true},`...)
			}
			refused = refused[1:]
			continue
		}
		switch {
		case d.whole != nil:
			dst = d.appendError(dst, index, d.whole)
		case job != nil && job.Written() < job.Len():
			if _, _, failed := job.Result(record); failed != nil {
				dst = d.appendError(dst, index, failed)
			}
		}
		record++
	}
	return dst
}

func (d *delivery) appendError(dst []byte, index int, err *apierr.Error) []byte {
	d.tally.Add(d.topic, err, 1)
	d.retryAfter = max(d.retryAfter, err.Kind.RetryAfter)
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, `,"error_code":`...)
	dst = strconv.AppendInt(dst, int64(err.Kind.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = json.AppendString(dst, err.Message())
	dst = append(dst, `,"retry":`...)
	dst = strconv.AppendBool(dst, err.Kind.Retry)
	return append(dst, `},`...)
}
