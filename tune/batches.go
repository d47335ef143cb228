package tune

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// batchHeader is the size of a record batch's header (version 2), which is
// never compressed.
const batchHeader = 61

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
	var scratch []byte
	for i, r := range records {
		at := timestamp(r, i, rate)
		if now.records == 0 {
			base = at
		}
		before := len(now.bytes)
		now.bytes, scratch = appendRecord(now.bytes, scratch, r, at.UnixMilli()-base.UnixMilli(), now.records)
		if now.records++; batchHeader+len(now.bytes) <= limit || now.records == 1 {
			continue
		}
		// One too many: it begins the next batch, with other deltas.
		all = append(all, batch{now.records - 1, now.bytes[:before:before]})
		now, base = batch{records: 1}, at
		now.bytes, scratch = appendRecord(make([]byte, 0, before+len(scratch)), scratch, r, 0, 0)
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

// appendRecord appends a record as it stands in a batch (KIP-98, message format 2): its length
// and then its fields, numbers as zigzag varints, a null as the length -1. scratch is memory for
// it and is returned.
func appendRecord(dst, scratch []byte, r *kgo.Record, timeDelta int64, offsetDelta int) (out, room []byte) {
	b := append(scratch[:0], 0) // attributes, of which there are none
	b = binary.AppendVarint(b, timeDelta)
	b = binary.AppendVarint(b, int64(offsetDelta))
	b = appendNullable(b, r.Key)
	b = appendNullable(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for _, h := range r.Headers {
		b = append(binary.AppendVarint(b, int64(len(h.Key))), h.Key...)
		b = appendNullable(b, h.Value)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...), b
}

func appendNullable(b, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(field))), field...)
}
