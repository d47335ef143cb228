//go:build !race

package batch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/codec"
)

// Our own part of a produce request, with a stub in place of the Kafka client, allocates nothing:
// neither per record nor per request.
func TestProduceAllocs(t *testing.T) {
	for _, n := range []int{1, 100, 1000} {
		body := `{"records":[` + strings.Repeat(`{"value":{"event":"tap","n":12345}},`, n-1) + `{"key":"k","value":1}]}`
		p := New(&sink{auto: true}, cluster, Settings{BufferBytes: 1 << 30, Timeout: time.Minute})
		dst := make([]byte, 0, 64<<10)
		allocs := testing.AllocsPerRun(50, func() {
			j := p.Acquire()
			j.Body = append(j.Body[:0], body...)
			if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, n); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Produce(j, "t", AnyPartition, dst, offsets); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%d records: %v allocations a request", n, allocs)
		}
	}
}

func offsets(dst []byte, j *Job) []byte {
	for i := range j.Len() {
		if _, _, err := j.Result(i); err != nil {
			panic(err)
		}
	}
	return dst
}

func BenchmarkProduce(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("format=json/records=%d", n), func(b *testing.B) {
			body := `{"records":[` + strings.Repeat(`{"value":{"event":"tap","n":12345}},`, n-1) + `{"key":"k","value":1}]}`
			p := New(&sink{auto: true}, cluster, Settings{BufferBytes: 1 << 30, Timeout: time.Minute})
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				j := p.Acquire()
				j.Body = append(j.Body[:0], body...)
				if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, n); err != nil {
					b.Fatal(err)
				}
				if _, err := p.Produce(j, "t", AnyPartition, nil, offsets); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}
