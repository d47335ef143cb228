//go:build !race

package consumer

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
)

// TestEncodeDoesNotAllocate holds the budget of a fetch: nothing a record, and
// nothing a page either beyond the list of its partitions.
func TestEncodeDoesNotAllocate(t *testing.T) {
	for _, f := range []codec.Format{codec.JSON, codec.Binary} {
		i := newInstance(&Manager{life: t.Context(), settings: Settings{MaxBytes: 1 << 20}}, "g", InstanceOptions{Format: f})
		s := newSession(i)
		var rs []*kgo.Record
		for n := range 1000 {
			rs = append(rs, &kgo.Record{Topic: "t", Key: []byte(`"key"`), Value: []byte(`{"temperature":21.5,"unit":"C"}`), Offset: int64(n)})
		}
		p := newPartition(TopicPartition{"t", 0})
		s.parts[p.TopicPartition] = p
		runs := make([]run, 0, 4)
		dst := make([]byte, 0, 1<<20)
		page := func() {
			s.confirm()
			s.backlog.runs = runs
			s.backlog.add(p, rs[:500])
			s.backlog.add(p, rs[500:])
			out, err := i.answer(s, dst, &count{}, 1<<20, codec.Extras{})
			if err != nil || len(out) < 1000*50 || s.backlog.records != 0 || s.backlog.bytes != 0 {
				t.Fatalf("%d bytes, %v, backlog %+v", len(out), err, s.backlog)
			}
		}
		page()
		if allocs := testing.AllocsPerRun(100, page); allocs != 0 {
			t.Errorf("%s: a page of 1000 records allocates %v times", f, allocs)
		}
	}
}

// TestDirectPageDoesNotAllocate holds the same for direct reads.
func TestDirectPageDoesNotAllocate(t *testing.T) {
	for _, f := range []codec.Format{codec.JSON, codec.Binary} {
		var rs []*kgo.Record
		for n := range 1000 {
			rs = append(rs, &kgo.Record{Topic: "t", Key: []byte(`"key"`), Value: []byte(`{"temperature":21.5,"unit":"C"}`), Offset: int64(n)})
		}
		dst := make([]byte, 0, 1<<20)
		if allocs := testing.AllocsPerRun(100, func() {
			p := page{limit: 1 << 20, most: 1 << 20, count: maxPageRecords, format: f}
			if out, err := p.fill(dst, rs); err != nil || len(out) < 1000*50 || p.n != 1000 {
				t.Fatalf("%d bytes of %d records, %v", len(out), p.n, err)
			}
		}); allocs != 0 {
			t.Errorf("%s: a page of 1000 records allocates %v times", f, allocs)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, f := range []codec.Format{codec.JSON, codec.Binary} {
		b.Run(fmt.Sprintf("format=%s/records=1000", f), func(b *testing.B) {
			i := newInstance(&Manager{life: b.Context(), settings: Settings{MaxBytes: 1 << 20}}, "g", InstanceOptions{Format: f})
			s := newSession(i)
			var rs []*kgo.Record
			size := 0
			for n := range 1000 {
				r := &kgo.Record{Topic: "t", Value: []byte(`{"temperature":21.5,"unit":"C"}`), Offset: int64(n)}
				rs = append(rs, r)
				size += len(r.Value)
			}
			p := newPartition(TopicPartition{"t", 0})
			dst := make([]byte, 0, 1<<20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s.backlog.runs = append(s.backlog.runs[:0], run{p, rs})
				s.backlog.records, s.backlog.bytes = len(rs), size
				if _, err := i.answer(s, dst, &count{}, 1<<20, codec.Extras{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "records/s")
		})
	}
}
