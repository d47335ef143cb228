package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// The sender of examples/web brings each event of a page of another origin into Kafka once: without
// and with preflight, by a beacon as the page closes, and after an outage of the network; a page
// of an origin that is not allowed brings none.
func TestBrowserEvents(t *testing.T) {
	t.Parallel()
	dir, chromium := browser(t, "events.mjs")
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) { browseEvents(t, b, dir, chromium) })
}

func browseEvents(t *testing.T, b testkit.Broker, dir, chromium string) {
	files := http.FileServer(http.Dir(filepath.Join(filepath.Dir(readme(t)), "examples", "web")))
	allowed, refused := httptest.NewServer(files), httptest.NewServer(files)
	defer allowed.Close()
	defer refused.Close()
	topic := testkit.CreateTopic(t, b, 3)
	routes := filepath.Join(t.TempDir(), "routes.yaml")
	text := "routes:\n  web:\n    topic: " + topic + "\n    cors: {origins: [\"" + allowed.URL + "\"]}\n"
	if err := os.WriteFile(routes, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, node := serve(t, b, "--set=ingest.routes.file="+routes)
	front, preflights := overloadFirst(t, node)

	p := startNode(t, dir, "events.mjs", chromium, allowed.URL, refused.URL, front+"/ingest/web")
	if code := p.WaitExit(t, 4*time.Minute); code != 0 {
		t.Fatalf("the script ended with %d", code)
	}
	p.WaitLine(t, "refused: true", time.Second) // a beacon does not tell
	const events = 5000 + 1000 + 7 + 20
	seen := map[int]bool{}
	for _, r := range testkit.ReadTopic(t, b, topic, events) {
		var event struct{ N int }
		if err := json.Unmarshal(r.Value, &event); err != nil || event.N < 0 || event.N >= events || seen[event.N] {
			t.Fatalf("%s should not be there: %v", r.Value, err)
		}
		seen[event.N] = true
	}
	if preflights.Load() == 0 {
		t.Error("there was no preflight")
	}
	// The beacon of the refused page may come when the browser has closed.
	testkit.Eventually(t, 20*time.Second, "refused origins to be counted", func() bool {
		return scrape(t, node).sum(t, "millrace_http_origins_refused_total") >= 2
	})
	testkit.ReadTopic(t, b, topic, events)
}

// overloadFirst puts a server in front of node that refuses the first request as millrace does
// where its memory is full, and counts preflights.
func overloadFirst(t *testing.T, node string) (front string, preflights *atomic.Int32) {
	t.Helper()
	target, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	preflights = new(atomic.Int32)
	var refused atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodOptions:
			preflights.Add(1)
		case refused.CompareAndSwap(false, true):
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
			w.Header().Set("Retry-After", "1")
			http.Error(w, `{"error_code":50301,"message":"Too much is waiting."}`, http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, preflights
}

// The apps of examples/python and examples/go keep their events while there is no node, and send
// them when there is one, whose first answer asks them to wait.
func TestEventsOfAnApp(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(filepath.Dir(readme(t)), "examples")
	t.Run("python", func(t *testing.T) {
		t.Parallel()
		testkit.Needs(t, "python3")
		appSendsItsEvents(t, "python3", filepath.Join(dir, "python", "events.py"))
	})
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		testkit.Needs(t, "go")
		appSendsItsEvents(t, "go", "run", filepath.Join(dir, "go", "events"))
	})
}

