package api_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// Every response keeps browsers from guessing its type, whatever made it.
func TestNoSniffEverywhere(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, withAdmin, func(o *stackOptions) { o.server.MaxConnections, o.server.MaxBodyBytes = 60, 1000 })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	f := func(what, request string, status int) {
		t.Helper()
		resp, err := http.ReadResponse(bufio.NewReader(s.written(t, request)), nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if resp.StatusCode != status {
			t.Errorf("%s: status %d, want %d", what, resp.StatusCode, status)
		}
		if got := resp.Header.Values("X-Content-Type-Options"); len(got) != 1 || got[0] != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options is %q", what, got)
		}
	}
	line := func(text string) string { return text + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }
	f("an answer", line("GET /topics"), 200)
	f("an answer without a body", line("HEAD /topics"), 200)
	f("options", line("OPTIONS /topics"), 204)
	f("health", line("GET /healthz"), 200)
	f("metrics", line("GET /metrics"), 200)
	f("the specification", line("GET /openapi.yaml"), 200)
	f("settings", line("GET /admin/config"), 200)
	f("the dashboard", line("GET /ui"), 200)
	f("a file of the dashboard", line("GET /ui/nothing"), 404)
	f("the dashboard's stream", line("GET /ui/events"), 200)
	f("a stream", line("GET /topics/"+topic+"/stream"), 200)
	f("a stream of changes", line("GET /metadata/changes"), 200)
	f("an unknown path", line("GET /nothing"), 404)
	f("a wrong method", line("PATCH /topics"), 405)
	f("an error", line("GET /topics/nothing"), 404)
	f("no request", "nonsense\r\n\r\n", 400)
	f("a malformed request", line("GET / HTTP/1.1\r\nX: y\r\n"), 400)
	f("a folded header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400)
	f("a large body", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n", 413)
	f("a large body that is asked for", "POST /topics/t HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n", 413)
	for range 60 {
		s.raw(t)
	}
	f("a connection too many", "", 503)
}

// written opens a connection and writes text to it.
func (s *stack) written(t *testing.T, text string) io.Reader {
	t.Helper()
	conn := s.raw(t)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A message names a path as its client has sent it, and bounds what it quotes.
func TestUnknownPathsAreNamedAsSent(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	f := func(target, want string) {
		t.Helper()
		resp, err := http.ReadResponse(s.send(t, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 404 || err != nil || !strings.Contains(string(body), `"There is nothing at `+want+`."`) {
			t.Errorf("%s: %d %s, %v; want %s", target, resp.StatusCode, body, err, want)
		}
	}
	f("/a%2Fb%20c/../d//e", "/a%2Fb%20c/../d//e")
	f("/nothing/?query=secret", "/nothing/")
	f("/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E")
	f(`/"quoted"`, "/%22quoted%22")
	f("/caf\xc3\xa9\xe9", "/caf%C3%A9%E9")
	f("http://user.example/nothing", "/nothing")
	f("/"+strings.Repeat("x", 5000), "/"+strings.Repeat("x", 199)+"…")
	s.do(t, "PATCH", "/topics/a%2Fb", "").want(t, 405, "/topics/a%2Fb does not support PATCH")
}
