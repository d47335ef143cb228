package tune

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	write "millrace/batch"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// varied returns records with every part that a record can have.
func varied(n int) []*kgo.Record {
	at := time.UnixMilli(1_700_000_000_000)
	var all []*kgo.Record
	for i := range n {
		r := &kgo.Record{Timestamp: at.Add(time.Duration(i*i%97-20) * time.Millisecond), Value: fmt.Appendf(nil, "value %d %s", i, strings.Repeat("x", i%150))}
		switch i % 4 {
		case 1:
			r.Key = []byte{}
		case 2:
			r.Key, r.Value = fmt.Appendf(nil, "key %d", i), nil
		case 3:
			r.Headers = []kgo.RecordHeader{{Key: "null"}, {Key: "", Value: []byte("of no name")}}
		}
		all = append(all, r)
	}
	return all
}

// whole puts a header before the records of b, whose payload is compressed by the codec with this
// number.
func whole(t testing.TB, b batch, first time.Time, codec int, payload []byte) []byte {
	t.Helper()
	text := testkit.EncodeBatch(kmsg.RecordBatch{
		Attributes: int16(codec), LastOffsetDelta: int32(b.records - 1), FirstTimestamp: first.UnixMilli(), MaxTimestamp: first.UnixMilli() + 1000,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(b.records), Records: payload,
	})
	if len(text) != batchHeader+len(payload) {
		t.Fatalf("a header of %d bytes, not %d", len(text)-len(payload), batchHeader)
	}
	return text
}

// decoded makes franz-go read a batch as if a broker had sent it.
func decoded(t *testing.T, b batch, first time.Time) []*kgo.Record {
	t.Helper()
	text := whole(t, b, first, 0, b.bytes)
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = text
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &p, kgo.DefaultDecompressor(), nil)
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	return got.Records
}

func TestCutMakesBatchesThatKafkaReads(t *testing.T) {
	records := varied(500)
	for _, limit := range []int{1, 300, 1000, 1 << 14, 1 << 20} {
		next := 0
		batches := cut(records, limit, 1)
		for n, b := range batches {
			if size := batchHeader + len(b.bytes); size > limit && b.records > 1 {
				t.Errorf("limit %d, batch %d: %d bytes", limit, n, size)
			}
			got := decoded(t, b, records[next].Timestamp)
			if len(got) != b.records {
				t.Fatalf("limit %d, batch %d: %d records of %d", limit, n, len(got), b.records)
			}
			for i, r := range got {
				want := records[next]
				same := bytes.Equal(r.Key, want.Key) && (r.Key == nil) == (want.Key == nil) && bytes.Equal(r.Value, want.Value) && (r.Value == nil) == (want.Value == nil)
				headers := slices.EqualFunc(r.Headers, want.Headers, func(a, b kgo.RecordHeader) bool {
					return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
				})
				if !same || !headers || r.Offset != int64(i) || !r.Timestamp.Equal(want.Timestamp) {
					t.Fatalf("limit %d, batch %d: record %d is %+v, want %+v", limit, n, i, r, want)
				}
				next++
			}
			if n+1 < len(batches) && next < len(records) { // it is full: one more would not fit
				whole := cut(records[next-b.records:next+1], 1<<30, 1)[0]
				if batchHeader+len(whole.bytes) <= limit {
					t.Errorf("limit %d, batch %d has room for one more", limit, n)
				}
			}
		}
		if left := len(records) - next; left > 0 && limit == 1 || left > 200 {
			t.Errorf("limit %d: %d records are in no batch", limit, left)
		}
	}
}

func TestCutSpacesRecordsWithoutTime(t *testing.T) {
	records := []*kgo.Record{{Value: []byte("a")}, {Value: []byte("b")}, {Value: []byte("c")}}
	start := time.UnixMilli(0)
	for i, r := range decoded(t, cut(records, 1000, 100)[0], start) {
		if want := start.Add(time.Duration(i) * 10 * time.Millisecond); !r.Timestamp.Equal(want) {
			t.Errorf("record %d at %v, want %v", i, r.Timestamp, want)
		}
	}
}

// TestBatchIsTheProducers sends the records through the node's own producer: the batch that it
// compresses equals that which is measured here, to the byte.
func TestBatchIsTheProducers(t *testing.T) {
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	compressor, err := kafka.NewCompressor(kafka.Zstd, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewSender(kafka.Settings{Brokers: b.Addrs}, kafka.DefaultProducer())
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan kgo.ProduceBatchMetrics, 10)
	p := write.New(client, compressor, write.Cluster{
		Topic:   func(context.Context, string) (string, int32, error) { return topic, 1, nil },
		Healthy: func() error { return nil },
		Written: func(_ int32, _ string, _ int32, m kgo.ProduceBatchMetrics) { written <- m },
	}, write.Settings{BufferBytes: 1 << 20, Timeout: time.Minute, BatchBytes: 1 << 20}, kafka.DefaultProducer())
	records, job := varied(100), p.Acquire()
	for _, r := range records {
		*job.Slab.Add() = *r
	}
	if _, err := p.Produce(job, topic, 0, nil, func(dst []byte, _ *write.Job) []byte { return dst }); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours := cut(records, 1<<20, 1)[0]
	out, _ := compressor.Compress(new(bytes.Buffer), ours.bytes)
	if m := <-written; len(written) > 0 || m.UncompressedBytes != len(ours.bytes) || m.CompressedBytes != len(out) || m.NumRecords != ours.records {
		t.Errorf("the producer sent %+v, measured are %d records of %d bytes, %d compressed", m, ours.records, len(ours.bytes), len(out))
	}
}