func appSendsItsEvents(t *testing.T, app ...string) {
	t.Helper()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	queue := filepath.Join(t.TempDir(), "queue")
	run := func(from, n int, url string) error {
		cmd := exec.CommandContext(t.Context(), app[0], append(app[1:len(app):len(app)], queue, url)...)
		cmd.Stdin = strings.NewReader(numbered(from, n))
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	const nobody = "http://127.0.0.1:1/ingest/app"
	if err := run(0, 700, nobody); err == nil {
		t.Error("it ends well, though nobody has its events")
	}
	_, node := serve(t, b)
	front, refused := refuseFirst(t, node)
	if err := run(700, 800, front+"/ingest/"+topic); err != nil {
		t.Error(err)
	}
	if !refused.Load() {
		t.Error("no request of it was refused")
	}
	wantNumbered(t, b, topic, 1500)
}

// The script of examples/shell sends a file as it grows.
func TestEventsOfAFile(t *testing.T) {
	t.Parallel()
	testkit.Needs(t, "bash", "curl", "tail")
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	_, node := serve(t, b)
	front, refused := refuseFirst(t, node)
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(from, n int) {
		if _, err := file.WriteString(numbered(from, n)); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 600)
	follow(t, file.Name(), front+"/ingest/"+topic)
	testkit.ReadTopic(t, b, topic, 600)
	write(600, 3)
	wantNumbered(t, b, topic, 603)
	if !refused.Load() {
		t.Error("no request of it was refused")
	}
}

// follow runs the script of examples/shell until the test ends.
func follow(t *testing.T, file, url string) {
	t.Helper()
	cmd := exec.Command("bash", filepath.Join(filepath.Dir(readme(t)), "examples", "shell", "follow.sh"), file, url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // tail and curl too
		_ = cmd.Wait()
	})
}

// A line of which a batch finds the beginning is sent when it is whole, and an event that is to
// be sent again is.
func TestEventsOfAFileInParts(t *testing.T) {
	t.Parallel()
	testkit.Needs(t, "bash", "curl", "tail")
	h := &way{refuse: func(h *way, w http.ResponseWriter, lines []string) bool {
		if len(lines) < 3 {
			return false
		}
		h.taken = append(h.taken, lines[0], lines[2])
		w.WriteHeader(http.StatusMultiStatus)
		fmt.Fprint(w, `{"accepted":2,"refused":1,"errors":[{"index":1,"error_code":50003,"message":"not \"retry\":false","retry":true}]}`)
		return true
	}}
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sent := func(add, want string) {
		t.Helper()
		if _, err := file.WriteString(add); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, time.Minute, want, func() bool { return h.has() == want })
	}
	follow(t, file.Name(), h.serve(t))
	sent(numbered(0, 1)+`{"n"`, numbered(0, 1))
	sent(": 1}\n", numbered(0, 2))
	sent(numbered(2, 1)+"\n"+numbered(3, 2), numbered(0, 3)+numbered(4, 1)+numbered(3, 1))
}

// numbered returns events as lines.
func numbered(from, n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "{\"n\": %d}\n", from+i)
	}
	return lines.String()
}

// wantNumbered checks that the topic has the events from 0 to n, in order.
func wantNumbered(t *testing.T, b testkit.Broker, topic string, n int) {
	t.Helper()
	for i, r := range testkit.ReadTopic(t, b, topic, n) {
		if got, want := string(r.Value), strings.TrimSpace(numbered(i, 1)); got != want {
			t.Fatalf("event %d is %s, not %s", i, got, want)
		}
	}
}

// The routes of examples/web are a file that a node starts with, and its page may send the header
// of a trace where tracing is on.
func TestRoutesOfTheWebExample(t *testing.T) {
	t.Parallel()
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(collector.Close)
	routes := filepath.Join(filepath.Dir(readme(t)), "examples", "web", "routes.yaml")
	_, node := serve(t, testkit.Fake(t).Broker, "--set=ingest.routes.file="+routes, "--set=ingest.routes.default=false", "--set=tracing.otlp.endpoint="+collector.URL)
	preflight := func(origin string) http.Header {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, node+"/ingest/clicks", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header
	}
	h := preflight("http://localhost:8000")
	if allowed := h.Get("Access-Control-Allow-Headers"); h.Get("Access-Control-Allow-Origin") != "http://localhost:8000" || strings.Count(allowed, "Traceparent") != 1 || !strings.Contains(allowed, "Idempotency-Key") {
		t.Errorf("the page of the example: %v", h)
	}
	if h := preflight("http://localhost:8001"); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("another page: %v", h)
	}
	send(t, "POST", node+"/ingest/clicks", `{"at":"2026-01-01T00:00:00Z"}`, "Content-Type: application/json")
}
