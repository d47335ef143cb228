//go:build !race

package server

import (
	"bufio"
	"strings"
	"testing"

	"millrace/internal/lab"

	"github.com/valyala/fasthttp"
)

// produceHeader is the header of a produce request as curl and a proxy make it.
const produceHeader = "POST /topics/telemetry HTTP/1.1\r\nHost: kafka-rest.example:8082\r\nUser-Agent: curl/8.5.0\r\n" +
	"Accept: application/vnd.kafka.v2+json\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: 30\r\n" +
	"X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\n\r\n"

func parsedHeader(t testing.TB, text string) *fasthttp.RequestHeader {
	t.Helper()
	h := &fasthttp.RequestHeader{}
	if err := h.Read(bufio.NewReader(strings.NewReader(text))); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestCheckRequestAllocatesNothing(t *testing.T) {
	for _, text := range []string{produceHeader, "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8082\r\n\r\n"} {
		h := parsedHeader(t, text)
		n := testing.AllocsPerRun(100, func() {
			if err := checkRequest(h); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations for %q", n, text)
		}
	}
}

// BenchmarkCheckRequest also reports processor time, which other programs on the
// machine do not lengthen.
func BenchmarkCheckRequest(b *testing.B) {
	h := parsedHeader(b, produceHeader)
	b.ReportAllocs()
	began := lab.ProcessCPU()
	for b.Loop() {
		if err := checkRequest(h); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(lab.ProcessCPU()-began)/float64(b.N), "cpu-ns/op")
}
