package server

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"regexp"
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

// counting serves the routes that served makes, without Kafka, until t ends, and
// returns how to reach them and how to read the metrics.
func counting(t testing.TB, served func(s *Server) Route) (dial func() net.Conn, shown func() string) {
	t.Helper()
	m := metrics.New(metrics.Settings{Topics: 10}, metrics.Build{})
	s := New(Settings{MaxHeaderBytes: 4096, MaxBodyBytes: 1 << 10, MaxConnections: 10, AllowOrigin: "https://a"}, Deps{Logger: slog.New(slog.DiscardHandler), Metrics: m})
	s.Handle(served(s))
	s.Handle(Route{Method: "GET", Path: "/healthz", Handle: func(*fasthttp.RequestCtx) error { return nil }})
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
		func(_ *Server) Route {
			return Route{Method: "POST", Path: "/things/{thing}", Handle: func(ctx *fasthttp.RequestCtx) error {
				switch string(RequestBody(ctx)) {
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
			}}
		})
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

// The bytes of a stream are counted as they are sent.
func TestStreamedBytesAreCounted(t *testing.T) {
	more := make(chan struct{})
	dial, shown := counting(t, func(s *Server) Route {
		return Route{Method: "GET", Path: "/pieces", Handle: func(ctx *fasthttp.RequestCtx) error {
			return s.Stream(ctx, "text/plain", func(st *Stream) error {
				for range 3 {
					if err := st.Send([]byte("0123456789")); err != nil {
						return err
					}
				}
				<-more
				return st.Send([]byte("the end"))
			})
		}}
	})
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

// A request that asks to wait is counted, and does not change the latency of its route.
func TestWaitsAreNotTimed(t *testing.T) {
	dial, shown := counting(t, func(s *Server) Route {
		return Route{Method: "GET", Path: "/things/{thing}", Handle: func(ctx *fasthttp.RequestCtx) error {
			if ctx.QueryArgs().Has("wait") {
				s.Waits(ctx)
			}
			if ctx.QueryArgs().Has("fail") {
				return apierr.NotFound.Err()
			}
			ctx.SetBodyString("0123456789")
			return nil
		}}
	})
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
