package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// TestPlantedFaults runs against a proxy that does wrong in each way, and wants
// each found, in its number.
func TestPlantedFaults(t *testing.T) {
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	stub := newStub(t, &b.Broker, topic)
	stub.faults = func(n int, rs []stubRecord) ([]stubRecord, int) {
		switch n {
		case 30, 80: // drop one of a thousand
			return append(rs[:7:7], rs[8:]...), http.StatusOK
		case 40: // double one
			return append(rs, rs[3]), http.StatusOK
		case 50: // reorder two
			rs[4], rs[5] = rs[5], rs[4]
			return rs, http.StatusOK
		case 60: // write all, and say the contrary
			return rs, http.StatusServiceUnavailable
		case 70: // write none, and report that
			return nil, http.StatusServiceUnavailable
		}
		return rs, http.StatusOK
	}
	s := scenario(t, `
warmup: 0s
flows:
  - do: produce
    topic: `+topic+`
    records: 20
    rate: 200
`)
	s.SetDuration(500 * time.Millisecond)
	res := mustRun(t, s, Options{URL: stub.URL, Kafka: kafka.Settings{Brokers: b.Addrs}})
	v := res.Verification
	want := Verification{Complete: true, Acknowledged: 98 * 20, Lost: 2, Doubled: 1, Reordered: 1, Unacknowledged: 40, Arrived: 20}
	got := *v
	got.Examples, got.Seconds = nil, 0
	if got.Acknowledged != want.Acknowledged || got.Lost != want.Lost || got.Doubled != want.Doubled || got.Reordered != want.Reordered ||
		got.Misplaced != 0 || got.Unacknowledged != 40 || got.Arrived != 20 || !got.Complete {
		t.Errorf("have %+v\nwant %+v\n%s", got, want, strings.Join(v.Examples, "\n"))
	}
	if len(v.Examples) != 4 {
		t.Errorf("want an example of each of 4, have %q", v.Examples)
	}
	if res.Pass || !strings.Contains(res.Verdict(), "records lost, records doubled, records reordered") {
		t.Errorf("the run must fail for its records: %s", res.Verdict())
	}
	f := res.Flows[0]
	if f.Failed != 2 || len(f.Errors) != 1 || f.Errors[0].Status != 503 || f.Errors[0].Code != 50301 || f.Errors[0].Count != 2 {
		t.Errorf("want 2 × HTTP 503 with error_code 50301, have %+v", f.Errors)
	}
}

// TestHonestProxy is the same without faults, so that the checks are shown not
// to cry wolf when many requests are under way at once.
func TestHonestProxy(t *testing.T) {
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	stub := newStub(t, &b.Broker, topic)
	s := scenario(t, `
warmup: 100ms
duration: 500ms
flows:
  - {do: produce, topic: `+topic+`, records: 5, keys: 10, rate: 200, expect: {errors: 0%}}
  - {name: more, do: produce, topic: `+topic+`, records: 1, rate: 200}
  - {do: metadata, rate: 100}
`)
	res := mustRun(t, s, Options{URL: stub.URL, Kafka: kafka.Settings{Brokers: b.Addrs}})
	if v := res.Verification; !res.Pass || v.Acknowledged != 720 || v.Lost+v.Doubled+v.Reordered+v.Misplaced+v.Unacknowledged != 0 {
		t.Errorf("%s: %+v", res.Verdict(), v)
	}
	if f := res.Flows[2]; f.Answered != 50 || f.Do != Metadata {
		t.Errorf("want 50 polls answered, have %+v", f.Answered)
	}
}

