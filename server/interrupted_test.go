package server

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
)

// A request that is given up midway reports a shutdown only when the node shuts down.
func TestInterruptedRequests(t *testing.T) {
	var serving *Server
	route := func(path string, err error) func(s *Server) Route {
		return func(s *Server) Route {
			serving = s
			return Route{Method: "GET", Path: path, Handle: func(*fasthttp.RequestCtx) error {
				return fmt.Errorf("cannot look: %w", err)
			}}
		}
	}
	dial, _ := withRoutes(t, route("/canceled", context.Canceled), route("/closed", kgo.ErrClientClosed))
	f := func(want string) {
		t.Helper()
		for _, path := range []string{"/canceled", "/closed"} {
			conn := dial()
			if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 1000)
			n, _ := resp.Body.Read(body)
			if resp.StatusCode != 503 || string(body[:n]) != want || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %s, %v; want %s", path, resp.StatusCode, body[:n], resp.Header, want)
			}
		}
	}
	f(`{"error_code":50311,"message":"The request was interrupted before it was complete. Send it again."}`)
	serving.Drain()
	f(`{"error_code":50302,"message":"The node is shutting down."}`)
}
