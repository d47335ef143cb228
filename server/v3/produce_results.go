package v3

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/schema"
	"millrace/server"
)

// results writes what became of records, and counts them.
type results struct {
	of      *Produce
	head    []byte // what all results have in common, see [Produce.head]
	clock   instant
	written [codec.SchemaData + 1]uint64
	topic   string
	client  server.Sender
	failed  server.Failures
}

// size returns about how many bytes n results have.
func (r *results) size(n int) int { return n * (len(r.head) + 192) }

// count adds what was written and what failed to the metrics.
func (r *results) count() {
	for t, n := range r.written {
		if n > 0 {
			r.of.counts[t].Produced.Add(n)
		}
	}
	clear(r.written[:])
	r.of.edge.RecordsFailed(r.client, r.failed)
	r.failed.Reset()
}

// append appends the rest of an object that has begun: where the record of entry n is, and what it
// is.
func (r *results) append(dst []byte, l landed, n int, o outcome) []byte {
	r.written[l.entries[n].Value.Type]++
	record := &l.of.Slab.Records[o.record]
	dst = append(dst, r.head...)
	dst = strconv.AppendInt(dst, int64(o.partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, o.offset, 10)
	dst = r.clock.appendTime(dst, record, l.of.Stamp())
	return append(l.appendData(dst, n, record), '}')
}

// appendData appends what is known of the key and value of entry n, whose record is in Kafka.
func (f *flight) appendData(dst []byte, n int, r *kgo.Record) []byte {
	var of located
	if len(f.located) > 0 {
		of = f.located[n]
	}
	if t := f.entries[n].Key.Type; t != codec.NoData {
		dst = appendHalf(append(dst, `,"key":`...), t, &of.key, r.Key)
	}
	if t := f.entries[n].Value.Type; t != codec.NoData {
		dst = appendHalf(append(dst, `,"value":`...), t, &of.value, r.Value)
	}
	return dst
}

// appendHalf appends what is known of a key or value. Of stored, only the length may be used.
func appendHalf(dst []byte, t codec.DataType, of *schema.Located, stored []byte) []byte {
	size := len(stored)
	if stored == nil {
		size = -1
	}
	dst = append(append(append(dst, `{"type":"`...), t.String()...), '"')
	if of.ID != 0 {
		dst = json.AppendString(append(dst, `,"subject":`...), of.Subject)
		dst = strconv.AppendInt(append(dst, `,"schema_id":`...), int64(of.ID), 10)
		dst = strconv.AppendInt(append(dst, `,"schema_version":`...), int64(of.Version), 10)
	}
	dst = append(dst, `,"size":`...)
	return append(strconv.AppendInt(dst, int64(size), 10), '}')
}

// instant writes times, of which most are the same as the one before.
type instant struct {
	ms   int64
	text []byte
}

// appendTime appends the time of a record: its own, or else ms.
func (t *instant) appendTime(dst []byte, r *kgo.Record, ms int64) []byte {
	if !r.Timestamp.IsZero() {
		ms = r.Timestamp.UnixMilli()
	}
	return append(t.append(append(dst, `,"timestamp":"`...), ms), '"')
}

// append appends a time of so many milliseconds, as Java's Instant does: without a fraction of a
// second that is zero.
func (t *instant) append(dst []byte, ms int64) []byte {
	if t.text == nil || ms != t.ms {
		layout := "2006-01-02T15:04:05.000Z"
		if ms%1000 == 0 {
			layout = "2006-01-02T15:04:05Z"
		}
		t.ms, t.text = ms, time.UnixMilli(ms).UTC().AppendFormat(t.text[:0], layout)
	}
	return append(dst, t.text...)
}