// TestClosedLoop keeps as many requests under way as it has connections, and is
// verified like all others.
func TestClosedLoop(t *testing.T) {
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	stub := newStub(t, &b.Broker, topic)
	var now atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	stub.before = func(http.ResponseWriter, *http.Request) bool {
		n := now.Add(1)
		defer now.Add(-1)
		if n == 4 {
			once.Do(func() { close(full) })
		} else if n > 4 {
			t.Errorf("%d requests at once on 4 connections", n)
		}
		<-full // nobody is answered before four are here
		return false
	}
	s := scenario(t, `
warmup: 0s
duration: 300ms
flows:
  - {do: produce, topic: `+topic+`, records: 5, rate: max, connections: 4, expect: {errors: 0%, rate: 1/s}}
`)
	res := mustRun(t, s, Options{URL: stub.URL, PID: os.Getpid(), Kafka: kafka.Settings{Brokers: b.Addrs}})
	f := res.Flows[0]
	if !res.Pass || f.Open || f.Answered < 5 || f.Unsent != 0 || f.Latency.P50 != f.Service.P50 {
		t.Errorf("%s; %+v", res.Verdict(), f)
	}
	if v := res.Verification; v.Acknowledged != 5*f.Answered || v.Lost+v.Doubled+v.Reordered+v.Misplaced+v.Unacknowledged != 0 {
		t.Errorf("%d requests, %+v", f.Answered, v)
	}
	if f.Load != "4 connections, each sending as soon as it is answered" {
		t.Errorf("have %q", f.Load)
	}
}

// TestConditionalPolls sends the tags of the answers before.
func TestConditionalPolls(t *testing.T) {
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"of`+r.URL.Path+`"`)
		if r.Header.Get("If-None-Match") == `"of`+r.URL.Path+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "[]")
	}))
	defer stub.Close()
	s := scenario(t, "{warmup: 0s, duration: 200ms, flows: [{do: metadata, paths: [/a, /b], rate: max, connections: 1, conditional: true}]}")
	if f := mustRun(t, s, Options{URL: stub.URL}).Flows[0]; f.Answered < 3 || f.Unchanged != f.Answered-2 || f.Failed != 0 {
		t.Errorf("want all but the first two of %d answered 304, have %d", f.Answered, f.Unchanged)
	}
}

// TestStallIsNotHidden stalls a proxy for 800 ms in the midst of 2 s. With 4
// connections 4 requests wait all that time, and what a worker sees is 4 slow
// requests of 400. The 160 that were due meanwhile waited too.
func TestStallIsNotHidden(t *testing.T) {
	const stall = 800 * time.Millisecond
	stub := newStub(t, nil, "")
	var once sync.Once
	var over atomic.Pointer[chan struct{}]
	var n atomic.Int64
	stub.before = func(http.ResponseWriter, *http.Request) bool {
		if n.Add(1) == 100 {
			once.Do(func() {
				c := make(chan struct{})
				over.Store(&c)
				time.AfterFunc(stall, func() { close(c) })
			})
		}
		if c := over.Load(); c != nil {
			<-*c
		}
		return false
	}
	s := scenario(t, `
warmup: 0s
duration: 2s
connections: 4
flows:
  - {do: produce, rate: 200}
`)
	f := mustRun(t, s, Options{URL: stub.URL}).Flows[0]
	if f.Due != 400 || f.Answered != 400 {
		t.Fatalf("every request that was due must be sent: %d due, %d answered", f.Due, f.Answered)
	}
	// Of 400, those due in the first half of the stall waited over 400 ms: 80.
	if f.Service.P95 > 300 {
		t.Errorf("p95 from the pick-up is %.0f ms: the stall should hide there", f.Service.P95)
	}
	if f.Latency.P90 < 350 || f.Latency.P90 > 1500 {
		t.Errorf("p90 from the time due is %.0f ms, want about 600 of the stall's 800", f.Latency.P90)
	}
}

// unanswered holds a request until its client goes.
func unanswered(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server see the client go
	<-r.Context().Done()
	return true
}

