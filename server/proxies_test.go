package server

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// arrivals is an edge's Peers that keeps account of the requests which arrive. A proxy in front
// writes an id of its own into each request that it forwards. A request without one, or with that
// of another, is one that the proxy did not know of.
type arrivals struct {
	Peers
	header string // of the id; no case can guess it

	mu       sync.Mutex
	ids      map[string]bool
	smuggled []string
	refused  int
}

func (a *arrivals) Receive(ctx *fasthttp.RequestCtx) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := ctx.Request.Header.PeekAll(a.header)
	if len(ids) != 1 || len(ids[0]) == 0 || a.ids[string(ids[0])] {
		a.smuggled = append(a.smuggled, ctx.Request.Header.String())
		return nil
	}
	a.ids[string(ids[0])] = true
	return nil
}

func (a *arrivals) Failed(*fasthttp.RequestCtx, *apierr.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused++
}

func (a *arrivals) Done(*fasthttp.RequestCtx) {}

func (a *arrivals) Claims(*fasthttp.RequestCtx) bool { return false }

// take returns the requests that no proxy knew, and forgets them.
func (a *arrivals) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	smuggled := a.smuggled
	a.smuggled = nil
	return smuggled
}

// count returns how many requests arrived that their proxy knew, and how many the edge refused.
func (a *arrivals) count() (arrived, refused int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids), a.refused
}

// edge serves all paths on a listener until t ends, and returns its address.
func edge(t testing.TB, d Deps) string {
	t.Helper()
	var routes []Route
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
		routes = append(routes, Route{Method: method, Path: "/{rest:*}", Handle: func(*fasthttp.RequestCtx) error { return nil }})
	}
	_, addr := edgeOf(t, d, routes...)
	return addr
}

// edgeOf is edge with other routes.
func edgeOf(t testing.TB, d Deps, routes ...Route) (s *Server, addr string) {
	t.Helper()
	d.Logger = slog.New(slog.DiscardHandler)
	s = New(Settings{
		Listeners: []Listener{{Addr: "127.0.0.1:0"}}, MaxHeaderBytes: 16 << 10, MaxBodyBytes: 1 << 20, MaxConnections: 1000,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}, d)
	s.Handle(routes...)
	addrs, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		for _, ln := range s.opened {
			_ = ln.Close()
		}
		<-served
	})
	return s, addrs[0].String()
}

// frontProxies are the settings of proxies that forward as much as they can be told to.
var frontProxies = map[string]struct {
	args func(config string) []string
	text string
}{
	"nginx": {
		func(config string) []string { return []string{"-c", config, "-e", config + ".log"} },
		`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off; client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s; lingering_timeout 1s;
	client_max_body_size 0; client_header_buffer_size 64k; large_client_header_buffers 4 64k;
	ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	upstream node { server %[2]s max_fails=0; keepalive 16; }
	server {
		listen %[3]s;
		location / {
			proxy_pass http://node; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
			proxy_set_header %[4]s $request_id; proxy_request_buffering off; proxy_read_timeout 5s; proxy_next_upstream off;
		}
	}
}
`,
	},
	"haproxy": {
		func(config string) []string { return []string{"-db", "-f", config} },
		`global
	maxconn 500
defaults
	mode http
	option accept-invalid-http-request
	option http-keep-alive
	http-reuse always
	timeout connect 2s
	timeout client 1s
	timeout http-request 1s
	timeout http-keep-alive 1s
	timeout server 5s
frontend cases
	bind %[3]s
	http-request set-header %[4]s %%[uuid()]
	default_backend node
backend node
	server node %[2]s
# %[1]s
`,
	},
}

// startProxy starts a proxy in front of the node, and returns its address.
func startProxy(t *testing.T, program, node, header string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := ln.Addr().String(), t.TempDir()
	ln.Close()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, fmt.Appendf(nil, frontProxies[program].text, dir, node, addr, header), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.StartProcess(t, exec.Command(program, frontProxies[program].args(config)...))
	testkit.Eventually(t, 20*time.Second, program, func() bool {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return addr
}

// converse sends bytes, and returns all that comes back until the other side closes.
func converse(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	go func() { _, _ = io.WriteString(conn, text) }() // it fails where the rest is refused
	got, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() { // it may be reset
		t.Errorf("no end of the connection for %.300q: %v", text, err)
	}
	return string(got)
}

// No case is one request to the proxy in front and two to the node, or two and one: then one
// client's bytes would be another's request.
func TestFrontCasesBehindProxies(t *testing.T) {
	cases := testkit.FrontCases(t, "testdata/front")
	for program := range frontProxies {
		t.Run(program, func(t *testing.T) {
			testkit.Needs(t, program)
			t.Parallel()
			a := &arrivals{header: "X-Front-" + rand.Text(), ids: map[string]bool{}}
			node := edge(t, Deps{Peers: a})
			proxy := startProxy(t, program, node, a.header)
			work := make(chan testkit.FrontCase)
			var workers sync.WaitGroup
			for range 16 {
				workers.Go(func() {
					for c := range work {
						got := converse(t, proxy, c.Bytes+"GET /healthz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
						const cutOff = "9112 8" // incomplete messages: the node waits with reason
						if c.Section != cutOff && strings.Contains(got, " 504 Gateway") {
							t.Errorf("%s: the node waits for more than the proxy has", c.Name)
						}
						for _, request := range a.take() {
							t.Errorf("%s, or one beside it: the node got a request of which the proxy did not know:\n%s", c.Name, request)
						}
					}
				})
			}
			for _, c := range cases {
				work <- c
			}
			close(work)
			workers.Wait()
			arrived, refused := a.count()
			if arrived < len(cases)/2 {
				t.Errorf("%d requests arrived at the node from %d cases", arrived, len(cases))
			}
			t.Logf("%d requests arrived at the node, %d were refused there", arrived, refused)
			converse(t, node, "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			if len(a.take()) != 1 {
				t.Error("a request around the proxy was not noticed")
			}
		})
	}
}
