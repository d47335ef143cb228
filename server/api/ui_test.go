package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server/ops"
	"millrace/server/ui"
)

func withUI(o *stackOptions) { o.ui = true }

func TestDashboardFiles(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withUI)
	for path, contentType := range map[string]string{
		"/ui":          "text/html; charset=utf-8",
		"/ui/app.js":   "text/javascript; charset=utf-8",
		"/ui/ui.css":   "text/css; charset=utf-8",
		"/ui/icon.svg": "image/svg+xml",
	} {
		got := s.do(t, "GET", path, "").want(t, 200, "")
		name := strings.TrimPrefix(path, "/ui/")
		if path == "/ui" {
			name = ui.Page
		}
		if got.body != string(ui.Files()[name].Content) {
			t.Errorf("%s has %d bytes", path, len(got.body))
		}
		wantHeader := func(r reply, name, want string) {
			t.Helper()
			if r.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, r.header.Get(name), want)
			}
		}
		wantHeader(got, "Content-Type", contentType)
		wantHeader(got, "X-Content-Type-Options", "nosniff")
		wantHeader(got, "X-Frame-Options", "DENY")
		wantHeader(got, "Referrer-Policy", "no-referrer")
		wantHeader(got, "Cache-Control", "no-cache")
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		tag := got.header.Get("ETag")
		for _, known := range []string{tag, `"another", ` + tag} {
			again := s.do(t, "GET", path, "", "If-None-Match: "+known).want(t, 304, "")
			wantHeader(again, "ETag", tag)
			if again.body != "" {
				t.Errorf("%s: 304 with a body", path)
			}
		}
		s.do(t, "GET", path, "", `If-None-Match: "another"`).want(t, 200, "")
		head := s.do(t, "HEAD", path, "").want(t, 200, "")
		wantHeader(head, "Content-Length", fmt.Sprint(len(got.body)))
		if small := s.do(t, "GET", path, "", "Accept-Encoding: gzip"); len(got.body) > 1024 {
			wantHeader(small, "Content-Encoding", "gzip")
			if len(small.body) > len(got.body)/2 {
				t.Errorf("%s: %d bytes of %d when compressed", path, len(small.body), len(got.body))
			}
		}
	}
	if got := s.do(t, "GET", "/ui/?theme=dark", "").want(t, 308, ""); got.header.Get("Location") != "../ui" {
		t.Errorf("/ui/ leads to %q", got.header.Get("Location"))
	}
	s.do(t, "GET", "/ui/nothing.js", "").want(t, 404, "There is nothing at")
	s.do(t, "GET", "/ui/..%2fui.go", "").want(t, 404, "There is nothing at")
	s.do(t, "POST", "/ui", "").want(t, 405, "")
	s.do(t, "GET", "/", "").want(t, 200, "{}")
}

func TestDashboardCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	for _, path := range []string{"/ui", "/ui/", "/ui/app.js", "/ui/events"} {
		s.do(t, "GET", path, "").want(t, 404, "There is nothing at")
	}
}

// figures is the part of a snapshot that the tests check.
type figures struct {
	At     int64
	Point  []any
	Totals struct {
		Requests  int `json:"requests"`
		Failed    int `json:"failed"`
		RecordsIn int `json:"records_in"`
	}
	State  struct{ Reachable bool }
	Routes []struct{ Method, Path string }
	Errors []struct{ Name string }
	Recent []struct {
		Name, Where, Topic, Client, Message string
		Count                               int
	}
	Brokers struct{ List []struct{ Leads int } }
	Topics  struct {
		List []struct {
			Name       string
			Partitions int
			Produced   int
			InRecords  float64 `json:"in_records"`
		}
	}
	Consumers struct {
		Groups []struct {
			Group string
			Lag   int
		}
		List []struct {
			Group, Name, Format string
			Topics              []string
		}
	}
}

// snapshot returns the next snapshot of a stream of the dashboard.
func (f *follower) snapshot() (text string, got figures) {
	f.t.Helper()
	for {
		e, ok := f.next()
		if !ok {
			f.t.Fatal("the stream has ended")
		}
		if e.name != "snapshot" {
			continue
		}
		if err := json.Unmarshal([]byte(e.text), &got); err != nil {
			f.t.Fatal(err)
		}
		return e.text, got
	}
}

// await reads snapshots until one is as wanted.
func (f *follower) await(what string, ok func(figures) bool) {
	f.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if _, got := f.snapshot(); ok(got) {
			return
		}
	}
	f.t.Fatalf("no snapshot with %s", what)
}

