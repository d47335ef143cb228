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

	"millrace/codec"
	"millrace/internal/apierr"
)

// withRoutes serves extra routes on an in-memory listener until t ends, without Kafka.
func withRoutes(t testing.TB, extra ...route) (dial func() net.Conn, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	former := routes
	routes = append(extra, healthRoutes[:1]...)
	s := New(Settings{MaxHeaderBytes: 4096, MaxBodyBytes: 1 << 20, MaxConnections: 100}, Deps{Logger: slog.New(slog.NewTextHandler(log, nil))})
	routes = former
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

// A stream that panics, which is after its handler, ends its own connection.
func TestPanicOfAStream(t *testing.T) {
	dial, log := withRoutes(t, route{"GET", "/stream", ownAnswer, func(s *Server, ctx *fasthttp.RequestCtx) error {
		return s.stream(ctx, mediaLines, func(st *stream) error {
			if err := st.send([]byte("one\n")); err != nil {
				return err
			}
			panic("out of cheese")
		})
	}})
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
	conn = dial() // the server lives
	if status, _ := exchange(t, conn, bufio.NewReader(conn), "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); status != 200 {
		t.Errorf("the next request is answered with %d", status)
	}
}

// A panic costs its own request a 500, and the connection goes on.
func TestPanicIsOneRequestsProblem(t *testing.T) {
	dial, log := withRoutes(t, route{"GET", "/panic", ownAnswer, func(_ *Server, ctx *fasthttp.RequestCtx) error {
		ctx.SetBodyString("half an answer")
		panic("out of cheese")
	}})
	conn := dial()
	in := bufio.NewReader(conn)
	status, body := exchange(t, conn, in, "GET /panic HTTP/1.1\r\nHost: h\r\n\r\n")
	if status != 500 || body != `{"error_code":500,"message":"The server met an internal error."}` {
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
	dial, log := withRoutes(t, route{"GET", "/fail", ownAnswer, func(*Server, *fasthttp.RequestCtx) error {
		return errors.New("sql: password=hunter2")
	}})
	conn := dial()
	status, body := exchange(t, conn, bufio.NewReader(conn), "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n")
	if status != 500 || strings.Contains(body, "hunter2") {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log is %s", log)
	}
}

func TestParseKafka(t *testing.T) {
	f := func(name string, want mediaType, ok bool) {
		t.Helper()
		if got, gotOK := parseKafka(name); gotOK != ok || ok && got != want {
			t.Errorf("%s: %+v, %v", name, got, gotOK)
		}
	}
	f("application/vnd.kafka.v2+json", mediaType{}, true)
	f("application/vnd.kafka.json.v2+json", mediaType{v2, codec.JSON, true}, true)
	f("application/vnd.kafka.binary.v2+json", mediaType{v2, codec.Binary, true}, true)
	f("application/vnd.kafka.avro.v2+json", mediaType{v2, codec.Avro, true}, true)
	f("application/vnd.kafka.v1+json", mediaType{version: v1}, true)
	f("application/vnd.kafka.json.v1+json", mediaType{v1, codec.JSON, true}, true)
	f("application/vnd.kafka.v3+json", mediaType{}, false)
	f("application/vnd.kafka.jsonv2+json", mediaType{}, false)
	f("application/vnd.kafka+json", mediaType{}, false)
	f("application/vnd.kafka.xml.v2+json", mediaType{}, false)
	f("application/json", mediaType{}, false)
}

func TestPickAccepted(t *testing.T) {
	offers := []string{mediaV2, mediaJSON}
	f := func(accept, want string) {
		t.Helper()
		if got := pickAccepted(accept, offers); got != want {
			t.Errorf("%s: %q, want %q", accept, got, want)
		}
	}
	f("*/*", mediaV2)
	f("application/json", mediaJSON)
	f("application/vnd.kafka.v2+json; q=0.4, application/json; q=0.5", mediaJSON)
	f("application/vnd.kafka.v2+json; q=0, */*", mediaJSON)
	f("application/*;q=0.1", mediaV2)
	f("text/html, */*;q=0.01", mediaV2)
	f("text/html", "")
	f("application/json;q=nonsense", "")
	f("/;;,,", "")
}

func TestNegotiateRecords(t *testing.T) {
	f := func(accept string, own codec.Format, kind *apierr.Kind) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		if accept != "" {
			ctx.Request.Header.Set("Accept", accept)
		}
		err := negotiateRecords(&ctx, v2, own)
		if kind == nil && err != nil || kind != nil && !kind.Is(err) {
			t.Errorf("Accept %q of a %s consumer: %v", accept, own, err)
		}
		if want := "application/vnd.kafka." + own.String() + ".v2+json"; err == nil && string(ctx.Response.Header.ContentType()) != want {
			t.Errorf("Accept %q: Content-Type %s", accept, ctx.Response.Header.ContentType())
		}
	}
	f("application/vnd.kafka.json.v2+json", codec.JSON, nil)
	f("application/vnd.kafka.binary.v2+json", codec.Binary, nil)
	f("application/vnd.kafka.json.v2+json, */*;q=0.1", codec.JSON, nil)
	f("", codec.Binary, nil)
	f("*/*", codec.Binary, nil)
	f("application/vnd.kafka.v2+json", codec.Binary, nil)
	f("", codec.JSON, apierr.FormatMismatch)
	f("*/*", codec.JSON, apierr.FormatMismatch)
	f("application/vnd.kafka.v2+json", codec.JSON, apierr.FormatMismatch)
	f("application/vnd.kafka.binary.v2+json", codec.JSON, apierr.FormatMismatch)
	f("application/vnd.kafka.avro.v2+json", codec.JSON, apierr.FormatMismatch)
	f("text/plain", codec.JSON, apierr.NotAcceptable)
	f("text/plain", codec.Binary, apierr.NotAcceptable)
}

// A route that answers for both versions takes that of the request.
func TestNegotiateVersion(t *testing.T) {
	f := func(strict bool, method, content, accept, want string) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.Header.SetContentType(content)
		if accept != "" {
			ctx.Request.Header.Set("Accept", accept)
		}
		s := &Server{settings: Settings{Strict: strict}}
		err := s.negotiate(&ctx)
		if got := string(ctx.Response.Header.ContentType()); want == "" && !apierr.NotAcceptable.Is(err) || want != "" && (err != nil || got != want) {
			t.Errorf("%s %q, Accept %q: %s, %v; want %s", method, content, accept, got, err, want)
		}
	}
	f(false, "GET", "", "", mediaV2)
	f(false, "GET", "", mediaV1, mediaV1)
	f(false, "GET", "", mediaKafka, mediaKafka)
	f(false, "GET", "", mediaJSON, mediaJSON)
	f(false, "GET", mediaJSON, "", mediaV2)
	f(false, "GET", "", mediaV1+", "+mediaV2+";q=0.5", mediaV1)
	f(false, "GET", "", mediaV1+";q=0.5, "+mediaV2, mediaV2)
	f(false, "GET", "", mediaV1+", application/vnd.kafka+json; q=0.9, application/json; q=0.8", mediaV1)
	f(false, "POST", mediaV1, "", mediaV1)
	f(false, "POST", "application/vnd.kafka.binary.v1+json; charset=utf-8", "*/*", mediaV1)
	f(false, "POST", mediaJSON, "", mediaV1)
	f(false, "POST", mediaV1, mediaV2, "")
	f(false, "POST", jsonRecordsV2, mediaV1, "")
	f(true, "POST", mediaJSON, "", mediaV2)
	f(true, "GET", "", mediaV1, mediaV1)
	f(true, "GET", "", mediaJSON, "")
}

