package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
)

// numberedPosts posts events to routes, each numbered within its route.
type numberedPosts struct {
	t     *testing.T
	url   string
	acked map[string]int // events of each route, which are numbered from 0
}

// post posts an event of so many bytes, and reports whether it was accepted. Otherwise the disk is
// full.
func (p *numberedPosts) post(route string, bytes int) bool {
	p.t.Helper()
	status, text := ingestEvents(p.t, p.url+"/ingest/"+route, fmt.Sprintf(`{"n":%d,"pad":%q}`, p.acked[route], strings.Repeat("x", bytes)))
	switch {
	case status == http.StatusAccepted:
		p.acked[route]++
		return true
	case status != http.StatusServiceUnavailable || !strings.Contains(text, `"error_code":50321`):
		p.t.Fatalf("%s: %d %s", route, status, text)
	}
	return false
}

// fill posts to all routes in turn until none of them takes an event.
func (p *numberedPosts) fill(routes ...string) {
	p.t.Helper()
	testkit.Eventually(p.t, time.Minute, "the disk to be full", func() bool {
		took := false
		for _, route := range routes {
			took = p.post(route, 20<<10) || took
		}
		return !took
	})
}

// A full disk, while topics are set aside, refuses events and loses none that it has accepted, also
// across a kill. With room again, by a file that goes or by Kafka that takes events, it accepts.
func TestFullDiskWithTopicsAside(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.NumBrokers(3))
	topics := map[string]string{}
	routes := []string{"stuck-a", "stuck-b", "free"}
	text := "routes:\n"
	for node, route := range routes {
		topics[route] = testkit.CreateTopic(t, b.Broker, 1)
		if err := b.Cluster.MoveTopicPartition(topics[route], 0, int32(node)); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  %s: {topic: %s, ack: disk}\n", route, topics[route])
	}
	over := outage(b, 0, 1)
	disk := testkit.SmallDisk(t, 8<<20)
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--set=ingest.spool.dir=" + filepath.Join(disk, "spool"), "--set=ingest.routes.file=" + routesFile(t, text),
		"--set=producer.delivery.timeout.ms=1000", "--set=producer.request.timeout.ms=500",
	}
	node, url := serve(t, b.Broker, args...)
	p := &numberedPosts{t: t, url: url, acked: map[string]int{}}
	metric := func(line string) {
		t.Helper()
		testkit.Eventually(t, time.Minute, line, func() bool {
			_, text := call(t, "GET", p.url+"/metrics", "")
			return strings.Contains(text, "\n"+line+"\n")
		})
	}
	for _, route := range routes {
		p.post(route, 10)
	}
	metric("millrace_spool_aside_topics 2")
	p.fill(routes...)
	node.Signal(t, syscall.SIGKILL)
	node.WaitExit(t, time.Minute)
	_, p.url = serve(t, b.Broker, args...)
	p.fill(routes...)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		testkit.Eventually(t, time.Minute, "room for "+route, func() bool { return p.post(route, 10) })
	}
	p.fill(routes...)
	over()
	metric("millrace_spool_aside_topics 0")
	metric("millrace_spool_entries 0")
	for _, route := range routes {
		if !p.post(route, 10) {
			t.Errorf("%s takes no event, and the spool is empty", route)
		}
	}
	metric("millrace_spool_entries 0")
	for _, route := range routes {
		next := 0
		for _, r := range readAll(t, b.Broker, topics[route]) {
			var event struct{ N int }
			if err := json.Unmarshal(r.Value, &event); err != nil || event.N > next {
				t.Fatalf("%s: event %d comes before %d: %v", route, event.N, next, err)
			}
			next = max(next, event.N+1)
		}
		if next != p.acked[route] {
			t.Errorf("%s: %d events are in Kafka, and %d were acknowledged", route, next, p.acked[route])
		}
	}
	t.Logf("acknowledged: %v", p.acked)
}
