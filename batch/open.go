package batch

import (
	"bytes"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/pool"
)

// run is a row of records of one job that stand together in a batch: count records from the
// job's record first on are the batch's from its record at on.
type run struct {
	job              *Job
	first, count, at int32
}

const runBytes = int(unsafe.Sizeof(run{}))

// maxVarint is the most that the length before a record takes.
const maxVarint = 10

// batch is one record batch from its first frame until its last run is answered. Its partition
// has it: in queue while it is to be sent, in flight while it is not answered. The partition's
// lock guards it, but for head and payload, which are written by the worker that took it and read
// by the request that it is in.
type batch struct {
	frames *pool.Buffer // the records, as they stand in a batch without compression
	runs   []run
	header header
	since  time.Time // of the first hand-over: the delivery timeout counts from it
	limit  int       // bytes that it may have, its header included

	sealed bool // takes no more frames
	// sequence is header.sequence's owner: -1 until the batch is taken for the first time, and
	// again when another sequence became its own.
	sequence int32
	serial   int // counts the batches of a partition by when they got their sequence
	// unsure is set while the broker may have the batch: it was sent, and no answer came that
	// says whether it was written. Such a batch keeps its bytes and its sequence.
	unsure bool
	// suspect is set while the batch has a record that the broker refuses without naming it: it
	// is sent alone.
	suspect bool
	corrupt bool // the broker found the checksum wrong once
	// told: the clients of the batch were answered before its end, and its runs are of no job any
	// more.
	told   bool
	tries  int
	answer verdict // while it waits in flight for those that were sent with it

	head    [headerBytes]byte
	payload []byte       // what is sent behind head: the frames, or packed
	packed  bytes.Buffer // the frames, compressed
	// charged are the bytes of frames, packed and runs, as they are charged to the producer's memory.
	charged int64
	topic   *topic
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// newBatch returns an empty batch with room for so many bytes of frames, or for as many as the
// limit allows.
func newBatch(t *topic, room, limit int, since time.Time) *batch {
	b := batches.Get().(*batch)
	b.frames = pool.GetBuffer(min(room, limit))
	b.header = header{}
	b.since, b.limit, b.sequence = since, limit, -1
	b.topic = t
	t.uses.Add(1)
	b.account()
	return b
}

// account charges the memory of the batch as it is now. Nobody is refused for it, as a record that
// was admitted must be framed and sent, but there is less room for the next request.
func (b *batch) account() {
	bytes := int64(cap(b.frames.B) + b.packed.Cap() + cap(b.runs)*runBytes)
	b.topic.producer.held.Add(nil, bytes-b.charged)
	b.charged = bytes
}

// release takes the batch back. runs and the memory of packed are kept for the next life.
func (b *batch) release() {
	b.topic.producer.held.Add(nil, -b.charged)
	b.topic.leave()
	b.charged, b.topic = 0, nil
	b.frames.Release()
	b.frames, b.payload = nil, nil
	clear(b.runs)
	b.runs = b.runs[:0]
	if cap(b.runs) > pool.MaxPooledRecords {
		b.runs = nil
	}
	if b.packed.Cap() > pool.MaxPooledBytes {
		b.packed = bytes.Buffer{}
	}
	b.sealed, b.unsure, b.suspect, b.corrupt, b.told, b.tries, b.answer = false, false, false, false, false, 0, verdict{}
	batches.Put(b)
}

// size is what the batch takes without compression.
func (b *batch) size() int { return headerBytes + len(b.frames.B) }

// wireLen is what the batch takes in a request.
func (b *batch) wireLen() int { return headerBytes + len(b.payload) }

// add frames a record of the job, which must fit; body is its [bodyLen]. It borrows r.
func (b *batch) add(j *Job, i int32, r *kgo.Record, delta int64, body int) {
	h := &b.header
	if h.records == 0 {
		h.baseTimestamp = j.timestamp(r)
		h.maxTimestamp = h.baseTimestamp
	}
	h.maxTimestamp = max(h.maxTimestamp, h.baseTimestamp+delta)
	b.grow(body + maxVarint)
	b.frames.B = appendRecord(b.frames.B, r, body, delta, h.records)
	b.note(j, i, 1)
}

// addRow frames records of the job, from i on, for as long as they are for the partition, have
// neither headers nor a time of their own, and fit into the memory that the batch has. It returns
// the index behind the last. It does for most records what [batch.add] does for any, without asking
// for each what is the same for all of them. The batch has a record.
func (b *batch) addRow(j *Job, i int, partition int32) (next int) {
	h, delta := &b.header, j.stamp-b.header.baseTimestamp
	room, number := min(cap(b.frames.B), b.limit-headerBytes), h.records
	const attributes, headers = 1, 1 // a byte each
	fixed := attributes + zigzagLen(delta) + headers
	next = i
	for ; next < len(j.Slab.Records); next++ {
		r := &j.Slab.Records[next]
		if r.Partition != partition || len(r.Headers) > 0 || !r.Timestamp.IsZero() {
			break
		}
		body := fixed + zigzagLen(int64(number)) + fieldLen(r.Key) + fieldLen(r.Value)
		if room-len(b.frames.B) < maxVarint+body {
			break
		}
		b.frames.B = appendRecord(b.frames.B, r, body, delta, number)
		number++
	}
	if next > i {
		h.maxTimestamp = max(h.maxTimestamp, j.stamp)
		b.note(j, int32(i), int32(next-i))
	}
	return next
}

// note counts records of the job, from first on, that were framed.
func (b *batch) note(j *Job, first, count int32) {
	if last := len(b.runs) - 1; last >= 0 && b.runs[last].job == j && b.runs[last].first+b.runs[last].count == first {
		b.runs[last].count += count
	} else {
		room := cap(b.runs)
		if b.runs = append(b.runs, run{j, first, count, b.header.records}); cap(b.runs) > room {
			b.account()
		}
		j.left.Add(1)
	}
	b.header.records += count
}

// reserve charges what compression may take before it begins, so that no other request begins
// meanwhile with the same memory. [batch.pack] sets it right.
func (b *batch) reserve() {
	b.charged += int64(len(b.frames.B))
	b.topic.producer.held.Add(nil, int64(len(b.frames.B)))
}

// grow makes room for n bytes more of frames. Where the pools have no buffer of twice the size, it
// makes room for half as much again as there is: else all would be copied for each record.
func (b *batch) grow(n int) {
	if cap(b.frames.B)-len(b.frames.B) < n {
		if need := len(b.frames.B) + n; pool.Room(need) == need {
			n = max(n, min(len(b.frames.B)/2, b.limit-b.size()))
		}
		b.frames.B = pool.Grow(b.frames.B, n)
		b.account()
	}
}

// fits reports whether a record of so many bytes has room. A record of its own always has.
func (b *batch) fits(frame int) bool {
	return !b.sealed && (b.header.records == 0 || b.size()+frame <= b.limit)
}

// pack compresses the frames, unless that was done for an attempt before: a batch that the broker
// may have keeps its bytes. It may run beside others'.
func (b *batch) pack(c kgo.Compressor) {
	if b.payload != nil {
		return
	}
	b.packed.Reset()
	out, codec := c.Compress(&b.packed, b.frames.B)
	b.account()
	if codec == kgo.CodecError {
		out, codec = b.frames.B, kgo.CodecNone
	}
	b.payload, b.header.codec = out, codec
}

// finish answers all runs: the records are in Kafka from the offset base on, or failed by err.
func (b *batch) finish(partition int32, base int64, err error) {
	if b.told {
		return
	}
	for i := range b.runs {
		r := &b.runs[i]
		r.job.settle(r.first, answer{partition: partition, count: r.count, offset: base + int64(r.at), err: err})
	}
}

// records is the number of records.
func (b *batch) records() int32 { return b.header.records }