func TestNegotiateFormat(t *testing.T) {
	f := func(v version, accept string, want codec.Format, kind *apierr.Kind) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		if accept != "" {
			ctx.Request.Header.Set("Accept", accept)
		}
		got, err := new(Server).negotiateFormat(&ctx, v)
		if kind == nil && (err != nil || got != want) || kind != nil && !kind.Is(err) {
			t.Errorf("Accept %q: %v, %v", accept, got, err)
		}
		if err == nil && string(ctx.Response.Header.ContentType()) != recordType(v, want) {
			t.Errorf("Accept %q: Content-Type %s", accept, ctx.Response.Header.ContentType())
		}
	}
	f(v2, "", codec.Binary, nil)
	f(v2, "*/*", codec.Binary, nil)
	f(v2, mediaV2, codec.Binary, nil)
	f(v2, jsonRecordsV2, codec.JSON, nil)
	f(v2, jsonRecordsV2+", */*;q=0.1", codec.JSON, nil)
	f(v2, "application/vnd.kafka.json.v1+json", 0, apierr.NotAcceptable)
	f(v2, "application/vnd.kafka.avro.v2+json", 0, apierr.NotAcceptable)
	f(v1, "application/vnd.kafka.json.v1+json", codec.JSON, nil)
	f(v1, mediaJSON, codec.Binary, nil)
	f(v1, mediaV1+", application/vnd.kafka+json; q=0.9", codec.Binary, nil)
	f(v1, jsonRecordsV2, 0, apierr.NotAcceptable)
}

