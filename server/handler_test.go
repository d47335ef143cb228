package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// withRoutes serves extra routes on an in-memory listener until t ends, without Kafka.
func withRoutes(t testing.TB, extra ...func(s *Server) Route) (dial func() net.Conn, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	s := New(Settings{MaxHeaderBytes: 4096, MaxBodyBytes: 1 << 20, MaxConnections: 100}, Deps{Logger: slog.New(slog.NewTextHandler(log, nil))})
	for _, f := range extra {
		s.Handle(f(s))
	}
	s.Handle(Route{Method: "GET", Path: "/healthz", Handle: func(*fasthttp.RequestCtx) error { return nil }})
	ln := fasthttputil.NewInmemoryListener()
	go s.http.Serve(ln)
	t.Cleanup(func() { ln.Close() })
	return func() net.Conn {
		conn, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}, log
}

func exchange(t testing.TB, conn net.Conn, in *bufio.Reader, request string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// A stream that panics, after its handler has returned, ends its own connection only.
func TestPanicOfAStream(t *testing.T) {
	dial, log := withRoutes(t, func(s *Server) Route {
		return Route{Method: "GET", Path: "/stream", Handle: func(ctx *fasthttp.RequestCtx) error {
			return s.Stream(ctx, "application/x-ndjson", func(st *Stream) error {
				if err := st.Send([]byte("one\n")); err != nil {
					return err
				}
				panic("out of cheese")
			})
		}}
	})
	conn := dial()
	if _, err := io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "one\n" || err == nil {
		t.Errorf("the stream is %q and ends as if that were all (%v)", body, err)
	}
	if !strings.Contains(log.String(), "out of cheese") {
		t.Errorf("the log does not tell: %s", log)
	}
	conn = dial() // the node still serves
	if status, _ := exchange(t, conn, bufio.NewReader(conn), "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); status != 200 {
		t.Errorf("the next request is answered with %d", status)
	}
}

// A panic costs its own request a 500, and the connection continues.
func TestPanicIsOneRequestsProblem(t *testing.T) {
	dial, log := withRoutes(t, func(s *Server) Route {
		return Route{Method: "GET", Path: "/panic", Handle: func(ctx *fasthttp.RequestCtx) error {
			ctx.SetBodyString("half an answer")
			panic("out of cheese")
		}}
	})
	conn := dial()
	in := bufio.NewReader(conn)
	status, body := exchange(t, conn, in, "GET /panic HTTP/1.1\r\nHost: h\r\n\r\n")
	if status != 500 || body != `{"error_code":500,"message":"The node met an internal error."}` {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := exchange(t, conn, in, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); status != 200 {
		t.Errorf("after it: %d", status)
	}
	if !strings.Contains(log.String(), "out of cheese") || !strings.Contains(log.String(), "stack=") {
		t.Errorf("the log is %s", log)
	}
}

func TestUnknownErrorsShowNothingOfThemselves(t *testing.T) {
	dial, log := withRoutes(t, func(s *Server) Route {
		return Route{Method: "GET", Path: "/fail", Handle: func(_ *fasthttp.RequestCtx) error {
			return errors.New("sql: password=hunter2")
		}}
	})
	conn := dial()
	status, body := exchange(t, conn, bufio.NewReader(conn), "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n")
	if status != 500 || strings.Contains(body, "hunter2") {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log is %s", log)
	}
}
