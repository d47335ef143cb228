package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
	"millrace/metadata"
)

// fleet is a number of clients that poll metadata.
type fleet struct {
	pollers int
	every   time.Duration // one poller's interval
	lasting time.Duration
	slowest time.Duration // bound of the 99th percentile, on a machine that does nothing else
}

// TestPollers has many clients poll the cluster's metadata, each with its last ETag. The brokers'
// load does not depend on them. With MILLRACE_POLLERS=full it is 1,000 clients, once a second
// each, for 30 seconds; otherwise as many requests a second, of fewer clients, for a shorter
// time.
func TestPollers(t *testing.T) {
	testkit.Long(t)
	f := fleet{pollers: 200, every: 200 * time.Millisecond, lasting: 5 * time.Second, slowest: time.Minute}
	if os.Getenv("MILLRACE_POLLERS") == "full" {
		f = fleet{pollers: 1000, every: time.Second, lasting: 30 * time.Second, slowest: 10 * time.Millisecond}
	}
	topics := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	b := testkit.Fake(t, kfake.NumBrokers(3), kfake.SeedTopics(6, topics...))
	s := start(t, b.Broker, func(o *stackOptions) {
		o.metadata = metadata.DefaultSettings()
		o.server.MaxConnections = f.pollers + 10
	})
	var asked atomic.Int64
	b.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	var mu sync.Mutex
	var took []time.Duration
	statuses := map[int]int{}
	var all sync.WaitGroup
	conns := make([]net.Conn, f.pollers)
	for i := range conns {
		conns[i] = s.raw(t)
		conns[i].SetDeadline(time.Now().Add(f.lasting + time.Minute))
	}
	began := time.Now()
	for i, conn := range conns {
		path := []string{"/topics", "/brokers", "/topics/", "/topics/", "/topics/"}[i%5]
		if path == "/topics/" {
			path += topics[i%len(topics)] + []string{"", "/partitions", "/partitions/4"}[i%3]
		}
		first := began.Add(f.every * time.Duration(i) / time.Duration(f.pollers))
		all.Go(func() {
			times, got, err := f.poll(conn, path, first)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			took = append(took, times...)
			for status, n := range got {
				statuses[status] += n
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	n := len(took)
	requests, unchanged, lasted := asked.Load(), float64(statuses[304])/float64(n), time.Since(began)
	t.Logf("%d pollers, %d answers in %v: %d metadata requests at the brokers, %.1f %% answered 304, p50 %v, p99 %v, max %v",
		f.pollers, n, lasted.Round(time.Millisecond), requests, 100*unchanged, took[n/2], took[n*99/100], took[n-1])
	if most := int64(2 * lasted / time.Second); requests > most || requests == 0 {
		t.Errorf("%d metadata requests at the brokers, want 1 to %d", requests, most)
	}
	if unchanged < .95 || statuses[200]+statuses[304] != n {
		t.Errorf("answers by status: %v", statuses)
	}
	if p99 := took[n*99/100]; p99 > f.slowest {
		t.Errorf("p99 is %v, want %v", p99, f.slowest)
	}
}

// poll polls path from first on, and returns how long after its due time each response arrived.
func (f *fleet) poll(conn net.Conn, path string, first time.Time) (took []time.Duration, statuses map[int]int, err error) {
	statuses = map[int]int{}
	answers := bufio.NewReader(conn)
	tag := ""
	for at := first; at.Before(first.Add(f.lasting)); at = at.Add(f.every) {
		<-time.After(time.Until(at))
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, tag); err != nil {
			return took, statuses, err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return took, statuses, err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return took, statuses, err
		}
		took = append(took, time.Since(at))
		statuses[resp.StatusCode]++
		tag = "If-None-Match: " + resp.Header.Get("ETag") + "\r\n"
	}
	return took, statuses, nil
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	names := make([]string, 200) // enough to be compressed
	for i := range names {
		names[i] = fmt.Sprintf("topic-%03d", i)
	}
	s := start(t, testkit.Fake(t, kfake.SeedTopics(2, names...)).Broker)
	for _, path := range []string{
		"/topics", "/brokers", "/topics/topic-000", "/topics/topic-000/partitions", "/topics/topic-000/partitions/1", "/topics/topic-000/partitions/1/offsets",
	} {
		full := s.do(t, "GET", path, "").want(t, 200, "")
		tag := full.header.Get("ETag")
		if len(tag) < 10 || tag[0] != '"' || tag[len(tag)-1] != '"' || full.header.Get("Cache-Control") != "no-cache" {
			t.Fatalf("%s: ETag %s, Cache-Control %s", path, tag, full.header.Get("Cache-Control"))
		}
		// A new view is taken meanwhile, without a change.
		s.do(t, "GET", path+"?max_age=0", "").want(t, 200, "")
		for _, same := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			r := s.do(t, "GET", path, "", "If-None-Match: "+same).want(t, 304, "")
			if r.body != "" || r.header.Get("ETag") != tag || r.header.Get("Cache-Control") != "no-cache" || r.header.Get("Content-Type") != "" {
				t.Errorf("%s, If-None-Match %s: %q %v", path, same, r.body, r.header)
			}
		}
		s.do(t, "HEAD", path, "", "If-None-Match: "+tag).want(t, 304, "")
		for _, other := range []string{`"other"`, `""`, "x"} {
			if r := s.do(t, "GET", path, "", "If-None-Match: "+other).want(t, 200, ""); r.body != full.body || r.header.Get("ETag") != tag {
				t.Errorf("%s, If-None-Match %s: %q %v", path, other, r.body, r.header)
			}
		}
	}
	packed := s.do(t, "GET", "/topics", "", "Accept-Encoding: gzip").want(t, 200, "")
	tag := packed.header.Get("ETag")
	if !strings.HasSuffix(tag, `-gzip"`) || packed.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("compressed: %v", packed.header)
	}
	if r := s.do(t, "GET", "/topics", "", "Accept-Encoding: gzip", "If-None-Match: "+tag).want(t, 304, ""); r.header.Get("ETag") != tag {
		t.Errorf("a cache that has %s is told of %s", tag, r.header.Get("ETag"))
	}
}

// max_age makes the node ask the brokers where the cached view would do.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	s := start(t, b.Broker, func(o *stackOptions) { o.metadata.MaxAge = time.Hour })
	s.do(t, "GET", "/topics", "").want(t, 200, `["t"]`)
	createElsewhere(t, b.Broker, "new")
	s.do(t, "GET", "/topics", "").want(t, 200, `["t"]`)
	s.do(t, "GET", "/topics?max_age=1h", "").want(t, 200, `["t"]`)
	s.do(t, "GET", "/topics?max_age=0", "").want(t, 200, `["new","t"]`)
	s.do(t, "GET", "/topics", "").want(t, 200, `["new","t"]`)
	s.do(t, "GET", "/brokers?max_age=500", "").want(t, 200, "brokers")
	for _, bad := range []string{"max_age=", "max_age=soon", "max_age=-1", "wait=x", "wait=1s", "wait=x,", "wait=x,-1s"} {
		s.do(t, "GET", "/topics?"+bad, "").want(t, 400, `"error_code":400`)
	}
}

