package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"millrace/internal/testkit"
)

// way is what stands between an app and its events: it takes lines as a node does, but for what
// refuse answers.
type way struct {
	// refuse answers a request with such lines, and reports whether it has.
	refuse func(h *way, w http.ResponseWriter, lines []string) bool

	mu       sync.Mutex
	requests int
	keys     []string
	taken    []string
}

func (h *way) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	text, _ := io.ReadAll(body)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests++
	h.keys = append(h.keys, r.Header.Get("Idempotency-Key"))
	if h.refuse(h, w, lines) {
		return
	}
	h.taken = append(h.taken, lines...)
	fmt.Fprintf(w, `{"accepted":%d,"refused":0}`, len(lines))
}

// serve returns the address of a server.
func (h *way) serve(t *testing.T) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// has returns the events that were taken.
func (h *way) has() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.taken, "\n") + "\n"
}

// onces are the ways that answer the first request alone, and take the others.
var onces = map[string]func(w http.ResponseWriter, lines []string){
	"a network that asks to log in": func(w http.ResponseWriter, _ []string) {
		fmt.Fprint(w, "<html>Welcome to the hotel.</html>")
	},
	"a proxy without an origin": func(w http.ResponseWriter, _ []string) {
		http.Error(w, "Web server is down", 521)
	},
	"a proxy that has seen too much": func(w http.ResponseWriter, _ []string) {
		http.Error(w, "Slow down", http.StatusTooManyRequests)
	},
	"a proxy that does not wait": func(w http.ResponseWriter, _ []string) {
		http.Error(w, "Gateway timeout", http.StatusGatewayTimeout)
	},
	"a slow network": func(w http.ResponseWriter, _ []string) {
		w.WriteHeader(http.StatusRequestTimeout)
		fmt.Fprint(w, `{"error_code":408,"message":"The request did not arrive in time."}`)
	},
	"an answer that breaks off": func(w http.ResponseWriter, lines []string) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprintf(w, `{"accepted":%d`, len(lines))
	},
}

// The apps lose no event to answers that are not of a node, and none because there are too many or
// too large ones in a request.
func TestEventsOnTheirWay(t *testing.T) {
	t.Parallel()
	for name, app := range apps(t) {
		for what, answer := range onces {
			t.Run(name+": "+what, func(t *testing.T) {
				t.Parallel()
				h := app.sends(t, func(h *way, w http.ResponseWriter, lines []string) bool {
					if h.requests == 1 {
						answer(w, lines)
					}
					return h.requests == 1
				})
				if len(h.keys) == 2 && h.keys[0] != h.keys[1] {
					t.Errorf("the keys are %q: a request that may have been carried out is another one", h.keys)
				}
			})
		}
		t.Run(name+": a narrow route", func(t *testing.T) {
			t.Parallel()
			app.sends(t, func(_ *way, w http.ResponseWriter, lines []string) bool {
				if len(lines) > 10 || strings.Contains(strings.Join(lines, ""), "large") {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					fmt.Fprint(w, `{"error_code":413,"message":"Send several requests."}`)
					return true
				}
				return false
			}, `{"large": true}`)
		})
		t.Run(name+": lines without an event", func(t *testing.T) {
			t.Parallel()
			app.sends(t, func(h *way, w http.ResponseWriter, lines []string) bool {
				const now = 20 // the others are refused for now
				if h.requests == 1 {
					h.taken = append(h.taken, lines[:now]...)
					w.WriteHeader(http.StatusMultiStatus)
					fmt.Fprintf(w, `{"accepted":%d,"refused":%d,"errors":[`, now, len(lines)-now)
					for i := now; i < len(lines); i++ {
						fmt.Fprintf(w, `%s{"index":%d,"error_code":50003,"message":"","retry":true}`, strings.Repeat(",", min(i-now, 1)), i)
					}
					fmt.Fprint(w, "]}")
				}
				return h.requests == 1
			}, "", " ")
		})
	}
}

// testApp is an app of examples/.
type testApp []string

func apps(t *testing.T) map[string]testApp {
	testkit.Needs(t, "python3", "go")
	dir := filepath.Join(filepath.Dir(readme(t)), "examples")
	built := filepath.Join(t.TempDir(), "events")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", built, filepath.Join(dir, "go", "events")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return map[string]testApp{"go": {built}, "python": {"python3", filepath.Join(dir, "python", "events.py")}}
}

func (a testApp) command(t *testing.T, queue, url, stdin string) (out []byte, err error) {
	cmd := exec.CommandContext(t.Context(), a[0], append(a[1:len(a):len(a)], queue, url)...)
	cmd.Stdin = strings.NewReader(stdin)
	return cmd.CombinedOutput()
}

// sends runs the app with 40 events, and others of which no server takes any in their middle. It
// checks that each of the 40 is taken once, in order.
func (a testApp) sends(t *testing.T, refuse func(h *way, w http.ResponseWriter, lines []string) bool, others ...string) *way {
	t.Helper()
	h := &way{refuse: refuse}
	stdin := numbered(0, 15) + strings.Join(append(others, ""), "\n") + numbered(15, 25)
	out, err := a.command(t, filepath.Join(t.TempDir(), "queue"), h.serve(t), stdin)
	if got := h.has(); err != nil || got != numbered(0, 40) {
		t.Errorf("after %d requests there is\n%s%v\n%s", h.requests, got, err, out)
	}
	return h
}

// A process that died as it wrote an event costs that one, and not the next.
func TestEventsBehindATornOne(t *testing.T) {
	t.Parallel()
	queue := filepath.Join(t.TempDir(), "queue")
	if err := os.WriteFile(queue, []byte(numbered(0, 2)+`{"n"`), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &way{refuse: func(*way, http.ResponseWriter, []string) bool { return false }}
	out, err := apps(t)["go"].command(t, queue, h.serve(t), numbered(2, 1))
	if got := h.has(); err != nil || got != numbered(0, 2)+"{\"n\"\n"+numbered(2, 1) {
		t.Errorf("there is\n%s%v\n%s", got, err, out)
	}
	if left, err := os.ReadFile(queue); err != nil || len(bytes.TrimSpace(left)) > 0 {
		t.Errorf("the queue has %q: %v", left, err)
	}
}

// The sender of a page waits for as long as it is asked to, sends fewer events where that helps,
// and keeps those that there is room for: testdata/sender.mjs has what is looked at.
func TestSenderOfAPage(t *testing.T) {
	t.Parallel()
	testkit.Needs(t, "node")
	sender := filepath.Join(filepath.Dir(readme(t)), "examples", "web", "sender.mjs")
	if out, err := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "sender.mjs"), sender).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
