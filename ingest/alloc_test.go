//go:build !race

package ingest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/ingest/cloudevents"
	"millrace/pool"
)

// Making records of events costs nothing once the slab has grown.
func TestParseAllocs(t *testing.T) {
	table, faults := ParseRoutes([]byte(`routes:
  plain: {}
  rules: {key: {pointer: /Ticket}, timestamp: {pointer: /nothing}, headers: {a: {pointer: /Make}, b: fixed, c: {pointer: /ViolationDescr}}}
  drops: {key: {pointer: /Ticket}, drop: [{pointer: /Make, is: [NISS], contains: [toy]}], sample: {keep: 1}, enrich: {sent_at: {pointer: /Ticket}}}
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, n := range []int{1, 100, 1000} {
		body := eventLines(t, n)
		array := append([]byte{'['}, bytes.ReplaceAll(bytes.TrimSpace(body), []byte("\n"), []byte(","))...)
		array = append(array, ']')
		for f, body := range map[form][]byte{lines: body, values: array, raw: body} {
			for _, route := range []*Route{table.routes["plain"], table.routes["rules"], table.routes["drops"]} {
				var slab pool.Slab
				var ctx fasthttp.RequestCtx
				d := newDelivery()
				arena := make([]byte, 0, 1<<20)
				if allocs := testing.AllocsPerRun(50, func() {
					slab.Reset()
					d.reset()
					d.body, d.slab, d.max = body, &slab, n
					if err := d.rules.begin(&ctx, route, arena); err != nil {
						t.Fatal(err)
					}
					if err := d.parse(f); err != nil {
						t.Fatal(err)
					}
				}); allocs > 0 {
					t.Errorf("%d events in form %d to %s: %v allocations", n, f, route.name, allocs)
				}
			}
		}
	}
}

// The same for a batch of CloudEvents, which are checked and have a header and a key of their own.
func TestCloudEventAllocs(t *testing.T) {
	const event = `{"specversion":"1.0","id":"1","source":"/app","type":"click","partitionkey":"k\u0031","data":{"x":[1,2]}}`
	const n = 1000
	body := []byte("[" + strings.Repeat(event+",", n-1) + event + "]")
	var slab pool.Slab
	var ctx fasthttp.RequestCtx
	d := newDelivery()
	arena := make([]byte, 0, 1<<20)
	if allocs := testing.AllocsPerRun(50, func() {
		slab.Reset()
		d.reset()
		d.body, d.slab, d.max = body, &slab, n
		if err := d.rules.begin(&ctx, defaultRoute, arena); err != nil {
			t.Fatal(err)
		}
		var err error
		if d.rules.arena, err = d.rules.cloud.begin(&ctx.Request.Header, cloudevents.Batch, d.rules.arena); err != nil {
			t.Fatal(err)
		}
		if err := d.parse(d.rules.cloud.formOf(raw)); err != nil || len(slab.Records) != n || string(slab.Records[n-1].Key) != "k1" {
			t.Fatal(err, len(slab.Records))
		}
	}); allocs > 0 {
		t.Errorf("%v allocations for %d events", allocs, n)
	}
}

// Counting the events of keys costs nothing once the keys are known.
func TestHotAllocs(t *testing.T) {
	rule := &overflowRule{rate: 1, burst: 10}
	s := newRates()
	key, now, hot := []byte("key"), time.Now().UnixNano(), 0
	if allocs := testing.AllocsPerRun(1000, func() {
		if s.over(s.hash("route", key), now, rule) {
			hot++
		}
	}); allocs > 0 || hot != 991 {
		t.Errorf("%v allocations; %d of 1001 events are too many", allocs, hot)
	}
}
