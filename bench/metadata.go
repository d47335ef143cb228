package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Names of the metadata suite's servers.
const millraceTopics = "millrace GET /topics"

// metadataSuite measures GET /topics, which is answered from memory, beside the
// HTTP floor with the same answer.
func (b *bench) metadataSuite(ctx context.Context) error {
	topic, err := b.cluster.newTopic(ctx) // so that the answer is never empty
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, topic)
	answer, err := b.topicsAnswer(ctx)
	if err != nil {
		return err
	}
	starts := []func() (*target, error){
		func() (*target, error) { return startHTTPFloor(ctx, answer) },
		func() (*target, error) { return startMillrace(ctx, b.binary, b.millraceSettings("")...) },
	}
	rows := []*row{
		{Suite: "metadata", Server: httpFloor, Connections: 64},
		{Suite: "metadata", Server: millraceTopics, Connections: 64},
	}
	return b.measure(ctx, rows, func(i int) (window, error) { return b.get(ctx, starts[i], rows[i].Connections) })
}

// get measures GET /topics of the server that start starts.
func (b *bench) get(ctx context.Context, start func() (*target, error), connections int) (window, error) {
	t, err := start()
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	return callChild(ctx, childLoad, loadSpec{
		URLs: []string{t.url + "/topics"}, Method: "GET", Accept: v2JSON,
		Connections: connections, PID: t.pid, Timing: b.opts.timing,
	})
}

// topicsAnswer is what millrace answers to GET /topics.
func (b *bench) topicsAnswer(ctx context.Context) ([]byte, error) {
	t, err := startMillrace(ctx, b.binary, b.millraceSettings("")...)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(t.url + "/topics")
	if err != nil {
		return nil, fmt.Errorf("cannot list topics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot list topics: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot list topics: status %d: %.200s", resp.StatusCode, body)
	}
	return body, nil
}