// createElsewhere creates a topic by another client than the node.
func createElsewhere(t *testing.T, b testkit.Broker, topic string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = topic, 1, 1
	req.Topics = append(req.Topics, one)
	if _, err := req.RequestWith(t.Context(), testkit.Client(t, b)); err != nil {
		t.Fatal(err)
	}
}

// A request waits for its resource to change, no longer than its wait parameter.
func TestWait(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	s := start(t, b.Broker)
	waiting := func(path, tag string) chan reply {
		done := make(chan reply, 1)
		go func() {
			r, err := s.try("GET", path+"?wait="+strings.Trim(tag, `"`)+",20s", "")
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		return done
	}
	tagOf := func(path string) string { return s.do(t, "GET", path, "").want(t, 200, "").header.Get("ETag") }
	const ends = "/topics/t/partitions/0/offsets"
	topics, offsets := waiting("/topics", tagOf("/topics")), waiting(ends, tagOf(ends))
	began := time.Now()
	old := tagOf("/topics")
	if r := s.do(t, "GET", "/topics?wait=50ms", "", "If-None-Match: "+old).want(t, 304, ""); time.Since(began) < 50*time.Millisecond || r.header.Get("ETag") != old {
		t.Errorf("answered after %v with %v", time.Since(began), r.header)
	}
	s.do(t, "POST", "/topics/t", `{"records":[{"value":1}]}`, jsonV2).want(t, 200, "")
	(<-offsets).want(t, 200, `"end_offset":1`)
	createElsewhere(t, b.Broker, "new")
	(<-topics).want(t, 200, `["new","t"]`)
	s.do(t, "GET", "/topics?wait="+strings.Trim(old, `"`)+",20s", "").want(t, 200, `["new","t"]`) // another one already

	last := waiting("/topics", tagOf("/topics"))
	testkit.Eventually(t, 10*time.Second, "the request to wait", func() bool { return s.metadata.Stats().Waiting == 1 })
	draining := time.Now()
	s.server.Drain()
	if r := (<-last).want(t, 304, ""); time.Since(draining) > 10*time.Second { // half of what it waits otherwise
		t.Errorf("a drain is held up: %v", r)
	}
}

func TestWaitersBound(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	s := start(t, b.Broker, func(o *stackOptions) { o.metadata.MaxWaiters = 1 })
	events := s.changes(t)
	events.want(t, "start")
	tag := strings.Trim(s.do(t, "GET", "/topics", "").header.Get("ETag"), `"`)
	s.do(t, "GET", "/topics?wait="+tag+",1s", "").want(t, 429, `"error_code":42903`)
	other := s.changes(t)
	if data := other.want(t, "error"); !strings.Contains(data, `"error_code":42903`) {
		t.Errorf("the second stream says %s", data)
	}
	events.close()
	made := 0
	testkit.Eventually(t, 40*time.Second, "the stream to be given up", func() bool {
		made++
		createElsewhere(t, b.Broker, fmt.Sprintf("made-%d", made)) // something to write
		return s.metadata.Stats().Waiting == 0
	})
	tag = strings.Trim(s.do(t, "GET", "/topics?max_age=0", "").header.Get("ETag"), `"`)
	s.do(t, "GET", "/topics?wait="+tag+",10ms", "").want(t, 304, "")
}

// changeEvents are those of GET /metadata/changes.
type changeEvents struct {
	lines *bufio.Scanner
	close func()
}

func (s *stack) changes(t *testing.T, headers ...string) *changeEvents {
	t.Helper()
	f := s.follow(t, "/metadata/changes", headers...)
	if f.resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(f.resp.Header)
	}
	return &changeEvents{f.in, f.close}
}

