//go:build !race

package consumer

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/codec/avro"
	"millrace/internal/lab"
	"millrace/internal/testkit"
)

// pages is an instance whose backlog is filled with the same records again and again.
type pages struct {
	i       *Instance
	s       *session
	p       *partition
	records []*kgo.Record
	runs    []run
	dst     []byte
	extras  codec.Extras
}

const pageRecords = 1000

// newPages has one value after the other in its records.
func newPages(t testing.TB, f codec.Format, values [][]byte, x codec.Extras) *pages {
	i := newInstance(&Manager{life: t.Context(), settings: Settings{MaxBytes: 4 << 20}}, "g", InstanceOptions{Format: f})
	p := &pages{i: i, s: newSession(i), p: newPartition(TopicPartition{Topic: "t", Partition: 0}), runs: make([]run, 0, 4), dst: make([]byte, 0, 4<<20), extras: x}
	p.s.parts[p.p.TopicPartition] = p.p
	for n := range pageRecords {
		p.records = append(p.records, &kgo.Record{Topic: "t", Value: values[n%len(values)], Offset: int64(n)})
	}
	return p
}

// answer makes a page of all records.
func (p *pages) answer(t testing.TB) {
	p.s.confirm()
	p.s.backlog.runs = p.runs
	p.s.backlog.add(p.p, p.records[:pageRecords/2])
	p.s.backlog.add(p.p, p.records[pageRecords/2:])
	out, _, err := p.i.answer(p.s, p.dst, &count{}, 4<<20, p.extras)
	if err != nil || len(out) < pageRecords*50 || p.s.backlog.records != 0 || p.s.backlog.bytes != 0 {
		t.Fatalf("%d bytes, %v, backlog %+v", len(out), err, p.s.backlog)
	}
}

// formatPages are pages of the same events, JSON first, and of other formats.
func formatPages(t testing.TB) map[string]*pages {
	schema, err := avro.Compile(testkit.CitationSchema, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stored [][]byte
	for _, text := range testkit.AvroCitations(t, true) {
		b, err := schema.AppendEncoded(codec.AppendFrame(nil, 1), text, codec.Tagged, nil)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, b)
	}
	schemas := func(codec.Format, codec.SchemaID) (codec.Schema, error) { return schema, nil }
	texts := testkit.AvroCitations(t, false)
	return map[string]*pages{
		"json":       newPages(t, codec.JSON, texts, codec.Extras{}),
		"binary":     newPages(t, codec.Binary, texts, codec.Extras{}),
		"avro":       newPages(t, codec.Avro, stored, codec.Extras{Schemas: schemas}),
		"avro=plain": newPages(t, codec.Avro, stored, codec.Extras{Schemas: schemas, Dialect: codec.Plain}),
	}
}

// TestEncodeDoesNotAllocate holds the budget of a fetch: nothing a record, and
// nothing a page either beyond the list of its partitions.
func TestEncodeDoesNotAllocate(t *testing.T) {
	for format, p := range formatPages(t) {
		p.answer(t)
		if allocs := testing.AllocsPerRun(50, func() { p.answer(t) }); allocs != 0 {
			t.Errorf("%s: a page of %d records allocates %v times", format, pageRecords, allocs)
		}
	}
}

// mostOverJSON bounds what an Avro page costs over the same page of JSON. JSON values pass
// through by wide copies, whose speed differs between processors: 2.2 on one is 2.6 on another.
// A second walk over each value, or an allocation a record, is beyond 4 on both.
const mostOverJSON = 4

// A page of Avro records costs little more processor time than one of the same events
// as JSON, without what Kafka and HTTP cost for both.
func TestAvroPageOverJSON(t *testing.T) {
	const rounds, each = 15, 10
	all, least := formatPages(t), map[string]time.Duration{}
	for range rounds {
		for _, format := range []string{"json", "avro", "avro=plain"} {
			start := lab.ProcessCPU()
			for range each {
				all[format].answer(t)
			}
			if took := lab.ProcessCPU() - start; least[format] == 0 || took < least[format] {
				least[format] = took
			}
		}
	}
	for _, format := range []string{"avro", "avro=plain"} {
		over := float64(least[format]) / float64(least["json"])
		t.Logf("%s: %d ns a record, %.2f of JSON's", format, int(least[format])/(each*pageRecords), over)
		if over > mostOverJSON {
			t.Errorf("%s costs %.2f times what JSON costs", format, over)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for format, p := range formatPages(b) {
		b.Run(fmt.Sprintf("format=%s/records=%d", format, pageRecords), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.answer(b)
			}
			b.ReportMetric(float64(b.N)*pageRecords/b.Elapsed().Seconds(), "records/s")
		})
	}
}
