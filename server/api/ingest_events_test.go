package api_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server"
)

const jsonType = "Content-Type: application/json"

// Records get the headers that their route asks for; the events stay as they came.
func TestIngestEnriches(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, func(o *stackOptions) { o.server.ForwardedTrusted = server.LoopbackPrefixes() }, withRoutes(t, `routes:
  all:
    topic: `+topic+`
    enrich: {received: true, sent_at: {pointer: /at}, address: network, user_agent: true, request_id: true, traceparent: true, caller: true}
  full: {topic: `+topic+`, enrich: {sent_at: {header: X-Sent}, address: full, request_id: true}}
`))
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	before := time.Now().UnixMilli()
	s.do(t, "POST", "/ingest/all", `[{"at":`+strconv.FormatInt(before-5000, 10)+`},{"at":"no time"},7]`, jsonType, "User-Agent: "+strings.Repeat("x", 600),
		"X-Request-Id: r-1", "Traceparent: "+trace, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.77, 127.0.0.9").want(t, 200, `{"accepted":3,"refused":0}`)
	s.do(t, "POST", "/ingest/full", `{}`, jsonType, "X-Forwarded-For: 2001:db8:1:2::3", "X-Sent: 1700000000000").want(t, 200, `"accepted":1`)
	s.do(t, "POST", "/ingest/full", `{}`, jsonType, "X-Forwarded-For: nonsense", "X-Sent: soon").want(t, 200, `"accepted":1`)
	got, values := headersOf(t, b, topic, 5)
	number := func(i int, name string) int64 {
		t.Helper()
		n, err := strconv.ParseInt(got[i][name], 10, 64)
		if err != nil {
			t.Errorf("event %d has %s=%q", i, name, got[i][name])
		}
		return n
	}
	for i := range 3 {
		if r := number(i, "millrace.received"); r < before || r > time.Now().UnixMilli() {
			t.Errorf("event %d was received at %d", i, r)
		}
		for name, want := range map[string]string{
			"millrace.address": "203.0.113.0/24", "millrace.user-agent": strings.Repeat("x", 512), "millrace.request-id": "r-1", "traceparent": trace,
		} {
			if got[i][name] != want {
				t.Errorf("event %d has %s=%q, want %q", i, name, got[i][name], want)
			}
		}
	}
	if skew := number(0, "millrace.skew-ms"); number(0, "millrace.sent") != before-5000 || skew < 5000 || skew > 5000+time.Minute.Milliseconds() {
		t.Errorf("the skew is %d ms", skew)
	}
	if got[1]["millrace.sent"]+got[2]["millrace.sent"]+got[4]["millrace.sent"] != "" {
		t.Errorf("events without a time have %v", got)
	}
	if got[3]["millrace.address"] != "2001:db8:1:2::3" || got[3]["millrace.sent"] != "1700000000000" || len(got[3]["millrace.request-id"]) != 32 || got[3]["millrace.received"] != "" {
		t.Errorf("the event has %v", got[3])
	}
	if got[4]["millrace.address"] != "127.0.0.1" {
		t.Errorf("the event has %v", got[4])
	}
	if values[0] != `{"at":`+strconv.FormatInt(before-5000, 10)+`}` {
		t.Errorf("the event is %s", values[0])
	}
}

// Events that a rule drops are in no topic, and are no failure.
func TestIngestDrops(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, sampled := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	s := start(t, b, withRoutes(t, `routes:
  app:
    topic: `+topic+`
    key: {pointer: /k, required: true}
    drop: [{pointer: /type, is: [heartbeat, "17"]}, {header: User-Agent, bots: true}, {query: env, contains: [TEST]}]
  part: {topic: `+sampled+`, key: {pointer: /user}, sample: {keep: 0.25}}
`))
	const events = `[{"k":1,"type":"heartbeat"},{"k":2,"type":"click"},{"type":"click"},{"k":3,"type":17},{"type":"heartbeat"},{"k":4}]`
	s.do(t, "POST", "/ingest/app", events, jsonType).want(t, 207, `{"accepted":2,"refused":1,"dropped":3,"errors":[{"index":2,"error_code":422`)
	for _, other := range []struct{ path, header string }{{"?env=my-test", "X: y"}, {"", "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}} {
		s.do(t, "POST", "/ingest/app"+other.path, events, jsonType, other.header).want(t, 200, `{"accepted":0,"refused":0,"dropped":6}`)
	}
	s.do(t, "POST", "/ingest/app", `{"k":5}`, jsonType, "User-Agent: Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36").want(t, 200, `{"accepted":1,"refused":0}`)
	s.do(t, "POST", "/ingest/app", `{"type":"heartbeat"}`, jsonType, "Prefer: return=minimal").want(t, 204, ``)
	if got := recordsOf(t, b, topic, 3); strings.Count(got, "key=") != 3 {
		t.Errorf("the records are\n%s", got)
	}

	const users, each = 400, 5
	var body strings.Builder
	for i := range users * each {
		fmt.Fprintf(&body, "{\"user\":\"u%d\"}\n", i%users)
	}
	var accepted, refused, left int
	answer := s.do(t, "POST", "/ingest/part", body.String(), ndjson)
	if _, err := fmt.Sscanf(answer.body, `{"accepted":%d,"refused":%d,"dropped":%d}`, &accepted, &refused, &left); err != nil || accepted+left != users*each {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	of := map[string]int{}
	for _, r := range testkit.ReadTopic(t, b, sampled, accepted) {
		of[string(r.Key)]++
	}
	if share := float64(len(of)) / users; math.Abs(share-0.25) > 0.08 {
		t.Errorf("%d of %d keys are kept", len(of), users)
	}
	for key, n := range of {
		if n != each {
			t.Errorf("of the key %s %d events of %d are kept", key, n, each)
		}
	}
	s.do(t, "POST", "/ingest/part", `{}`, jsonType).want(t, 200, `{"accepted":1,"refused":0}`) // no key
	wantMetric := `millrace_ingest_dropped_events_total ` + strconv.Itoa(3+6+6+1+left)
	if text := s.do(t, "GET", "/metrics", "").body; !strings.Contains(text, "\n"+wantMetric+"\n") {
		t.Errorf("the metrics have no line %s", wantMetric)
	}
}