// next returns the next event.
func (e *changeEvents) next(t *testing.T) (name, data string) {
	t.Helper()
	for e.lines.Scan() {
		if name, ok := strings.CutPrefix(e.lines.Text(), "event: "); ok && e.lines.Scan() {
			return name, strings.TrimPrefix(e.lines.Text(), "data: ")
		}
	}
	t.Fatalf("no event: %v", e.lines.Err())
	return "", ""
}

// want returns the data of the next event, which must have that name.
func (e *changeEvents) want(t *testing.T, want string) string {
	t.Helper()
	name, data := e.next(t)
	if name != want {
		t.Fatalf("event %s %s, want %s", name, data, want)
	}
	return data
}

func TestChanges(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "old", "t"))
	s := start(t, b.Broker)
	events := s.changes(t)
	tag := s.do(t, "GET", "/topics", "").header.Get("ETag")
	if data := events.want(t, "start"); !strings.Contains(data, strings.Trim(tag, `"`)) {
		t.Errorf("starts with %s, the topics have %s", data, tag)
	}
	f := func(want string) {
		t.Helper()
		if data := events.want(t, "topics"); data != want {
			t.Errorf("got %s, want %s", data, want)
		}
	}
	s.do(t, "POST", "/topics/made", `{"records":[{"value":1}]}`, jsonV2).want(t, 200, "")
	f(`{"created":["made"],"deleted":[],"changed":[]}`)
	createElsewhere(t, b.Broker, "new")
	f(`{"created":["new"],"deleted":[],"changed":[]}`)
	cl := testkit.Client(t, b.Broker)
	remove(t, cl, "old")
	f(`{"created":[],"deleted":["old"],"changed":[]}`)
	grow(t, cl, "t", 3)
	f(`{"created":[],"deleted":[],"changed":["t"]}`)
	node, _, err := b.AddNode(-1, 0)
	if err != nil {
		t.Fatal(err)
	}
	name, data := events.next(t)
	if name == "topics" { // one more broker, so more replicas
		name, data = events.next(t)
	}
	if name != "brokers" || data != fmt.Sprintf(`{"brokers":[0,%d]}`, node) {
		t.Errorf("event %s %s", name, data)
	}
	s.server.Drain()
	for events.lines.Scan() { // ends
	}
	if err := events.lines.Err(); err != nil {
		t.Error(err)
	}
}