// TestUnsent has a proxy that never answers: what could not be sent is counted
// as failed, not left out.
func TestUnsent(t *testing.T) {
	stub := newStub(t, nil, "")
	stub.before = unanswered
	s := scenario(t, `
warmup: 0s
duration: 200ms
timeout: 300ms
connections: 2
flows:
  - {do: produce, rate: 100, expect: {errors: 50%}}
`)
	res := mustRun(t, s, Options{URL: stub.URL})
	f := res.Flows[0]
	if f.Due != 20 || f.Answered != 0 || f.Unsent == 0 || f.Failed+f.Unsent != 20 || f.ErrorRate != 1 || res.Pass {
		t.Errorf("want all 20 failed or never sent, have %+v", f)
	}
	kinds := map[string]uint64{}
	for _, e := range f.Errors {
		kinds[e.What] = e.Count
	}
	if kinds[kindTimeout] != f.Failed || kinds[kindUnsent] != f.Unsent {
		t.Errorf("have errors %v for %d failed and %d unsent", kinds, f.Failed, f.Unsent)
	}
}

// TestUnsentAreLate has a proxy that answers the first requests at once, and then no more. Those
// that were never sent for that reason waited longer than any other.
func TestUnsentAreLate(t *testing.T) {
	stub := newStub(t, nil, "")
	var n atomic.Int64
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		return n.Add(1) > 60 && unanswered(w, r)
	}
	s := scenario(t, `
warmup: 0s
duration: 500ms
timeout: 300ms
connections: 2
flows:
  - {do: produce, rate: 200, expect: {p90: 250ms}}
`)
	res := mustRun(t, s, Options{URL: stub.URL})
	f := res.Flows[0]
	if f.Answered != 60 || f.Unsent < 20 || f.Failed+f.Unsent != 40 {
		t.Fatalf("want 60 answered and most others never sent, have %+v", f)
	}
	if f.Latency.P90 < 300 || res.Pass {
		t.Errorf("a fifth of the requests was never sent, and p90 is %v ms: %s", f.Latency.P90, res.Verdict())
	}
	late := uint64(0)
	for _, second := range f.Seconds {
		late += second.Due
	}
	if late != f.Due {
		t.Errorf("%d requests were due, and %d in its seconds", f.Due, late)
	}
}

func TestStepsEndWhereTheyBreak(t *testing.T) {
	stub := newStub(t, nil, "")
	var n atomic.Int64
	stub.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if n.Add(1) <= 10+20+25 { // all of steps one and two, and some of three
			return false
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	s := scenario(t, `
warmup: 0s
flows:
  - {do: produce, steps: {start: 100, add: 100, max: 900, every: 100ms}, expect: {errors: 1%}}
`)
	res := mustRun(t, s, Options{URL: stub.URL})
	f := res.Flows[0]
	if len(f.Steps) != 3 || !f.Steps[0].Held || !f.Steps[1].Held || f.Steps[2].Held || f.Held != 200 || !res.Pass {
		t.Errorf("want 100 and 200 to hold and 300 to break, have %+v", f.Steps)
	}
	if why := f.Steps[2].Why; !strings.HasPrefix(why, "errors 16.67 %") {
		t.Errorf("5 of 30 failed, and it says %q", why)
	}
}

// TestCutShort ends a run: it stops at once, and fails, but has its figures.
func TestCutShort(t *testing.T) {
	stub := newStub(t, nil, "")
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int64
	stub.before = func(http.ResponseWriter, *http.Request) bool {
		if n.Add(1) == 20 {
			cancel()
		}
		return false
	}
	s := scenario(t, `
warmup: 0s
duration: 1h
flows:
  - {do: produce, rate: 200}
`)
	res, err := Run(ctx, s, Options{URL: stub.URL})
	if err != nil || res.Pass || res.Flows[0].Answered < 19 || res.Flows[0].ErrorRate != 0 {
		t.Fatalf("%v, %+v", err, res)
	}
}

// TestSecretsStayIn has a proxy that says our headers back in its errors.
func TestSecretsStayIn(t *testing.T) {
	const secret, password = "s3cr3t-token-value", "hunter2hunter2"
	stub := newStub(t, nil, "")
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{"error_code": 40101, "message": "no: " + r.Header.Get("X-Token") + r.Header.Get("Authorization")})
		return true
	}
	t.Setenv("LOADTEST_TOKEN", secret)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	headers, err := ReadHeaders([]string{"x-token: Bearer ${LOADTEST_TOKEN}", "X-File: @" + file})
	if err != nil {
		t.Fatal(err)
	}
	s := scenario(t, "{warmup: 0s, duration: 100ms, flows: [{do: produce, rate: 50}]}")
	var shown bytes.Buffer
	url := strings.Replace(stub.URL, "http://", "http://user:"+password+"@", 1)
	res := mustRun(t, s, Options{URL: url, Headers: headers, Progress: &shown})
	res.WriteSummary(&shown, true)
	if err := res.WriteReport(&shown, nil); err != nil {
		t.Fatal(err)
	}
	if err := res.WriteJSON(&shown); err != nil {
		t.Fatal(err)
	}
	h := stub.headers
	if h.Get("X-Token") != "Bearer "+secret || h.Get("X-File") != "from-a-file" || !strings.HasPrefix(h.Get("Authorization"), "Basic ") {
		t.Errorf("the proxy did not get the headers: %v", h)
	}
	basic := strings.TrimPrefix(h.Get("Authorization"), "Basic ")
	for _, s := range []string{secret, password, basic, "from-a-file"} {
		if strings.Contains(shown.String(), s) {
			t.Errorf("%q is shown", s)
		}
	}
	if !strings.Contains(shown.String(), "error_code 40101") {
		t.Error("the error itself must be shown")
	}
	for name := range h {
		if strings.Contains(name, "Vegeta") || name == hitHeader {
			t.Errorf("header %s reached the proxy", name)
		}
	}
}

