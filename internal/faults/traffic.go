package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// clients produce at the same time, each on a connection of its own.
	clients = 16
	// pause is what a client waits between two requests.
	pause = 40 * time.Millisecond
	// records of each request.
	records = 5
	// patience of a client: more than any node takes for an answer.
	patience = 60 * time.Second
)

// traffic is what clients do during a schedule.
type traffic struct {
	run_ *Run

	mu                            sync.Mutex
	requests, refused, unanswered int
	longest                       time.Duration
}

func newTraffic(r *Run) *traffic { return &traffic{run_: r} }

// run has all clients produce until ctx ends; each waits for its last answer.
func (tr *traffic) run(ctx context.Context) {
	var all sync.WaitGroup
	for id := range clients {
		all.Go(func() { tr.produce(ctx, id) })
	}
	all.Wait()
}

func (tr *traffic) produce(ctx context.Context, id int) {
	transport := &http.Transport{MaxConnsPerHost: 1}
	client := &http.Client{Transport: transport, Timeout: patience}
	defer transport.CloseIdleConnections()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		var b strings.Builder
		for i := range records {
			fmt.Fprintf(&b, `,{"partition":%d,"value":"%d-%d-%d"}`, n%partitions, id, n, i)
		}
		node := tr.run_.Nodes[id%len(tr.run_.Nodes)]
		tr.send(client, node.URL+"/topics/"+tr.run_.Topic, `{"records":[`+b.String()[1:]+`]}`)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (tr *traffic) send(client *http.Client, url, body string) {
	began := time.Now()
	resp, err := client.Post(url, "application/vnd.kafka.json.v2+json", strings.NewReader(body))
	var text []byte
	if err == nil {
		text, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	took := time.Since(began)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.requests++
	switch {
	case err != nil:
		tr.unanswered++
	case resp.StatusCode != http.StatusOK || strings.Count(string(text), `"error_code":null`) != records:
		tr.refused++
	}
	tr.longest = max(tr.longest, took)
}

func (tr *traffic) report(_ context.Context, into *Result) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	into.Requests, into.Refused, into.Unanswered, into.Longest = tr.requests, tr.refused, tr.unanswered, tr.longest
}
