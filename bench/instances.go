package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/internal/lab"
)

// Names of the rows of the instances suite.
const (
	emptyTopic = "an empty topic"
	fullTopic  = "a topic with records"
)

const (
	// manyInstances are idle, each the only member of its group; as many as
	// pollers of them are then polled at the same time.
	manyInstances, pollers = 1000, 200
	// pollTimeout is how long a poll waits, in milliseconds, and pollBytes how
	// much of a topic with records it reads.
	pollTimeout, pollBytes = 100, 1000
	// settleTime is more than an instance takes to notice that nobody reads it.
	settleTime = 10 * time.Second
)

// idleState is what many instances cost that nobody uses.
type idleState struct {
	Instances int `json:"instances"`
	// Fresh is the memory just after all have read once, RSS that after a while.
	Fresh       int64 `json:"fresh_rss_bytes"`
	RSS         int64 `json:"rss_bytes"`
	Goroutines  int   `json:"goroutines"`
	Connections int   `json:"connections"`
	// CPU is the share of a core.
	CPU float64 `json:"cpu"`
}

// instancesSuite measures what idle consumer instances cost, and how long polls
// take while there are many: of an empty topic, and of one that holds records,
// of which each instance has read a page.
func (b *bench) instancesSuite(ctx context.Context) error {
	values, err := b.values(b.opts.valueSize())
	if err != nil {
		return err
	}
	full, err := b.filledTopic(ctx, values)
	if err != nil {
		return err
	}
	empty, err := b.cluster.newTopic(ctx)
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, full, empty)
	at := place{Suite: "instances", Connections: pollers, ValueBytes: b.opts.valueSize()}
	rows := []*row{
		{place: at, Server: emptyTopic},
		{place: at, Server: fullTopic},
	}
	return b.measure(ctx, rows, func(i int) (window, error) { return b.holdInstances(ctx, []string{empty, full}[i]) })
}

func (b *bench) holdInstances(ctx context.Context, topic string) (window, error) {
	n, polled, settle := manyInstances, pollers, settleTime
	if b.opts.quick {
		n, polled, settle = 20, 10, b.opts.timing.Measured
	}
	t, err := startMillrace(ctx, b.binary, append(b.millraceSettings(""), "consumer.instances.max="+strconv.Itoa(n))...)
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	urls := make([]string, n)
	var all errgroup.Group
	all.SetLimit(16)
	for i := range urls {
		group := fmt.Sprintf("%s-%d-%d", topic, t.pid, i)
		urls[i] = fmt.Sprintf("%s/consumers/%s/instances/i", t.url, group)
		all.Go(func() error { return openInstance(ctx, t.url+"/consumers/"+group, urls[i], topic) })
	}
	if err := all.Wait(); err != nil {
		return window{}, err
	}
	idle := &idleState{Instances: n}
	fresh, err := lab.ReadUsage(t.pid)
	if err != nil {
		return window{}, err
	}
	idle.Fresh = fresh.RSS
	time.Sleep(settle)
	if err := idle.measure(ctx, t, b.opts.timing.Measured); err != nil {
		return window{}, err
	}
	for i := range urls {
		urls[i] += fmt.Sprintf("/records?timeout=%d&max_bytes=%d", pollTimeout, pollBytes)
	}
	w, err := callChild(ctx, childLoad, loadSpec{
		URLs: urls[:polled], OwnURL: true, Method: http.MethodGet, Accept: recordsV2JSON,
		Connections: polled, PID: t.pid, Timing: b.opts.timing,
	})
	w.Idle = idle
	return w, err
}

// recordsV2JSON is the type of records that JSON instances answer.
const recordsV2JSON = "application/vnd.kafka.json.v2+json"

// openInstance makes an instance of JSON records, subscribes it, and reads once.
func openInstance(ctx context.Context, group, url, topic string) error {
	for _, step := range []struct{ method, url, body string }{
		{http.MethodPost, group, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`},
		{http.MethodPost, url + "/subscription", `{"topics":["` + topic + `"]}`},
		{http.MethodGet, fmt.Sprintf("%s/records?max_bytes=%d", url, pollBytes), ""},
	} {
		req, err := http.NewRequestWithContext(ctx, step.method, step.url, strings.NewReader(step.body))
		if err != nil {
			return fmt.Errorf("cannot make an instance: %w", err)
		}
		req.Header.Set("Content-Type", v2JSON)
		if step.body == "" {
			req.Header.Set("Accept", recordsV2JSON)
		}
		if _, err := fetchBody(req); err != nil {
			return fmt.Errorf("cannot make an instance: %w", err)
		}
	}
	return nil
}

func fetchBody(req *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	return body, err
}

// measure looks at the server for a while.
func (s *idleState) measure(ctx context.Context, t *target, during time.Duration) error {
	before, err := lab.ReadUsage(t.pid)
	if err != nil {
		return err
	}
	time.Sleep(during)
	after, err := lab.ReadUsage(t.pid)
	if err != nil {
		return err
	}
	s.CPU, s.RSS = (after.CPU-before.CPU).Seconds()/during.Seconds(), after.RSS
	if s.Connections, err = lab.Sockets(t.pid); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/metrics", nil)
	if err != nil {
		return fmt.Errorf("cannot count goroutines: %w", err)
	}
	text, err := fetchBody(req)
	if err != nil {
		return fmt.Errorf("cannot count goroutines: %w", err)
	}
	_, value, ok := bytes.Cut(text, []byte("\ngo_goroutines "))
	if _, err := fmt.Sscan(string(value), &s.Goroutines); !ok || err != nil {
		return fmt.Errorf("cannot count goroutines: the metrics do not say: %w", err)
	}
	return nil
}
