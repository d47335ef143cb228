package batch

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// parse reads a batch with the client library's own reader, which checks its checksum.
func parse(t testing.TB, raw []byte) (kmsg.RecordBatch, []*kgo.Record) {
	t.Helper()
	var b kmsg.RecordBatch
	if err := b.ReadFrom(raw); err != nil {
		t.Fatal(err)
	}
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches, p.HighWatermark = raw, math.MaxInt64
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &p, kgo.DefaultDecompressor(), nil)
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	return b, got.Records
}

// whole is a batch with its header.
func whole(h header, payload []byte) []byte {
	var head [headerBytes]byte
	h.put(&head, payload)
	return append(head[:], payload...)
}

// The library's reader finds in a batch what was framed, whatever it was.
func TestFramesAreRecords(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 20_000)
	fields := [][]byte{nil, {}, []byte("k"), bytes.Repeat([]byte("y"), 63), bytes.Repeat([]byte("y"), 64), long}
	base := time.Now().UnixMilli()
	var records []*kgo.Record
	for i := range 300 {
		r := &kgo.Record{Key: fields[i%len(fields)], Value: fields[(i/len(fields))%len(fields)], Timestamp: time.UnixMilli(base + int64(i%7-3)*100_000_000)}
		for h := range i % 4 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: fmt.Sprint("h", h), Value: fields[(i+h)%4]})
		}
		records = append(records, r)
	}
	var raw []byte
	latest := int64(math.MinInt64)
	for i, r := range records {
		at := r.Timestamp.UnixMilli()
		latest = max(latest, at)
		before := len(raw)
		body := bodyLen(r, at-base, int32(i))
		raw = appendRecord(raw, r, body, at-base, int32(i))
		if want := before + zigzagLen(int64(body)) + body; len(raw) != want {
			t.Fatalf("record %d has %d bytes, was to have %d", i, len(raw)-before, want-before)
		}
	}
	h := header{records: int32(len(records)), baseTimestamp: base, maxTimestamp: latest, producer: producerEpoch{7, 3}, sequence: 11}
	b, got := parse(t, whole(h, raw))
	if b.Magic != 2 || b.ProducerID != 7 || b.ProducerEpoch != 3 || b.FirstSequence != 11 || b.NumRecords != 300 || b.LastOffsetDelta != 299 || b.MaxTimestamp != latest {
		t.Errorf("header %+v", b)
	}
	same(t, got, records)
}

// same fails t unless both are the same records, nulls included.
func same(t testing.TB, got, want []*kgo.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	null := func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
	for i, w := range want {
		g := got[i]
		if !null(g.Key, w.Key) || !null(g.Value, w.Value) || g.Timestamp.UnixMilli() != w.Timestamp.UnixMilli() || g.Offset != int64(i) ||
			!slices.EqualFunc(g.Headers, w.Headers, func(a, b kgo.RecordHeader) bool { return a.Key == b.Key && null(a.Value, b.Value) }) {
			t.Errorf("record %d is %.100v, want %.100v", i, g, w)
		}
	}
}

// Any records of a batch make another one, in which they are what they were.
func TestFramesMoveToOtherBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		base := int64(1_700_000_000_000)
		var frames []byte
		var records []*kgo.Record
		for i := range 1 + rng.IntN(200) {
			r := &kgo.Record{Value: bytes.Repeat([]byte("v"), rng.IntN(200)), Timestamp: time.UnixMilli(base + rng.Int64N(1e6) - 5e5)}
			records = append(records, r)
			frames = appendRecord(frames, r, bodyLen(r, r.Timestamp.UnixMilli()-base, int32(i)), r.Timestamp.UnixMilli()-base, int32(i))
		}
		raw, kept, latest := []byte(nil), []*kgo.Record(nil), int64(math.MinInt64)
		for _, r := range records {
			f, err := nextFramed(frames)
			if err != nil {
				t.Fatal(err)
			}
			frames = frames[f.size:]
			if rng.IntN(3) > 0 {
				raw = appendFramed(raw, f, f.timeDelta+5, int32(len(kept)))
				kept = append(kept, r)
				latest = max(latest, r.Timestamp.UnixMilli())
			}
		}
		if len(frames) > 0 {
			t.Fatalf("%d bytes are left", len(frames))
		}
		h := header{records: int32(len(kept)), baseTimestamp: base - 5, maxTimestamp: latest, producer: producerEpoch{id: -1}, sequence: -1}
		if len(kept) > 0 {
			_, got := parse(t, whole(h, raw))
			same(t, got, kept)
		}
	}
}

func TestFramesThatAreNone(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, {1}, {4, 0}, {2, 0}, {4, 0, 0x80}, {200, 1, 0}} {
		if f, err := nextFramed(b); err == nil {
			t.Errorf("%v is the record %+v", b, f)
		}
	}
}
