package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// millrace is the name of its rows where servers differ in nothing else.
const millrace = "millrace"

// metadataConnections is how many clients ask at the same time.
const metadataConnections = 64

// lookUp is a GET that is answered from memory.
type lookUp struct {
	name string // of its row
	path string
	etag string // of If-None-Match; none: the answer is wanted in full
	// answer is millrace's, which the HTTP floor gives as well.
	answer floorAnswer
	common bool // every REST proxy knows it
}

// metadataSuite measures look-ups that are answered from memory, in full and
// with the ETag of the answer that the client has, each beside the HTTP floor
// with the same answer.
func (b *bench) metadataSuite(ctx context.Context) error {
	topics, err := b.cluster.newTopics(ctx, 1, 12)
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, topics...)
	asked, err := b.lookUps(ctx, topics[0])
	if err != nil {
		return err
	}
	var rows []*row
	var runs []func() (window, error)
	for _, l := range asked {
		add := func(r row, start func() (*target, error)) {
			r.place = place{Suite: "metadata", Request: l.name, Connections: metadataConnections}
			rows = append(rows, &r)
			runs = append(runs, func() (window, error) { return b.get(ctx, start, l) })
		}
		add(row{Server: httpFloor}, func() (*target, error) { return startHTTPFloor(ctx, l.answer) })
		add(row{Server: millrace}, func() (*target, error) { return startMillrace(ctx, b.binary, b.millraceSettings("")...) })
		for _, p := range b.opts.peers {
			if l.common {
				add(row{Server: p.name, Peer: p.name}, func() (*target, error) { return p.target(false), nil })
			}
		}
	}
	return b.measure(ctx, rows, func(i int) (window, error) { return runs[i]() })
}

// get measures a look-up by the server that start starts.
func (b *bench) get(ctx context.Context, start func() (*target, error), l lookUp) (window, error) {
	t, err := start()
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	return callChild(ctx, childLoad, loadSpec{
		URLs: []string{t.url + l.path}, Method: http.MethodGet, Accept: v2JSON, IfNoneMatch: l.etag, Status: l.answer.Status,
		Connections: metadataConnections, PID: t.pid, Metrics: t.metrics, Timing: b.opts.timing,
	})
}

// lookUps are all that is asked, with millrace's answers.
func (b *bench) lookUps(ctx context.Context, topic string) ([]lookUp, error) {
	t, err := startMillrace(ctx, b.binary, b.millraceSettings("")...)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	var all []lookUp
	for _, l := range []lookUp{
		{name: "GET /topics", path: "/topics", common: true},
		{name: "GET /topics/{topic}", path: "/topics/" + topic, common: true},
		{name: "GET /topics/{topic}/partitions", path: "/topics/" + topic + "/partitions", common: true},
		{name: "GET /brokers", path: "/brokers"},
	} {
		if l.answer, err = ask(ctx, t.url, l); err != nil {
			return nil, err
		}
		known := lookUp{name: l.name + ", If-None-Match", path: l.path, etag: l.answer.header("Etag")}
		if known.answer, err = ask(ctx, t.url, known); err != nil {
			return nil, err
		}
		all = append(all, l, known)
	}
	return all, nil
}

// ask sends a look-up as the load does, and returns the answer.
func ask(ctx context.Context, server string, l lookUp) (a floorAnswer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+l.path, nil)
	if err != nil {
		return a, fmt.Errorf("cannot %s: %w", l.name, err)
	}
	req.Header.Set("Accept", v2JSON)
	want := http.StatusOK
	if l.etag != "" {
		req.Header.Set("If-None-Match", l.etag)
		want = http.StatusNotModified
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: requestTimeout}
	resp, err := client.Do(req)
	if err != nil {
		return a, fmt.Errorf("cannot %s: %w", l.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	a = floorAnswer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, fmt.Errorf("cannot %s: %w", l.name, err)
	}
	if a.Status != want {
		return a, fmt.Errorf("cannot %s: status %d, not %d: %.200s", l.name, a.Status, want, a.Body)
	}
	for name, values := range resp.Header {
		switch name {
		case "Content-Type", "Content-Length", "Date", "Server", "Connection": // the floor has its own
		default:
			a.Headers = append(a.Headers, [2]string{name, strings.Join(values, ", ")})
		}
	}
	return a, nil
}

// header returns one of the answer's headers.
func (a *floorAnswer) header(name string) string {
	for _, h := range a.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}
