package batch

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Rows of records are framed as single records are, whatever lies between them, up to the limit of
// the batch, and in the memory that it has.
func TestRowsAreFramedAsRecords(t *testing.T) {
	p := start(t, newModel())
	of, _ := p.router.topic("t", 1)
	defer of.leave()
	rng := rand.New(rand.NewPCG(3, 4))
	field := func() []byte {
		if n := rng.IntN(6); n > 0 {
			return bytes.Repeat([]byte("v"), rng.IntN([]int{1, 1, 70, 200, 20_000}[n-1])+rng.IntN(2))
		}
		return nil
	}
	rows := 0
	for range 200 {
		j := p.Acquire()
		j.stamp = 1_700_000_000_000 + rng.Int64N(100)
		limit := []int{10, headerBytes + 100, 5_000, 1 << 20}[rng.IntN(4)]
		b := newBatch(of, rng.IntN(3000), limit, time.Now())
		for range 1 + rng.IntN(300) {
			r := j.Slab.Add()
			r.Key, r.Value, r.Partition = field(), field(), int32(rng.IntN(20)/19)
			switch rng.IntN(20) {
			case 0:
				r.Timestamp = time.UnixMilli(j.stamp + rng.Int64N(1e6) - 5e5)
			case 1:
				j.Slab.AddHeader(r, "h", field())
			}
		}
		var want []*kgo.Record
		latest := int64(0)
		for i := 0; i < j.Len(); i++ {
			if b.records() > 0 {
				before := i
				i = b.addRow(j, i, 0)
				for ; before < i; before++ {
					want = append(want, stamped(j, before))
					rows++
				}
				if len(want) > 1 && b.size() > limit {
					t.Fatalf("a batch of %d bytes has %d", limit, b.size())
				}
				latest = max(latest, b.header.maxTimestamp)
			}
			if i == j.Len() || j.Slab.Records[i].Partition != 0 {
				continue
			}
			r := &j.Slab.Records[i]
			delta := int64(0)
			if b.records() > 0 {
				delta = j.timestamp(r) - b.header.baseTimestamp
			}
			body := bodyLen(r, delta, b.records())
			if !b.fits(zigzagLen(int64(body)) + body) {
				break
			}
			b.add(j, int32(i), r, delta, body)
			want = append(want, stamped(j, i))
			latest = max(latest, j.timestamp(r))
		}
		if len(want) > 0 {
			_, got := parse(t, whole(b.header, b.frames.B))
			same(t, got, want)
			if b.header.maxTimestamp != latest {
				t.Errorf("the latest is %d, not %d", b.header.maxTimestamp, latest)
			}
		}
		checkRuns(t, b)
		b.release()
		j.Release()
	}
	if rows < 1000 {
		t.Errorf("%d records were in rows", rows)
	}
}

// A batch that is larger than the largest buffer of the pools is not copied for each record.
func TestLargeBatchesGrowBySteps(t *testing.T) {
	p := start(t, newModel())
	of, _ := p.router.topic("t", 1)
	defer of.leave()
	const largest, limit = 16 << 20, 20 << 20
	b := newBatch(of, largest, limit, time.Now())
	defer b.release()
	b.frames.B = b.frames.B[:cap(b.frames.B)]
	moved := 0
	for b.size()+1024 <= limit {
		before := &b.frames.B[0]
		b.grow(1024)
		if b.frames.B = b.frames.B[:len(b.frames.B)+1024]; &b.frames.B[0] != before {
			moved++
		}
	}
	if moved > 2 || cap(b.frames.B) > limit {
		t.Errorf("frames of %d bytes in %d were moved %d times", len(b.frames.B), cap(b.frames.B), moved)
	}
}

// stamped is record i of the job with the time that it is to have in Kafka.
func stamped(j *Job, i int) *kgo.Record {
	r := j.Slab.Records[i]
	r.Timestamp = time.UnixMilli(j.timestamp(&r))
	return &r
}

// checkRuns fails t unless the runs of a batch are all of its records, in order.
func checkRuns(t *testing.T, b *batch) {
	t.Helper()
	at := int32(0)
	for i, r := range b.runs {
		if r.at != at || r.count < 1 || i > 0 && r.first <= b.runs[i-1].first {
			t.Errorf("run %d is %+v, and the batch has %d records before it", i, r, at)
		}
		at += r.count
	}
	if at != b.records() {
		t.Errorf("the runs are of %d records, not %d", at, b.records())
	}
}
