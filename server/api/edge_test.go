package api_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"millrace/internal/testkit"
	"millrace/server/intake"
)

func TestEdgeExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		testkit.RunExchanges(t, "testdata/edge.txt", s.base, map[string]string{"new": testkit.Topic(t)})
	})
}

// encode compresses text in a Content-Encoding.
func encode(t testing.TB, encoding, text string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch encoding {
	case "gzip", "x-gzip", "GZIP":
		w = gzip.NewWriter(&out)
	case "deflate":
		w, err = zlib.NewWriterLevel(&out, flate.BestSpeed)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	case "identity":
		return text
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCompressedRequests(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.server.MaxBodyBytes = 100_000 })
	topic := testkit.Topic(t)
	offset := 0
	for _, encoding := range []string{"gzip", "x-gzip", "GZIP", "deflate", "br", "zstd", "identity"} {
		body := encode(t, encoding, `{"records":[{"value":"`+encoding+`"}]}`)
		s.do(t, "POST", "/topics/"+topic, body, jsonV2, "Content-Encoding: "+encoding).want(t, 200, fmt.Sprintf(`"offset":%d`, offset))
		offset++
	}
	for i, r := range testkit.ReadTopic(t, b.Broker, topic, offset) {
		if want := []string{"gzip", "x-gzip", "GZIP", "deflate", "br", "zstd", "identity"}[i]; string(r.Value) != `"`+want+`"` {
			t.Errorf("record %d is %s", i, r.Value)
		}
	}
	// A small body that decompresses to a huge one is refused by its decompressed size.
	bomb := `{"records":[{"value":"` + strings.Repeat("a", 2<<20) + `"}]}`
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		s.do(t, "POST", "/topics/"+topic, encode(t, encoding, bomb), jsonV2, "Content-Encoding: "+encoding).want(t, 413, `"error_code":413`)
	}
	s.do(t, "POST", "/topics/"+topic, bomb, jsonV2).want(t, 413, `"error_code":413`)
	s.do(t, "POST", "/topics/"+topic, encode(t, "gzip", bomb)[:50], jsonV2, "Content-Encoding: gzip").want(t, 400, `"error_code":400`)
}

