//go:build !race

package codec

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
	"millrace/pool"
)

// jsonBody is a produce request of n real records.
func jsonBody(t testing.TB, n int) []byte {
	records := testkit.ParkingCitations(t)
	body := []byte(`{"records":[`)
	for i := range n {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, `{"value":`...), records[i%len(records)]...), '}')
	}
	return append(body, `]}`...)
}

// Decoding a request costs nothing once its slab has grown: 0 allocations a
// record and a request.
func TestDecodeAllocs(t *testing.T) {
	for _, n := range []int{1, 100, 1000} {
		text := jsonBody(t, n)
		body := bytes.Clone(text)
		var slab pool.Slab
		allocs := testing.AllocsPerRun(50, func() {
			copy(body, text)
			if _, err := DecodeProduce(body, JSON, &slab, n); err != nil {
				t.Fatal(err)
			}
			slab.Reset()
		})
		if allocs > 0 {
			t.Errorf("%d records: %v allocations", n, allocs)
		}
	}
}

func TestAppendRecordAllocs(t *testing.T) {
	r := kgo.Record{Topic: "t", Key: []byte(`"k"`), Value: testkit.ParkingCitations(t)[0], Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}
	dst := make([]byte, 0, 4096)
	for _, f := range []Format{JSON, Binary} {
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := AppendRecord(dst, &r, f, Extras{Headers: true, Timestamp: true}); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations a record", f, allocs)
		}
	}
}

func BenchmarkDecodeProduce(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("format=json/records=%d", n), func(b *testing.B) {
			text := jsonBody(b, n)
			body := bytes.Clone(text)
			var slab pool.Slab
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				copy(body, text)
				if _, err := DecodeProduce(body, JSON, &slab, n); err != nil {
					b.Fatal(err)
				}
				slab.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}
