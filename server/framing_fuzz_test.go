package server

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// heard is an edge's Peers that keeps the requests which the edge has read.
type heard struct {
	Peers
	mu       sync.Mutex
	requests []heardRequest
}

// heardRequest is what two readers of the same bytes must agree on.
type heardRequest struct{ method, target, body string }

func (h *heard) Receive(ctx *fasthttp.RequestCtx) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, heardRequest{
		string(ctx.Method()), string(ctx.Request.Header.RequestURI()), string(RequestBody(ctx)),
	})
	return nil
}

func (h *heard) Failed(*fasthttp.RequestCtx, *apierr.Error) {}
func (h *heard) Done(*fasthttp.RequestCtx)                  {}

func (h *heard) take() []heardRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	requests := h.requests
	h.requests = nil
	return requests
}

// readByNetHTTP returns the requests in text as net/http reads them, up to the first error.
func readByNetHTTP(text []byte) (requests []heardRequest, err error) {
	in := bufio.NewReaderSize(bytes.NewReader(text), 64<<10)
	for {
		for next, _ := in.Peek(2); string(next) == "\r\n"; next, _ = in.Peek(2) {
			_, _ = in.Discard(2) // RFC 9112 §2.2 asks for that; net/http does not
		}
		r, err := http.ReadRequest(in)
		if err != nil {
			return requests, err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return requests, err
		}
		requests = append(requests, heardRequest{r.Method, r.RequestURI, string(body)})
	}
}

// Each request that the edge reads out of any bytes is the one that net/http reads there. The edge
// may refuse what net/http takes, and then reads nothing more.
func FuzzFraming(f *testing.F) {
	// A fuzzer pays some 40 ms for each seed before it begins, most of it for the coverage that its
	// processes tell each other. Of six hundred it mutates one in ten; a test runs them all.
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	for i, c := range testkit.FrontCases(f, "testdata/front") {
		if len(c.Bytes) < 2000 && (!fuzzing || i%10 == 0) {
			f.Add([]byte(c.Bytes + "GET /behind HTTP/1.1\r\nHost: h\r\n\r\n"))
		}
	}
	h := &heard{}
	addr := edge(f, Deps{Peers: h})
	f.Fuzz(func(t *testing.T, text []byte) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			_, _ = conn.Write(text) // it fails where the rest is refused
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, conn)
		got := h.take()
		want, err := readByNetHTTP(text)
		if len(got) > len(want) && stricter(err) {
			got = got[:len(want)]
		}
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("the edge read\n%q\nnet/http reads\n%q, %v", got, want, err)
		}
	})
}

// stricter reports whether net/http refused a request for a reason other than where it ends.
func stricter(err error) bool {
	var malformed *url.Error // such as %zz
	return errors.As(err, &malformed)
}