func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	for i := range 50 {
		if err := b.Cluster.CreateTopic(fmt.Sprintf("a-topic-with-a-long-name-%d", i), 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	var plain string
	testkit.Eventually(t, 20*time.Second, "the topics", func() bool {
		plain = s.do(t, "GET", "/topics", "").body
		return strings.Count(plain, "long-name") == 50
	})
	f := func(accept, want string) {
		t.Helper()
		r := s.do(t, "GET", "/topics", "", "Accept-Encoding: "+accept).want(t, 200, "")
		if got := r.header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", accept, got, want)
		}
		if vary := r.header.Values("Vary"); strings.Join(vary, ", ") != "Accept, Accept-Encoding" {
			t.Errorf("Vary is %q", vary)
		}
		var body io.Reader = strings.NewReader(r.body)
		var err error
		switch want {
		case "gzip":
			body, err = gzip.NewReader(body)
		case "br":
			body = brotli.NewReader(body)
		case "zstd":
			body, err = zstd.NewReader(body)
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil || string(text) != plain {
			t.Errorf("Accept-Encoding %q: unpacks to %.60q, %v", accept, text, err)
		}
	}
	f("gzip", "gzip")
	f("gzip, deflate, br, zstd", "zstd")
	f("br", "br")
	f("gzip;q=0.5, br;q=0.8", "br")
	f("gzip;q=0", "")
	f("*", "zstd")
	f("*;q=0.1, gzip", "gzip")
	f("identity", "")
	f("deflate", "")
	if r := s.do(t, "GET", "/", "", "Accept-Encoding: gzip"); r.header.Get("Content-Encoding") != "" {
		t.Error("an answer of two bytes was compressed")
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.Topic(t)
	conn := s.raw(t)
	var out strings.Builder
	for i := range 20 {
		body := fmt.Sprintf(`{"records":[{"value":%d}]}`, i)
		fmt.Fprintf(&out, "POST /topics/%s HTTP/1.1\r\nHost: h\r\n%s\r\nContent-Length: %d\r\n\r\n%s", topic, jsonV2, len(body), body)
	}
	if _, err := io.WriteString(conn, out.String()); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for i := range 20 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if want := fmt.Sprintf(`"offset":%d,`, i); resp.StatusCode != 200 || !bytes.Contains(body, []byte(want)) {
			t.Fatalf("answer %d: %d %s", i, resp.StatusCode, body)
		}
	}
}

func TestProtocolErrorsAndLimits(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.server.MaxHeaderBytes = 4096
		o.server.MaxBodyBytes = 1000
		o.rest.MaxRecords = 5
		o.server.ReadTimeout = 300 * time.Millisecond
	})
	f := func(request string, status int, text string) {
		t.Helper()
		conn := s.raw(t)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%.60q: %v", request, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status || !bytes.Contains(body, []byte(text)) {
			t.Errorf("%.60q: %d %s, want %d %s", request, resp.StatusCode, body, status, text)
		}
	}
	f("nonsense\r\n\r\n", 400, `"error_code":400`)
	f("GET / HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 5000)+"\r\n\r\n", 431, `"error_code":431`)
	f("POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n", 413, `"error_code":413`)
	f("POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n"+strings.Repeat("x", 0x800)+"\r\n0\r\n\r\n", 413, `"error_code":413`)
	// A body that stops halfway gets a response after the read time-out.
	f("POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"records\":", 408, `"error_code":408`)
	s.do(t, "POST", "/topics/t", `{"records":[{},{},{},{},{},{}]}`, jsonV2).want(t, 413, "more than 5 records")
	s.do(t, "POST", "/topics/t", `{"records":[{},{},{},{},{}]}`, jsonV2).want(t, 200, "offset")
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	conn := s.raw(t)
	body := `{"records":[{"value":1}]}`
	fmt.Fprintf(conn, "POST /topics/%s HTTP/1.1\r\nHost: h\r\n%s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", testkit.Topic(t), jsonV2, len(body))
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, body)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.server.AllowOrigin = "https://app.example, https://other.example"
		o.server.AllowMethods = "GET, POST"
	})
	f := func(method, origin string, status int, allow string, headers ...string) reply {
		t.Helper()
		if origin != "" {
			headers = append(headers, "Origin: "+origin)
		}
		r := s.do(t, method, "/topics", "", headers...).want(t, status, "")
		if got := r.header.Get("Access-Control-Allow-Origin"); got != allow {
			t.Errorf("%s from %q: Access-Control-Allow-Origin %q, want %q", method, origin, got, allow)
		}
		return r
	}
	if r := f("GET", "https://app.example", 200, "https://app.example"); !strings.Contains(strings.Join(r.header.Values("Vary"), ","), "Origin") {
		t.Errorf("Vary is %q", r.header.Values("Vary"))
	}
	f("GET", "", 200, "")
	f("GET", s.base, 200, "") // our own pages
	f("GET", "https://evil.example", 403, "")
	f("HEAD", "https://app.example", 403, "") // not an allowed method
	r := f("OPTIONS", "https://app.example", 204, "https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
	if got := r.header.Get("Access-Control-Allow-Methods"); got != "GET, POST" {
		t.Errorf("Access-Control-Allow-Methods %q", got)
	}
	if got := r.header.Get("Access-Control-Allow-Headers"); !strings.Contains(got, "Content-Type") {
		t.Errorf("Access-Control-Allow-Headers %q", got)
	}
	f("OPTIONS", "https://evil.example", 403, "", "Access-Control-Request-Method: POST")

	open := start(t, b.Broker, func(o *stackOptions) { o.server.AllowOrigin = "*" })
	if got := open.do(t, "GET", "/topics", "", "Origin: https://any.example").header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("with *: %q", got)
	}
	off := start(t, b.Broker)
	if got := off.do(t, "GET", "/topics", "", "Origin: https://any.example").want(t, 200, "").header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("switched off: %q", got)
	}
}

