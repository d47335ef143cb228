package loadtest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// wire carries vegeta's requests over fasthttp's client. On a machine that
// proxy and generator share, whatever the generator costs is taken from the
// proxy, and net/http's transport, which hands each request and answer between
// goroutines, costs more than a fast proxy does.
type wire struct {
	client  *fasthttp.HostClient
	timeout time.Duration
}

// idleTime is how long a connection is kept unused: less than servers keep
// one, for a request on a connection that the server has just closed would
// fail, and a produce request must not be sent twice.
const idleTime = 2 * time.Second

func newWire(scheme, address string, c *tls.Config, timeout time.Duration) *wire {
	return &wire{timeout: timeout, client: &fasthttp.HostClient{
		Addr: address, IsTLS: scheme == "https", TLSConfig: cloneTLS(c),
		Dial:                      func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, timeout) },
		MaxConns:                  math.MaxInt32, // vegeta's workers are the limit
		MaxIdleConnDuration:       idleTime,
		MaxIdemponentCallAttempts: 1,
		RetryIfErr:                func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
		NoDefaultUserAgentHeader:  true,
		DisablePathNormalizing:    true,
	}}
}

// RoundTrip implements http.RoundTripper. It ends by the endpoint's timeout, or
// the deadline of the request's context if that is earlier.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	req.Header.SetMethod(r.Method)
	req.SetRequestURI(r.URL.String())
	for name, values := range r.Header {
		for _, value := range values {
			req.Header.Add(name, value)
		}
	}
	if r.Body != nil && r.Body != http.NoBody {
		req.SetBodyStream(r.Body, int(r.ContentLength))
	}
	deadline := time.Now().Add(w.timeout)
	if d, ok := r.Context().Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := w.client.DoDeadline(req, resp, deadline); err != nil {
		fasthttp.ReleaseResponse(resp)
		return nil, err
	}
	a := &http.Response{
		StatusCode: resp.StatusCode(), Status: fmt.Sprintf("%d %s", resp.StatusCode(), http.StatusText(resp.StatusCode())),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 8), ContentLength: int64(len(resp.Body())), Request: r,
	}
	for name, value := range resp.Header.All() {
		a.Header.Add(string(name), string(value))
	}
	body := &answerBody{resp: resp}
	body.Reset(resp.Body())
	a.Body = body
	return a, nil
}

// CloseIdleConnections is what http.Client looks for.
func (w *wire) CloseIdleConnections() { w.client.CloseIdleConnections() }

// answerBody is read by one goroutine, which closes it.
type answerBody struct {
	bytes.Reader
	resp *fasthttp.Response
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	if b.resp != nil {
		fasthttp.ReleaseResponse(b.resp)
		b.resp = nil
		b.Reset(nil)
	}
	return nil
}
