package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// The proof of the spool's promise, by `make outage`.
const (
	outageWriters  = 50
	outageRate     = 5000 // events a second, of all writers
	outageTime     = 60 * time.Second
	kafkaDies      = 20 * time.Second
	millraceDies   = 30 * time.Second
	kafkaReturns   = 40 * time.Second
	outageResident = 96 << 20
	outageBatch    = 500 // events of a request at most
)

// Kafka is killed for 20 s under 5,000 events a second from 50 clients, and millrace is killed
// during the outage and started again. Each event that a route with ack kafka or disk has answered
// with 2xx is in Kafka in the end, those of a key in their order.
func TestEventsOutliveAnOutage(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_OUTAGE", "The outage of events takes two minutes: make outage")
	k := testkit.StartKafka(t, testkit.KafkaOptions{})
	topics := map[string]string{"disk": testkit.CreateTopic(t, k.Broker, 6), "kafka": testkit.CreateTopic(t, k.Broker, 6)}
	args := []string{
		"--set=listeners=http://" + freeAddr(t), "--set=ingest.spool.dir=" + t.TempDir(),
		"--set=ingest.routes.file=" + routesFile(t, "routes:\n  disk: {topic: "+topics["disk"]+", key: {pointer: /w}, ack: disk}\n  kafka: {topic: "+topics["kafka"]+", key: {pointer: /w}}\n"),
	}
	p, url := serve(t, k.Broker, args...)
	began := time.Now()
	until := func(at time.Duration) { <-time.After(time.Until(began.Add(at))) }
	writers := make([]*eventWriter, outageWriters)
	var working sync.WaitGroup
	for i := range writers {
		route := "disk"
		if i%2 == 1 {
			route = "kafka"
		}
		writers[i] = &eventWriter{id: i, route: route, url: url + "/ingest/" + route, began: began}
		working.Go(writers[i].run)
	}
	until(kafkaDies)
	k.Kill()
	until(millraceDies)
	_, peak := p.Resident(t)
	p.Signal(t, syscall.SIGKILL)
	p.WaitExit(t, time.Minute)
	p, _ = serve(t, k.Broker, args...)
	until(kafkaReturns)
	spooled := scrape(t, url).sum(t, "millrace_spool_bytes")
	before := scrape(t, url).sum(t, "millrace_ingest_forwarded_events_total")
	k.Start(t)
	back := time.Now()
	replayed := replay(t, url, back, before)
	working.Wait()
	testkit.Eventually(t, 2*time.Minute, "an empty spool", func() bool { return scrape(t, url).sum(t, "millrace_spool_entries") == 0 })
	_, second := p.Resident(t)
	if peak = max(peak, second); peak > outageResident {
		t.Errorf("the node took %d MB", peak>>20)
	}
	t.Logf("memory at most %d MB; the spool held %.1f MB; replay %s", peak>>20, spooled/1e6, replayed)
	for _, route := range []string{"disk", "kafka"} {
		checkOutage(t, k.Broker, route, topics[route], writers)
	}
	t.Logf("disk, without Kafka's part: %s", diskThroughput(t, url))
}

// replay waits until the spool has been replayed, and tells how fast that was.
func replay(t *testing.T, url string, back time.Time, before float64) string {
	t.Helper()
	var first, last time.Time
	var events float64
	testkit.Eventually(t, 2*time.Minute, "the spool to be replayed", func() bool {
		m := scrape(t, url)
		if events = m.sum(t, "millrace_ingest_forwarded_events_total") - before; events > 0 && first.IsZero() {
			first = time.Now()
		}
		last = time.Now()
		return events > 0 && m.sum(t, "millrace_spool_oldest_seconds") < 1
	})
	return fmt.Sprintf("of %.0f events in %.1f s, %.0f a second, that began %.1f s after Kafka was back",
		events, last.Sub(first).Seconds(), events/max(last.Sub(first).Seconds(), 0.1), first.Sub(back).Seconds())
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventWriter posts events at its part of the rate, one request after another, and sends a request
// again until it is answered with 2xx.
type eventWriter struct {
	id         int
	route, url string
	began      time.Time
	acked      int // events; they are numbered from 0
	requests   int
	again      int // requests that were sent again
	took       []time.Duration
}

func (w *eventWriter) run() {
	for {
		due := int(time.Since(w.began).Seconds() * outageRate / outageWriters)
		due = min(due, int(outageTime.Seconds()*outageRate/outageWriters), w.acked+outageBatch)
		if due == w.acked && time.Since(w.began) > outageTime {
			return
		}
		if due-w.acked < 10 && time.Since(w.began) < outageTime {
			<-time.After(10 * time.Millisecond) // the events do not exist yet
			continue
		}
		for body := w.events(due); !w.post(body); w.again++ {
			<-time.After(50 * time.Millisecond) // as a client does that is told to wait
		}
		w.acked = due
	}
}

func (w *eventWriter) events(to int) string {
	var body strings.Builder
	for n := w.acked; n < to; n++ {
		fmt.Fprintf(&body, "{\"w\":\"w%d\",\"n\":%d,\"pad\":\"%0128d\"}\n", w.id, n, n)
	}
	return body.String()
}

func (w *eventWriter) post(body string) bool {
	begun := time.Now()
	w.requests++
	resp, err := http.Post(w.url, "application/x-ndjson", strings.NewReader(body))
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		return false
	}
	w.took = append(w.took, time.Since(begun))
	return true
}

