package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// The broker dies, or stands still, under clients that produce over 32 connections. Each of them
// learns within the time that it takes to know, and its status is true: what was answered with
// 200 is in Kafka once, what was answered with 503 is not, and only 504 leaves it open, without
// asking for a retry. When the broker is back the next request succeeds.
func TestProduceDuringOutage(t *testing.T) {
	t.Parallel()
	for _, outage := range []struct {
		name       string
		begin, end func(t *testing.T, k *testkit.Kafka)
	}{
		{"killed", func(_ *testing.T, k *testkit.Kafka) { k.Kill() }, func(t *testing.T, k *testkit.Kafka) { k.Start(t) }},
		{"suspended", func(_ *testing.T, k *testkit.Kafka) { k.Suspend() }, func(_ *testing.T, k *testkit.Kafka) { k.Resume() }},
	} {
		t.Run(outage.name, func(t *testing.T) {
			k := testkit.StartKafka(t, testkit.KafkaOptions{})
			_, url := serve(t, k.Broker, "--set=broker.silence.limit.ms=2000")
			topic := testkit.CreateTopic(t, k.Broker, 4)
			pool := startOutagePool(url+"/topics/"+topic, outageClients)
			defer pool.stop()
			testkit.Eventually(t, 60*time.Second, "all connections to have written", func() bool { return pool.count(200, time.Time{}) >= 200 })
			began := time.Now()
			outage.begin(t, k)
			testkit.Eventually(t, 60*time.Second, "all clients to have heard of it", func() bool {
				return pool.count(503, began)+pool.count(504, began) >= 2*outageClients
			})
			ended := time.Now()
			outage.end(t, k)
			back := time.Now()
			testkit.Eventually(t, 60*time.Second, "a record to be written again", func() bool { return pool.count(200, ended) > 0 })
			first := pool.firstWritten(ended).Sub(back)
			pool.stop()
			pool.report(t, began, ended)
			t.Logf("first 200 %v after the broker is back", first)
			pool.check(t, k.Broker, topic, began)
		})
	}
}

const (
	outageClients = 32
	outagePause   = 5 * time.Millisecond
	// heardWithin is far above the second or two that it takes, for a busy machine, and far below
	// produce.timeout.ms.
	heardWithin = 15 * time.Second
)

// sentRecord is one request of one record, and what came of it.
type sentRecord struct {
	value      string
	began      time.Time
	took       time.Duration
	status     int
	retryAfter string
	body       string
}

// outagePool is clients that produce one record after the other, each with a value of its own.
type outagePool struct {
	url    string
	client *http.Client
	quit   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup

	mu   sync.Mutex
	sent []sentRecord
}

func startOutagePool(url string, clients int) *outagePool {
	p := &outagePool{url: url, quit: make(chan struct{}), client: &http.Client{Transport: &http.Transport{MaxConnsPerHost: clients, MaxIdleConnsPerHost: clients}}}
	for c := range clients {
		p.wg.Go(func() {
			pause := outagePause
			for n := 0; ; n++ {
				select {
				case <-p.quit:
					return
				case <-time.After(pause):
				}
				pause = outagePause
				if p.send(fmt.Sprintf("%d-%d", c, n)) != http.StatusOK {
					pause *= 20 // who has heard of the outage only looks when it is over
				}
			}
		})
	}
	return p
}

// send sends a record and returns the status.
func (p *outagePool) send(value string) int {
	r := sentRecord{value: value, began: time.Now()}
	resp, err := p.client.Post(p.url, "application/vnd.kafka.json.v2+json", strings.NewReader(`{"records":[{"value":"`+value+`"}]}`))
	if err == nil {
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		r.status, r.retryAfter, r.body = resp.StatusCode, resp.Header.Get("Retry-After"), string(text)
		if r.status == 200 && strings.Contains(r.body, `"error_code":5`) {
			r.status = 0
			_, _ = fmt.Sscanf(r.body[strings.Index(r.body, `"error_code":5`):], `"error_code":%d`, &r.status)
		}
	}
	r.took = time.Since(r.began)
	p.mu.Lock()
	p.sent = append(p.sent, r)
	p.mu.Unlock()
	return r.status
}

func (p *outagePool) stop() {
	p.once.Do(func() { close(p.quit) })
	p.wg.Wait()
	p.client.CloseIdleConnections()
}

// count returns how many requests were answered with the status after a time.
func (p *outagePool) count(status int, after time.Time) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.sent {
		if r.status == status && r.began.Add(r.took).After(after) {
			n++
		}
	}
	return n
}

func (p *outagePool) firstWritten(since time.Time) (first time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.sent {
		if at := r.began.Add(r.took); r.status == 200 && at.After(since) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// report logs how long the requests of the outage waited, by status.
func (p *outagePool) report(t *testing.T, began, ended time.Time) {
	took := map[int][]time.Duration{}
	for _, r := range p.sent {
		if r.began.Add(r.took).After(began) && r.began.Before(ended) {
			took[r.status] = append(took[r.status], r.took)
		}
	}
	for status, all := range took {
		slices.Sort(all)
		t.Logf("%d: %d requests, p50 %v, max %v", status, len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	}
}

// check compares what was answered with the log, and the waits with heardWithin.
func (p *outagePool) check(t *testing.T, b testkit.Broker, topic string, began time.Time) {
	found := map[string]int{}
	for _, r := range testkit.ReadTopic(t, b, topic, recordsIn(t, b, topic)) {
		var value string
		if err := json.Unmarshal(r.Value, &value); err != nil {
			t.Fatal(err)
		}
		found[value]++
	}
	unknown := map[bool]int{} // records of a 504, by whether they are in Kafka
	for _, r := range p.sent {
		n := found[r.value]
		switch {
		case r.status == 200 && n != 1:
			t.Errorf("record %s was acked and is in Kafka %d times", r.value, n)
		case r.status == 503 && n != 0:
			t.Errorf("record %s was refused and is in Kafka %d times: %s", r.value, n, r.body)
		case r.status == 503 && r.retryAfter == "":
			t.Errorf("503 without Retry-After: %s", r.body)
		case r.status == 504 && (r.retryAfter != "" || !strings.Contains(r.body, `"error_code":50401`)):
			t.Errorf("504 with Retry-After %q: %s", r.retryAfter, r.body)
		case r.status != 200 && r.status != 503 && r.status != 504:
			t.Errorf("status %d: %s", r.status, r.body)
		}
		if r.status == 504 {
			unknown[n > 0]++
		}
		if r.took > heardWithin {
			t.Errorf("record %s waited %v for its %d, begun %v after the outage", r.value, r.took, r.status, r.began.Sub(began))
		}
	}
	t.Logf("answered with 504: %d in Kafka, %d not", unknown[true], unknown[false])
}

// recordsIn returns how many records a topic without transactions has.
func recordsIn(t *testing.T, b testkit.Broker, topic string) (n int) {
	ends, err := kadm.NewClient(testkit.Client(t, b)).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) { n += int(end.Offset) })
	return n
}
