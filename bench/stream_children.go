package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/lab"
)

// streamClient reads the streams of a topic.
type streamClient struct {
	spec   fetchSpec
	accept string
	dataAt []byte // what a line begins with that has a record
	buf    []byte
}

func newStreamClient(spec fetchSpec) *streamClient {
	c := &streamClient{spec: spec, accept: "application/x-ndjson", buf: make([]byte, 1<<20)}
	if spec.Events {
		c.accept, c.dataAt = "text/event-stream", []byte("data: ")
	}
	return c
}

// runStreamClient reads a topic from its beginning, again and again.
func runStreamClient(spec fetchSpec) (window, error) {
	return spec.passes(spec.PID, newStreamClient(spec).pass)
}

// open begins a stream.
func (c *streamClient) open(ctx context.Context, from string) (*bufio.Scanner, func() error, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.spec.URL+"/topics/"+c.spec.Topic+"/stream?from="+from, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot ask for a stream: %w", err)
	}
	req.Header.Set("Accept", c.accept)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open a stream: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, errors.Join(fmt.Errorf("cannot open a stream: status %d", resp.StatusCode), resp.Body.Close())
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(c.buf, len(c.buf))
	return lines, resp.Body.Close, nil
}

// next reads up to the next record, which must have this offset.
func (c *streamClient) next(lines *bufio.Scanner, offset int) error {
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), c.dataAt)
		if !ok || len(data) == 0 {
			continue
		}
		if last := fmt.Appendf(nil, `"offset":%d}`, offset); !bytes.HasSuffix(data, last) {
			return fmt.Errorf("cannot count what was streamed: offset %d should be in %s", offset, data[max(0, len(data)-60):])
		}
		return nil
	}
	return fmt.Errorf("cannot read a stream to offset %d: it ended: %w", offset, lines.Err())
}

// pass reads the topic once.
func (c *streamClient) pass(h *lab.Histogram) (reads int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	began := time.Now()
	lines, end, err := c.open(ctx, "beginning")
	if err != nil {
		return 0, err
	}
	defer func() { _ = end() }() // in the middle of a stream
	for offset := range c.spec.Records {
		if err := c.next(lines, offset); err != nil {
			return 0, err
		}
	}
	h.Add(time.Since(began))
	return 1, nil
}

// runStreamLive writes records one at a time, with a pause, and measures how
// long each takes from then to the stream's client. It reports each as a request.
func runStreamLive(spec fetchSpec) (window, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(spec.Brokers...), kgo.ProducerLinger(0))
	if err != nil {
		return window{}, err
	}
	defer client.Close()
	c := newStreamClient(spec)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines, end, err := c.open(ctx, "end")
	if err != nil {
		return window{}, err
	}
	defer func() { _ = end() }()
	const every = 5 * time.Millisecond
	offset := 0
	own := spec
	own.Records = max(int(spec.Timing.Measured/every), 1)
	return own.passes(spec.PID, func(h *lab.Histogram) (int, error) {
		for range own.Records {
			began := time.Now()
			r := &kgo.Record{Topic: spec.Topic, Value: fmt.Appendf(nil, `{"n":%d}`, offset)}
			client.Produce(ctx, r, nil)
			if err := c.next(lines, offset); err != nil {
				return 0, err
			}
			offset++
			h.Add(time.Since(began))
			time.Sleep(every)
		}
		return own.Records, nil
	})
}
