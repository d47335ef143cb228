package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/lab"
)

// loadSpec is what the load generator is told to do: a closed loop, in which
// every connection sends its next request when it has the answer to the last,
// or, with a rate, an open one.
type loadSpec struct {
	// URLs are asked in turn; all have the same host. With OwnURL each
	// connection asks one only.
	URLs        []string
	OwnURL      bool
	Method      string
	ContentType string
	Accept      string
	// IfNoneMatch is the ETag of a conditional GET, Status what is then
	// expected; 0: 200.
	IfNoneMatch string
	Status      int
	// Bodies are sent in turn; none for a GET.
	Bodies [][]byte
	// Sums are those of the values in each body; none where the bytes that
	// Kafka will hold are not known.
	Sums        []uint64
	Connections int
	// Records is how many slots with an offset an answer must have; 0 for
	// requests that are not produce requests.
	Records int
	// Ingest says that the answer counts them instead.
	Ingest bool
	// Rate is how many requests a second are due, over all connections; 0:
	// as many as go.
	Rate float64
	// PID is the process whose CPU is measured, Metrics where it counts its
	// allocations for Prometheus, if it does.
	PID     int
	Metrics string
	Timing  timing
}

// requestTimeout bounds one request of the load, so that a server that hangs
// is an error rather than a bench that never ends.
const requestTimeout = 60 * time.Second

// runLoad is the load generator.
func runLoad(spec loadSpec) (window, error) {
	var (
		w window
		m meter
	)
	target, err := url.Parse(spec.URLs[0])
	if err != nil {
		return w, fmt.Errorf("cannot use the address of the server: %w", err)
	}
	if spec.Metrics != "" {
		m.mallocs = func() (uint64, error) { return scrapeMallocs(spec.Metrics) }
	}
	l := lab.Load{Workers: spec.Connections, Schedule: spec.Timing.schedule(spec.Rate)}
	err = m.watch(&l, spec.Timing, spec.PID, &w, func(number int, t *tally) (lab.Send, func()) {
		return connect(spec, target.Host, number, &m, t)
	})
	return w, err
}

// connect opens one connection of the load. It has a client of its own, so that
// connections do not meet at a lock of the client.
func connect(spec loadSpec, host string, number int, m *meter, t *tally) (send lab.Send, end func()) {
	client := newConnection(host)
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	prepare(req, spec.Method, spec.URLs[0], spec.Accept)
	if spec.ContentType != "" {
		req.Header.SetContentType(spec.ContentType)
	}
	if spec.IfNoneMatch != "" {
		req.Header.Set(fasthttp.HeaderIfNoneMatch, spec.IfNoneMatch)
	}
	// Connections start at different bodies.
	next := number * 7
	send = func(began time.Time) bool {
		var sum uint64
		if len(spec.Bodies) > 0 {
			req.SetBodyRaw(spec.Bodies[next%len(spec.Bodies)])
		}
		if len(spec.Sums) > 0 {
			sum = spec.Sums[next%len(spec.Sums)]
		}
		if spec.OwnURL {
			req.SetRequestURI(spec.URLs[number%len(spec.URLs)])
		} else if len(spec.URLs) > 1 {
			req.SetRequestURI(spec.URLs[next%len(spec.URLs)])
		}
		next++
		err := client.DoTimeout(req, resp, requestTimeout)
		took := time.Since(began)
		if err == nil {
			err = spec.check(resp)
		}
		if err != nil {
			return t.failed("%v", err)
		}
		t.ok(m, spec.Records, sum, took)
		return true
	}
	return send, func() {
		client.CloseIdleConnections()
		fasthttp.ReleaseRequest(req)
		fasthttp.ReleaseResponse(resp)
	}
}

// scrapeMallocs reads the counter of allocations off a page of metrics.
func scrapeMallocs(url string) (uint64, error) {
	const name = "\ngo_memstats_mallocs_total "
	status, page, err := fasthttp.GetTimeout(nil, url, requestTimeout)
	if err == nil && status != fasthttp.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", url, err)
	}
	_, rest, ok := bytes.Cut(page, []byte(name))
	if !ok {
		return 0, fmt.Errorf("cannot find%s in %s", strings.TrimSpace(name), url)
	}
	text, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read the allocations in %s: %w", url, err)
	}
	return uint64(n), nil
}

// maxErrors is when a connection gives up: the run has failed anyway.
const maxErrors = 100

// newConnection returns a client that keeps one connection to host and never
// sends a request twice.
func newConnection(host string) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr:                      host,
		MaxConns:                  1,
		MaxIdemponentCallAttempts: 1,
		MaxIdleConnDuration:       requestTimeout,
		NoDefaultUserAgentHeader:  true,
	}
}

// prepare makes req a new request without a body.
func prepare(req *fasthttp.Request, method, url, accept string) {
	req.Reset()
	req.Header.SetMethod(method)
	req.SetRequestURI(url)
	if accept != "" {
		req.Header.Set(fasthttp.HeaderAccept, accept)
	}
}

var offsetMember, nullOffset = []byte(`"offset":`), []byte(`"offset":null`)

// check fails unless the answer is as expected: a success in each slot. It
// knows the answers of every REST proxy: a slot that succeeded has an offset.
func (spec *loadSpec) check(resp *fasthttp.Response) error {
	body := resp.Body()
	if want := max(spec.Status, fasthttp.StatusOK); resp.StatusCode() != want {
		return fmt.Errorf("status %d, not %d: %.200s", resp.StatusCode(), want, body)
	}
	switch n := spec.Records; {
	case resp.StatusCode() == fasthttp.StatusNotModified:
	case n == 0 && len(body) == 0:
		return errors.New("the answer is empty")
	case n > 0 && spec.Ingest:
		return checkAccepted(body, n)
	case n > 0:
		if got := bytes.Count(body, offsetMember); got != n || bytes.Contains(body, nullOffset) {
			return fmt.Errorf("%d slots with an offset, not %d without an error: %.200s", got, n, body)
		}
	}
	return nil
}