func TestStrictCompatibility(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.rest.Strict = true })
	s.do(t, "GET", "/topics", "", "Accept: application/json").want(t, 406, `"error_code":406`)
	s.do(t, "GET", "/topics/"+testkit.Topic(t), "").want(t, 404, `"error_code":40403`)
}

func TestRequestLogIsOneLineWithoutTheQuery(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.server.RequestLog = true })
	s.do(t, "GET", "/topics?token=secret", "").want(t, 200, "")
	testkit.Eventually(t, 20*time.Second, "the line", func() bool { return strings.Contains(s.log.String(), "msg=request") })
	log := s.log.String()
	if strings.Count(log, "msg=request") != 1 || strings.Contains(log, "secret") || !strings.Contains(log, "status=200") || !strings.Contains(log, "path=/topics") {
		t.Errorf("the log is\n%s", log)
	}
	quiet := start(t, b.Broker)
	quiet.do(t, "POST", "/topics/t", "{", jsonV2).want(t, 400, "")
	if log := quiet.log.String(); strings.Contains(log, "request") {
		t.Errorf("a client's mistake was logged:\n%s", log)
	}
}

// A connection that was opened in advance and never used does not delay a drain.
func TestSilentConnectionsDoNotHoldUpADrain(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	s.raw(t)
	s.do(t, "GET", "/healthz", "").want(t, 200, "ok") // the connection above has been accepted by now
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 8*time.Second { // the drain of a connection in use may take 10 s
		t.Errorf("it took %v", took)
	}
}

// Clients that send one request after the other on a connection are told that it ends, and none of
// their requests is without a response.
func TestDrainCutsNoRequestOnConnectionsAtWork(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	var cut, working atomic.Int32
	var clients sync.WaitGroup
	for range 32 {
		conn := s.raw(t)
		clients.Go(func() {
			answers := bufio.NewReader(conn)
			for n := 0; ; n++ {
				if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
					cut.Add(1)
					return
				}
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					cut.Add(1)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body) // it is short
				if n == 0 {
					working.Add(1)
				}
				if resp.Close {
					return
				}
				<-time.After(time.Millisecond) // the connection is idle meanwhile
			}
		})
	}
	testkit.Eventually(t, 20*time.Second, "all clients at work", func() bool { return working.Load() == 32 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	if n := cut.Load(); n > 0 {
		t.Errorf("%d clients had no response to a request", n)
	}
}

// The decompressed bodies of all requests together are bounded.
func TestManyCompressedBodiesAtOnce(t *testing.T) {
	manyCompressedBodies(t, intake.DefaultMemory/10)
}

// manyCompressedBodies sends twelve bodies at once of which each takes two thirds of the memory.
func manyCompressedBodies(t *testing.T, memory int64) {
	t.Helper()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.server.MaxBodyBytes, o.server.Bodies.Memory, o.batch.BufferBytes = int(memory*3/4), memory, 1<<30
	})
	bomb := encode(t, "gzip", `{"records":[{"value":"`+strings.Repeat("a", int(memory*2/3))+`"}]}`)
	var wg sync.WaitGroup
	var refused atomic.Int32
	for range 12 {
		wg.Go(func() {
			r, err := s.try("POST", "/topics/t", bomb, jsonV2, "Content-Encoding: gzip")
			switch {
			case err != nil:
				t.Error(err)
			case r.status == 503 && r.header.Get("Retry-After") != "":
				refused.Add(1)
			case r.status != 413: // one record larger than any batch
				t.Errorf("got %d %.200s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	if refused.Load() == 0 {
		t.Error("none of twelve bodies was refused")
	}
	s.do(t, "POST", "/topics/t", encode(t, "gzip", `{"records":[{"value":1}]}`), jsonV2, "Content-Encoding: gzip").want(t, 200, "offset")
}

// An outage does not log a line for every failed request.
func TestRefusalsAreLoggedSparingly(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.batch.BufferBytes = 1000; o.server.RequestLog = true })
	for range 50 {
		s.do(t, "GET", "/readyz", "").want(t, 200, "")
	}
	b.Cluster.Close()
	testkit.Eventually(t, 20*time.Second, "the outage to be noticed", func() bool { return s.do(t, "GET", "/readyz", "").status == 503 })
	for range 200 {
		s.do(t, "GET", "/readyz", "").want(t, 503, "")
	}
	if n := strings.Count(s.log.String(), "request failed"); n == 0 || n > 50 {
		t.Errorf("%d lines", n)
	}
}

// A connection without a byte of a request is closed without a response. Otherwise a pool would
// take that response for the one to its next request.
func TestSilentConnectionsAreClosedQuietly(t *testing.T) { // alone: its times are short
	b := testkit.Fake(t)
	quick := func(o *stackOptions) {
		o.server.ReadTimeout, o.server.IdleTimeout = 400*time.Millisecond, 400*time.Millisecond
		o.server.RequestLog = true
	}
	wantEOF := func(what string, conn io.Reader) {
		t.Helper()
		if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
			t.Errorf("%s: got %q, %v", what, rest, err)
		}
	}
	wantTimeout := func(what string, conn net.Conn) {
		t.Helper()
		io.WriteString(conn, "GET /he")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 408 {
			t.Errorf("%s: got %v, %v", what, resp, err)
		}
	}
	s := start(t, b.Broker, quick)
	wantEOF("new", s.raw(t))
	used := s.hold(t, 2)
	wantEOF("used", used[0])
	wantTimeout("new, half a request", s.raw(t))
	wantTimeout("used, half a request", s.hold(t, 1)[0])

	s, dial := startTLS(t, b.Broker, quick)
	wantEOF("TLS", dial(t))
	wantTimeout("TLS, half a request", dial(t))
	wantEOF("TLS without a handshake", s.raw(t))
	if n := strings.Count(s.log.String(), "msg=request"); n != 1 {
		t.Errorf("the log has %d requests\n%s", n, s.log)
	}
}

