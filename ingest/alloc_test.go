//go:build !race

package ingest

import (
	"bytes"
	"testing"

	"millrace/internal/testkit"
	"millrace/pool"
)

// eventLines is a body of n real records, one a line.
func eventLines(t testing.TB, n int) []byte {
	records := testkit.ParkingCitations(t)
	var body []byte
	for i := range n {
		body = append(append(body, records[i%len(records)]...), '\n')
	}
	return body
}

// Making records of events costs nothing once the slab has grown.
func TestParseAllocs(t *testing.T) {
	for _, n := range []int{1, 100, 1000} {
		body := eventLines(t, n)
		array := append([]byte{'['}, bytes.ReplaceAll(bytes.TrimSpace(body), []byte("\n"), []byte(","))...)
		array = append(array, ']')
		for f, body := range map[form][]byte{lines: body, values: array, raw: body} {
			var slab pool.Slab
			if allocs := testing.AllocsPerRun(50, func() {
				slab.Reset()
				p := parser{body: body, slab: &slab, max: n}
				if err := p.parse(f); err != nil {
					t.Fatal(err)
				}
			}); allocs > 0 {
				t.Errorf("%d events in form %d: %v allocations", n, f, allocs)
			}
		}
	}
}
