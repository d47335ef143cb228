package loadtest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newWireTo(t *testing.T, url string, timeout time.Duration) *endpoint {
	t.Helper()
	e, err := newEndpoint(Options{URL: url}, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	return e
}

// The node receives the requests that vegeta sends, and vegeta the responses.
func TestWire(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("ETag", `"x"`)
		w.Header().Add("Warning", "one")
		w.Header().Add("Warning", "two")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, strings.Join([]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("X-A"), r.UserAgent(), string(body)}, "|"))
	}))
	defer server.Close()
	e := newWireTo(t, server.URL, time.Minute)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		req, err := http.NewRequest(method, e.base+"/topics/a%2Fb//c?q=%20", strings.NewReader(strings.Repeat("y", 10000)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-A", "b")
		resp, err := e.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := method + "|/topics/a%2Fb//c|q=%20|b||" + strings.Repeat("y", 10000); string(answer) != want {
			t.Errorf("have %.80q, want %.80q", answer, want)
		}
		if resp.StatusCode != http.StatusTeapot || resp.Header.Get("ETag") != `"x"` || len(resp.Header["Warning"]) != 2 {
			t.Errorf("have %s, %v", resp.Status, resp.Header)
		}
	}
}

// A request that was sent once and not answered is not sent again: it may have
// been carried out.
func TestWireSendsOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var requests atomic.Int32
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 1)); err == nil {
				requests.Add(1)
			}
			c.Close()
		}
	}()
	e := newWireTo(t, "http://"+listener.Addr().String(), time.Minute)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		requests.Store(0)
		_, _, err = e.call(t.Context(), method, "/", "text/plain", "x")
		if err == nil || kindOf(err.Error()) != kindReset || requests.Load() != 1 {
			t.Errorf("%s: sent %d times, %v", method, requests.Load(), err)
		}
	}
	listener.Close()
	if _, _, err = e.call(t.Context(), http.MethodGet, "/", "", ""); err == nil || kindOf(err.Error()) != kindRefused {
		t.Errorf("have %v", err)
	}
}