// A client that asks before it sends a body that is too large gets the refusal, not 100.
func TestExpectContinueOfALargeBody(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.server.MaxBodyBytes, o.server.RequestLog = 1000, true })
	conn := s.raw(t)
	io.WriteString(conn, "POST /topics/t?token=secret HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 413 || !bytes.Contains(body, []byte(`"error_code":413`)) || err != nil ||
		resp.Header.Get("Content-Type") != "application/vnd.kafka.v2+json" || !resp.Close {
		t.Errorf("got %v %s, %v", resp, body, err)
	}
	testkit.Eventually(t, 20*time.Second, "the line", func() bool { return strings.Contains(s.log.String(), "msg=request") })
	if log := s.log.String(); !strings.Contains(log, "method=POST path=/topics/t status=413") {
		t.Errorf("the log is\n%s", log)
	}
}

// Bytes that are no request are in the request log, too.
func TestUnreadableRequestsAreLogged(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.server.MaxBodyBytes, o.server.RequestLog = 1000, true })
	f := func(request, want string) {
		t.Helper()
		before := strings.Count(s.log.String(), "msg=request")
		conn := s.raw(t)
		io.WriteString(conn, request)
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(resp, err)
		}
		testkit.Eventually(t, 20*time.Second, "the line", func() bool { return strings.Contains(s.log.String(), want) })
		if after := strings.Count(s.log.String(), "msg=request"); after != before+1 {
			t.Errorf("%d lines for one request", after-before)
		}
	}
	f("nonsense secret\r\n\r\n", "method=- path=/ status=400")
	f("POST /topics/t?token=secret HTTP/1.1\r\nHost: h\r\n"+jsonV2+"\r\nContent-Length: 5000\r\n\r\n", "method=POST path=/topics/t status=413")
	if strings.Contains(s.log.String(), "secret") {
		t.Errorf("the log is\n%s", s.log)
	}
}