// checkOutage compares what the writers of a route know with what its topic has.
func checkOutage(t *testing.T, b testkit.Broker, route, topic string, writers []*eventWriter) {
	t.Helper()
	seen := make([]map[int]int, len(writers))
	last := make([]int, len(writers))
	for i := range seen {
		seen[i], last[i] = map[int]int{}, -1
	}
	doubles := 0
	for _, r := range readAll(t, b, topic) {
		var w, n int
		if _, err := fmt.Sscanf(string(r.Value), `{"w":"w%d","n":%d,`, &w, &n); err != nil || string(r.Key) != "w"+strconv.Itoa(w) {
			t.Fatalf("the record %q has the key %q: %v", r.Value, r.Key, err)
		}
		if seen[w][n]++; seen[w][n] > 1 {
			doubles++
		} else if n != last[w]+1 {
			t.Errorf("%s: event %d of writer %d comes after %d", route, n, w, last[w])
		} else {
			last[w] = n
		}
	}
	acked, requests, again := 0, 0, 0
	var took []time.Duration
	for _, w := range writers {
		if w.route != route {
			continue
		}
		acked, requests, again, took = acked+w.acked, requests+w.requests, again+w.again, append(took, w.took...)
		for n := range w.acked {
			if seen[w.id][n] == 0 {
				t.Errorf("%s: event %d of writer %d is lost", route, n, w.id)
			}
		}
	}
	slices.Sort(took)
	t.Logf("%s: %d events acknowledged, all in Kafka, %d more than once; %d requests, %d sent again; answered in p50 %v, p99 %v, at most %v",
		route, acked, doubles, requests, again, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// diskThroughput posts requests of 100 events from all writers for five seconds, as fast as they
// are answered.
func diskThroughput(t *testing.T, url string) string {
	t.Helper()
	const each, lasts = 100, 5 * time.Second
	began := time.Now()
	writers := make([]*eventWriter, outageWriters)
	var working sync.WaitGroup
	for i := range writers {
		w := &eventWriter{id: i, url: url + "/ingest/disk"}
		writers[i] = w
		working.Go(func() {
			for time.Since(began) < lasts {
				if w.post(w.events(w.acked + each)) {
					w.acked += each
				}
			}
		})
	}
	working.Wait()
	acked := 0
	var took []time.Duration
	for _, w := range writers {
		acked, took = acked+w.acked, append(took, w.took...)
	}
	slices.Sort(took)
	return fmt.Sprintf("%.0f events a second by requests of %d, answered in p50 %v, p99 %v", float64(acked)/time.Since(began).Seconds(), each, took[len(took)/2], took[len(took)*99/100])
}

// The entry that a route with a fallback keeps for the disk, while Kafka is asked, counts as the
// body of its request.
func TestFallbackCopyIsCharged(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	_, url := serve(t, b.Broker, "--set=ingest.spool.dir="+t.TempDir(), "--set=ingest.routes.file="+routesFile(t, `routes:
  safe: {topic: `+topic+`, fallback: disk}
`))
	came, answer := make(chan struct{}), make(chan struct{})
	b.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(came)
		b.Cluster.SleepControl(func() { <-answer })
		return nil, nil, false
	})
	const size = 500_000
	answered := make(chan int, 1)
	go func() {
		status, _ := ingestEvents(t, url+"/ingest/safe", `"`+strings.Repeat("x", size)+`"`)
		answered <- status
	}()
	<-came
	_, text := call(t, "GET", url+"/metrics", "")
	close(answer)
	held := 0
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "millrace_http_request_buffer_bytes "); ok {
			held, _ = strconv.Atoi(strings.TrimSpace(n))
		}
	}
	if held < size {
		t.Errorf("the buffers of bodies have %d bytes while Kafka is asked, want %d", held, size)
	}
	if status := <-answered; status != 200 {
		t.Errorf("the answer is %d", status)
	}
}
