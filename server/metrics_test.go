package server

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/metrics"
)

// counting serves the routes without Kafka until t ends, and returns how to
// reach them and how to read the metrics.
func counting(t testing.TB, served ...route) (dial func() net.Conn, shown func() string) {
	t.Helper()
	m := metrics.New(metrics.Settings{Topics: 10}, metrics.Build{})
	former := routes
	routes = concat(served, healthRoutes[:1], metricsRoutes)
	s := New(Settings{MaxHeaderBytes: 4096, MaxBodyBytes: 1 << 10, MaxConnections: 10, AllowOrigin: "https://a"}, Deps{Logger: slog.New(slog.DiscardHandler), Metrics: m})
	routes = former
	m.Watch(metrics.Sources{Server: s.Stats})
	ln := fasthttputil.NewInmemoryListener()
	s.listeners = append(s.listeners, ln) // as Listen does
	go s.http.Serve(ln)
	t.Cleanup(func() { ln.Close() })
	return func() net.Conn {
			conn, err := ln.Dial()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}, func() string {
			var text strings.Builder
			if _, err := m.Write(&text, ""); err != nil {
				t.Fatal(err)
			}
			return text.String()
		}
}

// wantLines fails t unless the text has each of the lines.
func wantLines(t testing.TB, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			t.Errorf("missing %s\n%s", line, strings.Join(regexp.MustCompile(`(?m)^`+name+`.*$`).FindAllString(text, -1), "\n"))
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	dial, shown := counting(t,
		route{"POST", "/things/{thing}", ownAnswer, func(_ *Server, ctx *fasthttp.RequestCtx) error {
			switch string(requestBody(ctx)) {
			case "panic":
				panic("BUG: asked for")
			case "wait":
				close(entered)
				<-release
			case "overloaded":
				return apierr.Overloaded.Err()
			case "unknown":
				return errors.New("what nobody has mapped")
			}
			ctx.SetBodyString("0123456789")
			return nil
		}})
	send := func(request string, want int) {
		t.Helper()
		conn := dial()
		if status, body := exchange(t, conn, bufio.NewReader(conn), request); status != want {
			t.Errorf("%q: %d %s, want %d", request, status, body, want)
		}
	}
	post := func(path, body string, want int) {
		t.Helper()
		send("POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body, want)
	}
	post("/things/a", "1234", 200)
	post("/things/b/", "12345", 200) // the same route, with or without the slash
	post("/things/a", "overloaded", 503)
	post("/things/a", "unknown", 500)
	post("/things/a", "panic", 500)
	post("/nowhere", "x", 404)
	send("DELETE /things/a HTTP/1.1\r\nHost: h\r\n\r\n", 405)
	send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 200)
	send("OPTIONS /things/a HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\nAccess-Control-Request-Method: POST\r\n\r\n", 204)
	post("/things/a", strings.Repeat("x", 2000), 413)
	send("nonsense\r\n\r\n", 400)

	waiting := dial()
	if _, err := waiting.Write([]byte("POST /things/a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nwait")); err != nil {
		t.Fatal(err)
	}
	<-entered
	wantLines(t, shown(),
		`millrace_http_requests_total{method="POST",route="/things/{thing}",status="200"} 2`,
		`millrace_http_requests_total{method="POST",route="/things/{thing}",status="503"} 1`,
		`millrace_http_requests_total{method="POST",route="/things/{thing}",status="500"} 2`,
		`millrace_http_requests_total{method="GET",route="/healthz",status="200"} 1`,
		`millrace_http_requests_total{method="OPTIONS",route="any",status="204"} 1`,
		`millrace_http_requests_total{method="any",route="unmatched",status="404"} 1`,
		`millrace_http_requests_total{method="any",route="unmatched",status="405"} 1`,
		`millrace_http_requests_total{method="any",route="unreadable",status="413"} 1`,
		`millrace_http_requests_total{method="any",route="unreadable",status="400"} 1`,
		`millrace_http_request_duration_seconds_count{method="POST",route="/things/{thing}"} 5`,
		`millrace_http_request_bytes_total{method="POST",route="/things/{thing}"} 31`,
		`millrace_http_errors_total{error="overloaded",error_code="50301"} 1`,
		`millrace_http_errors_total{error="internal",error_code="500"} 2`,
		`millrace_http_errors_total{error="not_found",error_code="404"} 1`,
		`millrace_http_errors_total{error="body_too_large",error_code="413"} 1`,
		`millrace_http_errors_total{error="brokers_unreachable",error_code="50303"} 0`,
		`millrace_http_panics_total 1`,
		`millrace_http_requests_in_flight 1`,
		`millrace_draining 0`,
	)
	close(release)
}