func TestDashboardEvents(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	held := &settings{values: map[string]string{"a": "1", "secret": "***"}}
	s := start(t, b.Broker, withUI, func(o *stackOptions) {
		o.admin = ops.Config{Settings: held.show}
	})
	topic := testkit.CreateTopic(t, b.Broker, 3)
	s.put(t, topic, 1, 2, 3)
	f := s.follow(t, "/ui/events")
	if got := f.resp.Header; got.Get("Content-Type") != "text/event-stream" || got.Get("Content-Security-Policy") == "" || got.Get("Cache-Control") != "no-store" {
		t.Errorf("the header is %v", got)
	}
	hello, _ := f.next()
	var greeting struct {
		Fields  []string
		History [][]any
		Errors  map[string]struct {
			Code   int
			Advice string
		}
	}
	if err := json.Unmarshal([]byte(hello.text), &greeting); err != nil || hello.name != "hello" {
		t.Fatalf("%v in %s", err, hello.text)
	}
	if row := greeting.Errors["overloaded"]; row.Code != 50301 || row.Advice == "" {
		t.Errorf("the row of overloaded is %+v", row)
	}
	// A newly opened page gets a snapshot at once, not after a second.
	if e, _ := f.next(); e.name != "snapshot" {
		t.Errorf("the second event is %s", e.name)
	}
	if e, _ := f.next(); e.name != "config" || !strings.Contains(e.text, `{"name":"secret","value":"***","origin":"\"here\"","runtime":false}`) {
		t.Errorf("the third event is %s %s", e.name, e.text)
	}
	f.await("the records, the topic and the broker", func(got figures) bool {
		return got.State.Reachable && got.Totals.RecordsIn == 3 && len(got.Topics.List) == 1 && got.Topics.List[0].Name == topic &&
			got.Topics.List[0].Partitions == 3 && len(got.Brokers.List) > 0 && len(got.Point) == len(greeting.Fields)
	})
	s.do(t, "GET", "/topics/absent/partitions", "").want(t, 404, "")
	s.do(t, "POST", "/consumers/g%3Cb%3E", `{"name":"i","format":"json"}`, plainV2).want(t, 200, "")
	s.do(t, "POST", "/consumers/g%3Cb%3E/instances/i/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	s.put(t, topic, 4)
	f.await("the error, the group and the fourth record", func(got figures) bool {
		return len(got.Errors) == 1 && got.Errors[0].Name == "topic_not_found" &&
			len(got.Recent) == 1 && got.Recent[0].Where == "GET /topics/{topic}/partitions" &&
			len(got.Consumers.Groups) == 1 && len(got.Consumers.List) == 1 && got.Consumers.List[0].Group == "g<b>" &&
			len(got.Consumers.List[0].Topics) == 1 && got.Consumers.List[0].Topics[0] == topic && got.Totals.RecordsIn == 4 && got.Totals.Failed == 1
	})
	held.mu.Lock()
	held.values["a"] = "2"
	held.mu.Unlock()
	for e, ok := f.next(); !strings.Contains(e.text, `"name":"a","value":"2"`); e, ok = f.next() {
		if !ok {
			t.Fatal("the stream has ended")
		}
	}
}

// However many viewers there are, one snapshot is made, and all get its bytes.
func TestViewersShareSnapshots(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withUI)
	const viewers, each = 20, 3
	var all []*follower
	for range viewers {
		all = append(all, s.follow(t, "/ui/events"))
	}
	made := map[int64]string{}
	shared := 0
	for range each {
		for _, f := range all {
			text, got := f.snapshot()
			if was, ok := made[got.At]; ok {
				shared++
				if was != text {
					t.Errorf("two snapshots of the time %d", got.At)
				}
			}
			made[got.At] = text
		}
	}
	// All joined within some seconds, and each saw three in a row.
	if len(made) > viewers || shared < viewers*each/2 {
		t.Errorf("%d snapshots were made, %d of %d shared", len(made), shared, viewers*each)
	}
}

func TestDashboardEndsWithTheDrain(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withUI)
	f := s.follow(t, "/ui/events")
	f.snapshot()
	s.server.Drain()
	for {
		if _, ok := f.next(); !ok {
			break
		}
	}
	s.do(t, "GET", "/ui/events", "").want(t, 503, `"error_code":50302`)
}

func TestDashboardIsForItsOwnPages(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withUI, func(o *stackOptions) { o.server.AllowOrigin = "*" })
	s.do(t, "GET", "/ui/events", "", "Origin: http://elsewhere.example").want(t, 403, "other origins")
	s.follow(t, "/ui/events", "Origin: "+s.base).snapshot()
	if got := s.do(t, "HEAD", "/ui/events", "").want(t, 200, ""); got.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %v", got.header)
	}
}

// A closed stream no longer counts against streams.max.
func TestDashboardGivesStreamsBack(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withUI, func(o *stackOptions) { o.server.MaxStreams = 1 })
	f := s.follow(t, "/ui/events")
	f.snapshot()
	s.do(t, "GET", "/ui/events", "").want(t, 503, "as many streams")
	f.close()
	testkit.Eventually(t, 20*time.Second, "the stream's end to be noticed", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.base+"/ui/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Transport.RoundTrip(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// A browser that opens the node's address gets to the dashboard; programs get what they always got.
func TestRootLeadsBrowsersToTheDashboard(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	with := start(t, b, withUI)
	const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	got := with.do(t, "GET", "/", "", browser).want(t, 302, "")
	if got.header.Get("Location") != "ui" || got.header.Get("Vary") != "Accept" {
		t.Errorf("the answer's headers are %v", got.header)
	}
	with.do(t, "GET", "/", "", "Accept: text/html").want(t, 302, "")
	with.do(t, "GET", "/", "").want(t, 200, "{}")
	with.do(t, "GET", "/", "", "Accept: application/vnd.kafka.v2+json").want(t, 200, "{}")
	start(t, b).do(t, "GET", "/", "", browser).want(t, 200, "{}") // there is no dashboard
}
