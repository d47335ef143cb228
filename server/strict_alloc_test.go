//go:build !race

package server

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/lab"
	"millrace/server/idempotency"
)

// produceHeader is the header of a produce request as curl and a proxy make it.
const produceHeader = "POST /topics/telemetry HTTP/1.1\r\nHost: kafka-rest.example:8082\r\nUser-Agent: curl/8.5.0\r\n" +
	"Accept: application/vnd.kafka.v2+json\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: 31\r\n" +
	"X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\n\r\n"

const produceBody = `{"records":[{"value":{"v":1}}]}`

func parsedHeader(t testing.TB, text string) *fasthttp.RequestHeader {
	t.Helper()
	h := &fasthttp.RequestHeader{}
	if err := h.Read(bufio.NewReader(strings.NewReader(text))); err != nil {
		t.Fatal(err)
	}
	return h
}

// checkFront is all that the edge checks of the header of a request.
func checkFront(t testing.TB, f *framing, text []byte, h *fasthttp.RequestHeader) {
	if n, err := f.pass(text, nil); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	if err := checkRequest(h); err != nil {
		t.Fatal(err)
	}
}

func TestFrontCheckAllocatesNothing(t *testing.T) {
	for _, text := range []string{produceHeader + produceBody, "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8082\r\n\r\n"} {
		f, h, raw := new(framing), parsedHeader(t, text), []byte(text)
		n := testing.AllocsPerRun(100, func() { checkFront(t, f, raw, h) })
		if n != 0 {
			t.Errorf("%v allocations for %q", n, text)
		}
	}
}

// Requests without an Idempotency-Key do not pay for those with one.
func TestRequestsWithoutAKeyAllocateNothing(t *testing.T) {
	s := &Server{answers: idempotency.New(idempotency.Settings{Window: time.Minute}, nil)}
	h := parsedHeader(t, produceHeader)
	if n := testing.AllocsPerRun(100, func() {
		if s.keyed(h) {
			t.Fatal("there is no key")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFrontCheck also reports processor time, which other programs on the
// machine do not lengthen. The limit is 200 ns a request.
func BenchmarkFrontCheck(b *testing.B) {
	f, h, text := new(framing), parsedHeader(b, produceHeader), []byte(produceHeader+produceBody)
	b.ReportAllocs()
	began := lab.ProcessCPU()
	for b.Loop() {
		checkFront(b, f, text, h)
	}
	b.ReportMetric(float64(lab.ProcessCPU()-began)/float64(b.N), "cpu-ns/op")
}