// A scrape over HTTP counts itself as its own route and changes nothing else.
func TestScrapeLeavesNoTrace(t *testing.T) {
	dial, _ := counting(t)
	conn := dial()
	in := bufio.NewReader(conn)
	get := func() []string {
		status, body := exchange(t, conn, in, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		return slices.DeleteFunc(strings.Split(body, "\n"), func(line string) bool {
			return !strings.HasPrefix(line, "millrace_") || strings.Contains(line, `route="/metrics"`)
		})
	}
	first := get()
	if second := get(); !slices.Equal(first, second) {
		t.Errorf("the first scrape shows\n%s\nthe second\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
	}
	if !slices.Contains(first, "millrace_http_requests_in_flight 0") || !slices.Contains(first, "millrace_http_connections 1") {
		t.Errorf("a scrape counts itself:\n%s", strings.Join(first, "\n"))
	}
	_, body := exchange(t, conn, in, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
	wantLines(t, body, `millrace_http_requests_total{method="GET",route="/metrics",status="200"} 2`)
}

// The routes that docs/metrics.md names for those who come from elsewhere exist.
func TestDocumentedRoutesExist(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`method="([A-Z]+)",route="([^"]+)"`).FindAllStringSubmatch(string(text), -1)
	if len(named) < 15 {
		t.Fatalf("only %d routes are named", len(named))
	}
	for _, n := range named {
		if !slices.ContainsFunc(routes, func(r route) bool { return r.method == n[1] && r.path == n[2] }) {
			t.Errorf("there is no %s %s", n[1], n[2])
		}
	}
}

// What a stream sends is counted as it is sent.
func TestStreamedBytesAreCounted(t *testing.T) {
	more := make(chan struct{})
	dial, shown := counting(t, route{"GET", "/pieces", ownAnswer, func(s *Server, ctx *fasthttp.RequestCtx) error {
		return s.stream(ctx, "text/plain", func(st *stream) error {
			for range 3 {
				if err := st.send([]byte("0123456789")); err != nil {
					return err
				}
			}
			<-more
			return st.send([]byte("the end"))
		})
	}})
	conn := dial()
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for got := ""; !strings.Contains(got, "\r\n\r\n") || strings.Count(got, "0123456789") < 3; {
		b, err := in.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		got += string(b)
	}
	const series = `millrace_http_response_bytes_total{method="GET",route="/pieces"} `
	testkit.Eventually(t, 10*time.Second, "what was sent to be counted while the stream goes on", func() bool {
		return strings.Contains(shown(), series+"30\n")
	})
	close(more)
	testkit.Eventually(t, 10*time.Second, "the rest to be counted", func() bool {
		return strings.Contains(shown(), series+"37\n")
	})
}

// A request that asks to wait is counted, and does not spoil the latency of
// those that share its route.
func TestWaitsAreNotTimed(t *testing.T) {
	dial, shown := counting(t, route{"GET", "/things/{thing}", ownAnswer, func(s *Server, ctx *fasthttp.RequestCtx) error {
		if ctx.QueryArgs().Has("wait") {
			s.figures.waits(ctx)
		}
		if ctx.QueryArgs().Has("fail") {
			return apierr.NotFound.Err()
		}
		ctx.SetBodyString("0123456789")
		return nil
	}})
	for _, query := range []string{"", "?wait", "?wait", "?wait&fail"} {
		conn := dial()
		exchange(t, conn, bufio.NewReader(conn), "GET /things/a"+query+" HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	wantLines(t, shown(),
		`millrace_http_requests_total{method="GET",route="/things/{thing}",status="200"} 3`,
		`millrace_http_requests_total{method="GET",route="/things/{thing}",status="404"} 1`,
		`millrace_http_request_duration_seconds_count{method="GET",route="/things/{thing}"} 1`,
		`millrace_http_errors_total{error="not_found",error_code="404"} 1`,
	)
}

// The rules leave out the reads that wait, all of them and nothing else.
func TestRulesKnowWhoWaits(t *testing.T) {
	for _, path := range []string{"../deploy/prometheus/rules.yml", "../deploy/grafana/millrace.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`duration_seconds_bucket\{[^}]*route!~\\?"([^"\\]+)`).FindAllStringSubmatch(string(text), -1)
		if len(found) != 1 {
			t.Fatalf("%s leaves routes out in %d places", path, len(found))
		}
		left := regexp.MustCompile("^(?:" + found[0][1] + ")$")
		for _, r := range concat(routes, adminRoutes, uiRoutes) {
			if r.method != "GET" {
				continue
			}
			if waits := slices.Contains(waitingRoutes, r.path); waits != left.MatchString(r.path) {
				t.Errorf("%s: %s waits: %v", path, r.path, waits)
			}
		}
	}
}
