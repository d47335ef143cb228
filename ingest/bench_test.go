package ingest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/testkit"
	"millrace/pool"
)

// BenchmarkDecode is what differs between an event as a line and one in the envelope of v2: making
// records of a body. The rest of a request is the same.
func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		text := eventLines(b, n)
		var envelope []byte
		envelope = append(envelope, `{"records":[`...)
		for _, r := range testkit.ParkingCitations(b)[:n] {
			envelope = append(append(append(envelope, `{"value":`...), r...), "},"...)
		}
		envelope = append(envelope[:len(envelope)-1], "]}"...)
		perEvent := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		}
		b.Run(fmt.Sprintf("form=lines/events=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			var slab pool.Slab
			var ctx fasthttp.RequestCtx
			d := newDelivery()
			for b.Loop() {
				slab.Reset()
				d.reset()
				d.body, d.slab, d.max = text, &slab, n
				if err := d.rules.begin(&ctx, defaultRoute, nil); err != nil {
					b.Fatal(err)
				}
				if err := d.parse(lines); err != nil {
					b.Fatal(err)
				}
			}
			perEvent(b)
		})
		b.Run(fmt.Sprintf("form=v2/events=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(envelope)))
			var slab pool.Slab
			body := bytes.Clone(envelope)
			for b.Loop() {
				slab.Reset()
				copy(body, envelope)
				if _, err := codec.DecodeProduce(body, codec.JSON, &slab, n); err != nil {
					b.Fatal(err)
				}
			}
			perEvent(b)
		})
	}
}

// eventLines is a body of n real records, one a line.
func eventLines(t testing.TB, n int) []byte {
	records := testkit.ParkingCitations(t)
	var body []byte
	for i := range n {
		body = append(append(body, records[i%len(records)]...), '\n')
	}
	return body
}