func remove(t *testing.T, cl *kgo.Client, topic string) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = kmsg.StringPtr(topic)
	req.TopicNames, req.Topics = append(req.TopicNames, topic), append(req.Topics, one)
	if _, err := req.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, cl *kgo.Client, topic string, partitions int32) {
	t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	one := kmsg.NewCreatePartitionsRequestTopic()
	one.Topic, one.Count = topic, partitions
	req.Topics = append(req.Topics, one)
	if _, err := req.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
}

// While no broker responds, cached answers are returned with their age.
func TestStale(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	s := start(t, b.Broker, func(o *stackOptions) { o.metadata.StaleFor = time.Hour })
	paths := []string{"/topics", "/brokers", "/topics/t", "/topics/t/partitions", "/topics/t/partitions/0"}
	fresh := map[string]reply{}
	for _, path := range paths {
		fresh[path] = s.do(t, "GET", path, "").want(t, 200, "")
		if h := fresh[path].header; h.Get("Warning") != "" || h.Get("Age") != "" {
			t.Errorf("%s: fresh, but %v", path, h)
		}
	}
	b.Close()
	testkit.Eventually(t, 10*time.Second, "readiness to be off", func() bool {
		return s.do(t, "GET", "/readyz", "").status == 503
	})
	began := time.Now()
	for _, path := range paths {
		was := fresh[path]
		r := s.do(t, "GET", path, "").want(t, 200, "")
		if r.body != was.body || r.header.Get("ETag") != was.header.Get("ETag") || r.header.Get("Warning") != `110 - "Response is Stale"` || r.header.Get("Age") == "" {
			t.Errorf("%s: %s %v", path, r.body, r.header)
		}
		if r := s.do(t, "GET", path, "", "If-None-Match: "+was.header.Get("ETag")).want(t, 304, ""); r.header.Get("Warning") == "" {
			t.Errorf("%s: 304 %v", path, r.header)
		}
	}
	for _, path := range []string{"/topics/unknown", "/topics/t/partitions/0/offsets"} {
		s.do(t, "GET", path, "").want(t, 503, `{"error_code":50303,`)
	}
	if took := time.Since(began); took > 8*time.Second { // one request that waits takes 10 s
		t.Errorf("the answers took %v", took)
	}
	s.do(t, "GET", "/metrics", "").want(t, 200, "millrace_http_requests_total")
}
