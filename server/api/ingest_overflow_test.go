package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// numbered returns lines with numbers from first on; every second one is of the hot key, the others
// have a key each.
func numbered(first, n int) string {
	var text strings.Builder
	for i := range n {
		key := "hot"
		if i%2 == 1 {
			key = "cold-" + strconv.Itoa(first+i)
		}
		fmt.Fprintf(&text, "{\"k\":%q,\"n\":%d}\n", key, first+i)
	}
	return text.String()
}

// valuesOf returns the values of records that have the part, and fails t where a key is not as want
// says.
func valuesOf(t *testing.T, records []*kgo.Record, part string, wantKey bool) (all []string) {
	t.Helper()
	for _, r := range records {
		if strings.Contains(string(r.Value), part) {
			all = append(all, string(r.Value))
			if (r.Key != nil) != wantKey {
				t.Errorf("%s has the key %q", r.Value, r.Key)
			}
		}
	}
	return all
}

// The events of a key over its rate go to the overflow topic, each once, and those of other keys in
// the same requests do not. The sender sees no difference.
func TestIngestOverflow(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(2, "main", "rest"))
	s := start(t, b.Broker, withRoutes(t, `routes:
  app:
    topic: main
    key: {pointer: /k}
    headers: {source: app}
    dedupe: {id: {pointer: /n}}
    overflow: {topic: rest, events: 1, burst: 5}
`))
	began := time.Now()
	const requests, each = 10, 20
	for i := range requests {
		r := s.do(t, "POST", "/ingest/app", numbered(i*each, each), ndjson)
		if r.status != 200 || r.body != `{"accepted":20,"refused":0}` {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	took := int(time.Since(began)/time.Second) + 1
	over := int(s.server.Metrics().Ingest.Overflowed.Load())
	rest := testkit.ReadTopic(t, b.Broker, "rest", over)
	main := testkit.ReadTopic(t, b.Broker, "main", requests*each-over)
	hotInMain := len(valuesOf(t, main, `"hot"`, true))
	if hotInMain < 5 || hotInMain > 5+took {
		t.Errorf("%d events of the hot key are in the topic, in %d s", hotInMain, took)
	}
	all := slices.Concat(valuesOf(t, main, "{", true), valuesOf(t, rest, "{", false))
	slices.Sort(all)
	if unique := len(slices.Compact(all)); unique != requests*each || len(main)+len(rest) != unique {
		t.Errorf("%d different events, in %d records", unique, len(main)+len(rest))
	}
	if cold := valuesOf(t, rest, "cold", false); len(cold) > 0 {
		t.Errorf("events of other keys are in the overflow topic: %v", cold)
	}
	if h := rest[0].Headers; len(h) != 1 || h[0].Key != "source" || string(h[0].Value) != "app" {
		t.Errorf("a record of the overflow topic has the headers %v", h)
	}
	// Those of the overflow topic are known again as well.
	r := s.do(t, "POST", "/ingest/app", numbered(0, each), ndjson)
	if r.status != 200 || r.body != `{"accepted":0,"refused":0,"dropped":20}` {
		t.Errorf("the same again: %d %s", r.status, r.body)
	}
}

// A request all of whose events are too many is one for the overflow topic, by the caller's rate
// too, and with the key where the route keeps it.
func TestIngestOverflowOfCallers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "rest"))
	d := newDoors(t, testRules+`
  - {who: [user:alice], allow: [ingest], topics: [app]}
  - {who: [user:bob], allow: [ingest], topics: [app]}
  - {who: [user:bob], deny: [produce], topics: [rest]}
  - {who: [key:edge], allow: [ingest], topics: [app]}
`)
	s := start(t, b.Broker, func(o *stackOptions) { o.access = d.settings }, withRoutes(t, `routes:
  app:
    topic: telemetry-a
    key: {query: k}
    overflow: {topic: rest, events: 2, by: caller, keep_key: true}
`))
	alice := basic("alice", "wonder")
	send := func(n int, who string) reply {
		return s.do(t, "POST", "/ingest/app?k=v", strings.Repeat("{}\n", n), ndjson, who)
	}
	send(3, alice).want(t, 200, `"accepted":3`) // one of them is too many
	testkit.Eventually(t, 20*time.Second, "a request all of whose events are too many", func() bool {
		before := s.server.Metrics().Ingest.Overflowed.Load()
		send(1, alice).want(t, 200, `"accepted":1`)
		return s.server.Metrics().Ingest.Overflowed.Load() == before+1
	})
	for _, r := range testkit.ReadTopic(t, b.Broker, "rest", 2) {
		if string(r.Key) != "v" || string(r.Value) != "{}" {
			t.Errorf("key %q, value %q", r.Key, r.Value)
		}
	}
	before := s.server.Metrics().Ingest.Overflowed.Load()
	send(1, d.writeKey).want(t, 200, `"accepted":1`)
	if s.server.Metrics().Ingest.Overflowed.Load() != before {
		t.Error("one caller's events have used up the rate of another")
	}
	send(1, basic("bob", "password")).want(t, 403, "may not write to the topic rest")
}