// TestTargets fires a target file with vegeta's own reader and attacker.
func TestTargets(t *testing.T) {
	stub := newStub(t, nil, "")
	s, err := Load("mixed")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	url := strings.Replace(stub.URL, "http://", "http://user:password@", 1)
	if err := WriteTargets(&file, s, url, 100); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file.String(), "Authorization") || strings.Contains(file.String(), "password") {
		t.Error("the file holds a secret")
	}
	targets, err := vegeta.ReadAllTargets(vegeta.NewJSONTargeter(&file, nil, nil))
	if err != nil || len(targets) != 100 {
		t.Fatalf("%d targets, %v", len(targets), err)
	}
	posts := 0
	for _, target := range targets {
		if target.Method == http.MethodPost {
			posts++
		}
	}
	if posts != 20 { // 50 of 250 a second
		t.Errorf("%d of 100 targets produce, want 20", posts)
	}
	a := vegeta.NewAttacker()
	for res := range a.Attack(vegeta.NewStaticTargeter(targets...), vegeta.Rate{Freq: 1000, Per: time.Second}, 100*time.Millisecond, "") {
		if res.Code != http.StatusOK {
			t.Fatalf("%s %s was answered %d %s", res.Method, res.URL, res.Code, res.Error)
		}
	}
	if err := WriteTargets(io.Discard, scenario(t, "flows: [{do: consume}]"), url, 1); err == nil {
		t.Error("consumers have no targets")
	}
}

// TestProbe tells proxies, also those that refuse to list topics, from what is none.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		want   string
	}{
		{200, `["a","b"]`, ""},
		{200, `[]`, ""},
		{403, `{"error_code":40301,"message":"Not for you."}`, ""},
		{503, `{"error_code":50303,"message":"No Kafka."}`, ""},
		{200, `<html>` + strings.Repeat("x", 500), "is no Kafka REST proxy: it answers GET /topics with 200 and \"<html>xxx"},
		{200, `{"topics":[]}`, "is no Kafka REST proxy"},
		{404, `404 page not found`, "is no Kafka REST proxy"},
		{302, ``, "is no Kafka REST proxy: it answers GET /topics with 302"},
		{401, `Who are you?`, "--header 'Authorization"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.answer)
		}))
		err := Probe(t.Context(), Options{URL: server.URL})
		server.Close()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 200) {
			t.Errorf("%d %s: %v, want %q", c.status, c.answer, err, c.want)
		}
	}
}