// No Accept and no Content-Type makes the negotiation panic or answer oddly.
func FuzzMediaTypes(f *testing.F) {
	f.Add("application/vnd.kafka.json.v2+json; charset=utf-8", "application/json;q=0.5, */*;q=0.1")
	f.Add("application/vnd.kafka..v2+json", "*/*;q=2")
	f.Add(";", ",,,")
	f.Fuzz(func(t *testing.T, content, accept string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.Set("Content-Type", content)
		ctx.Request.Header.Set("Accept", accept)
		s := &Server{}
		if m, err := s.recordsMedia(&ctx); err == nil && m.format != codec.JSON && m.format != codec.Binary {
			t.Fatalf("%q is %v", content, m.format)
		}
		if d, err := s.acceptedDialect(&ctx); err == nil && d > codec.Plain {
			t.Fatalf("%q is dialect %v", accept, d)
		}
		s.negotiate(&ctx)
		s.errorType(&ctx)
		if picked := pickAccepted(accept, []string{mediaV2, mediaJSON}); picked != "" && picked != mediaV2 && picked != mediaJSON {
			t.Fatalf("%q picked %q", accept, picked)
		}
		for n, own := range []codec.Format{codec.JSON, codec.Binary} {
			if err := negotiateRecords(&ctx, version(n), own); err != nil && apierr.From(err).Kind.Status != 406 {
				t.Fatalf("%q: %v", accept, err)
			}
		}
		if e := pickEncoding(accept); e != "" && e != "gzip" && e != "br" && e != "zstd" {
			t.Fatalf("%q picked %q", accept, e)
		}
	})
}

// Whatever the method and the path, the router answers with a status of its
// own and an error body; nothing panics.
func FuzzRouter(f *testing.F) {
	for _, seed := range [][2]string{
		{"GET", "/topics/%2e%2e/partitions/0"},
		{"POST", "/topics/t/"},
		{"DELETE", "/consumers/%zz/instances/i"},
		{"HEAD", "//topics"},
		{"OPTIONS", "*"},
		{"PATCH", "/topics/{topic}"},
		{"GET", "/topics/a/partitions/-1/offsets?x=%"},
		{"GET", "/consumers/g/instances/i/records"},
		{"BREW", "/"},
	} {
		f.Add(seed[0], seed[1])
	}
	former := routes
	routes = nil
	for _, r := range former {
		r.handler = func(_ *Server, ctx *fasthttp.RequestCtx) error {
			for _, name := range []string{"topic", "group", "instance"} {
				if _, err := pathParam(ctx, name); err != nil {
					return err
				}
			}
			_, err := pathPartition(ctx)
			return err
		}
		routes = append(routes, r)
	}
	var log bytes.Buffer
	s := New(Settings{MaxHeaderBytes: 4096, MaxBodyBytes: 1 << 20, MaxConnections: 100}, Deps{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	routes = former
	f.Fuzz(func(t *testing.T, method, path string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.SetRequestURI(path)
		s.serve(&ctx)
		switch status := ctx.Response.StatusCode(); status {
		case 200, 204:
		case 400, 404, 405, 406, 415:
			if !bytes.HasPrefix(ctx.Response.Body(), []byte(`{"error_code":`)) {
				t.Fatalf("%q %q: %d %q", method, path, status, ctx.Response.Body())
			}
		default:
			t.Fatalf("%q %q: %d %q\n%s", method, path, status, ctx.Response.Body(), &log)
		}
	})
}
