package tune

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	write "millrace/batch"
)

// batchHeader is the size of a record batch's header, which is never compressed.
const batchHeader = write.HeaderBytes

// batch is the part of a record batch that a codec compresses: its encoded records.
type batch struct {
	records int
	bytes   []byte
}

// cut makes batches of the records as a producer does: one after the other, each as full as limit
// bytes allow, and at least one record. A rest that does not fill a batch is left out unless it
// is the only batch. A batch may hold the end of one partition's sample and the beginning of the
// next one's; those few do not matter.
func cut(records []*kgo.Record, limit int, rate float64) []batch {
	var all []batch
	var now batch
	var base time.Time
	for i, r := range records {
		at := timestamp(r, i, rate)
		if now.records == 0 {
			base = at
		}
		before := len(now.bytes)
		now.bytes = write.AppendRecord(now.bytes, r, at.UnixMilli()-base.UnixMilli(), now.records)
		if now.records++; batchHeader+len(now.bytes) <= limit || now.records == 1 {
			continue
		}
		// One too many: it begins the next batch, with other deltas.
		all = append(all, batch{now.records - 1, now.bytes[:before:before]})
		now, base = batch{records: 1}, at
		now.bytes = write.AppendRecord(make([]byte, 0, before), r, 0, 0)
	}
	if len(all) == 0 || now.records == 1 && batchHeader+len(now.bytes) > limit {
		all = append(all, now)
	}
	return all
}

// timestamp is a record's own, or one of an even stream.
func timestamp(r *kgo.Record, i int, rate float64) time.Time {
	if !r.Timestamp.IsZero() {
		return r.Timestamp
	}
	return time.UnixMilli(int64(float64(i) / rate * 1000))
}