// Where one of the two topics takes nothing, the answer says of each event what became of it.
func TestIngestOverflowFails(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "main", "rest"))
	s := start(t, b.Broker, func(o *stackOptions) { o.create = false }, withRoutes(t, `routes:
  no-rest: {topic: main, key: {pointer: /k}, overflow: {topic: missing, events: 1}}
  no-main: {topic: missing, key: {pointer: /k}, overflow: {topic: rest, events: 1}}
`))
	hot := `{"k":"hot","n":1}` + "\n" + `{"k":"cold","n":2}` + "\n" + strings.Repeat(`{"k":"hot","n":3}`+"\n", 8)
	r := s.do(t, "POST", "/ingest/no-rest", hot, ndjson).want(t, 207, `{"index":2,"error_code":`)
	if strings.Contains(r.body, `"index":0`) || strings.Contains(r.body, `"index":1,`) || !strings.Contains(r.body, `"index":9`) {
		t.Errorf("got %s", r.body)
	}
	r = s.do(t, "POST", "/ingest/no-main", hot, ndjson).want(t, 207, `{"index":0,"error_code":`)
	if !strings.Contains(r.body, `"index":1,`) || strings.Contains(r.body, `"index":9`) {
		t.Errorf("got %s", r.body)
	}
	n := int(s.server.Metrics().Ingest.Overflowed.Load())
	if len(testkit.ReadTopic(t, b.Broker, "rest", n)) != n || n < 6 || n > 8 { // of 9 events of one a second
		t.Errorf("%d events in the overflow topic", n)
	}
}

// An event that the overflow topic cannot take, since it is too large, fails alone.
func TestIngestOverflowOfALargeEvent(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "main", "rest")).Broker
	s := start(t, b, withRoutes(t, "routes:\n  e: {topic: main, key: {pointer: /k}, dedupe: {id: {pointer: /n}}, overflow: {topic: rest, events: 1, burst: 1}}\n"))
	body := `{"k":"cold","n":0}` + "\n" + `{"k":"hot","n":1}` + "\n" + `{"k":"hot","n":2,"x":"` + strings.Repeat("x", 2<<20) + "\"}\n" + `{"k":"hot","n":3}` + "\n"
	s.do(t, "POST", "/ingest/e", body, ndjson).want(t, 207, `{"accepted":3,"refused":1,"errors":[{"index":2,"error_code":413,`)
	wantValues(t, b, "rest", `{"k":"hot","n":3}`)
	testkit.ReadTopic(t, b, "main", 2)
	s.do(t, "POST", "/ingest/e", `{"k":"hot","n":3}`, ndjson).want(t, 200, `"dropped":1`)
}
