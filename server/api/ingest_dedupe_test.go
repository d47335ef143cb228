package api_test

import (
	"slices"
	"strings"
	"testing"

	"millrace/ingest/deadletter"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// An event whose id was acknowledged is left out, and one that failed may come again.
func TestIngestDoubles(t *testing.T) {
	t.Parallel()
	fake := testkit.Fake(t)
	b := fake.Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, withRoutes(t, `routes:
  app: {topic: `+topic+`, partition: {pointer: /p}, dedupe: {id: {pointer: /id}, window: 1h}}
  one: {topic: `+topic+`, dedupe: {id: {header: X-Event-Id}}, limits: {event_bytes: 9}}
`))
	post := func(route, body string, status int, want string, headers ...string) {
		t.Helper()
		s.do(t, "POST", "/ingest/"+route, body, append(headers, jsonType)...).want(t, status, want)
	}
	post("app", `[{"id":1},{"id":2},{"id":1},{"n":1},{"n":1}]`, 200, `{"accepted":4,"refused":0,"dropped":1}`)
	post("app", `[{"id":2},{"id":3},{"id":1}]`, 200, `{"accepted":1,"refused":0,"dropped":2}`)
	post("app", `{"id":3}`, 200, `{"accepted":0,"refused":0,"dropped":1}`)
	post("app", `[{"id":4,"p":9},{"id":5}]`, 207, `{"accepted":1,"refused":1,"errors":[{"index":0,`) // there is no partition 9
	post("app", `[{"id":5},{"id":4}]`, 200, `{"accepted":1,"refused":0,"dropped":1}`)
	post("one", `[7,8]`, 200, `{"accepted":2,"refused":0}`, "X-Event-Id: a")
	post("one", `[7,8]`, 200, `{"accepted":0,"refused":0,"dropped":2}`, "X-Event-Id: a")
	post("one", `[7,8]`, 200, `{"accepted":2,"refused":0}`, "X-Event-Id: b")
	post("one", `[7,8]`, 200, `{"accepted":2,"refused":0}`)
	testkit.ReadTopic(t, b, topic, 4+1+1+1+2+2+2)
	post("one", `["far too long",8]`, 207, `{"accepted":1,"refused":1,"errors":[{"index":0,`, "X-Event-Id: c")
	post("one", `["mended",8]`, 200, `{"accepted":1,"refused":0,"dropped":1}`, "X-Event-Id: c")
	if all := testkit.ReadTopic(t, b, topic, 13+2); string(all[14].Value) != `"mended"` {
		t.Errorf("%s is written in place of the event that was refused", all[14].Value)
	}
}

// The dead letters of one request are replayed each for itself, also where they have the id of the
// request, or its Idempotency-Key, in common; and one that is replayed again is a double.
func TestIngestReplayOfOneRequest(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	for name, c := range map[string]struct {
		rule  string
		want  []string
		again int
	}{
		"id":  {`dedupe: {id: {header: Idempotency-Key}}`, []string{`1`, `"long enough"`, `"long enough"`}, 0},
		"key": {`headers: {key: {header: Idempotency-Key}}`, []string{`1`, `"long enough"`, `"long enough"`}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
			route := "routes:\n  e: {topic: " + topic + ", dead_letter: " + dead + ", " + c.rule
			narrow, wide := start(t, b, withRoutes(t, route+", limits: {event_bytes: 9}}\n")), start(t, b, withRoutes(t, route+"}\n"))
			const body = `[1,"long enough","long enough"]`
			narrow.do(t, "POST", "/ingest/e", body, jsonType, "Idempotency-Key: a").want(t, 207, `{"accepted":1,"refused":2`)
			p := deadletter.Replayer{URL: wide.base, Topic: dead}
			replay := func() {
				t.Helper()
				err := deadletter.Read(t.Context(), kafka.Settings{Brokers: b.Addrs}, deadletter.Selection{Topic: dead}, func(e deadletter.Event) error {
					return p.Post(t.Context(), e)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			replay()
			replay()
			var got []string
			for _, r := range testkit.ReadTopic(t, b, topic, len(c.want)+c.again) {
				got = append(got, string(r.Value))
			}
			if !slices.Equal(got[:len(c.want)], c.want) {
				t.Errorf("the topic has %q, want %q", got, c.want)
			}
		})
	}
}

// Anybody can say which event of its request one was: what is no such number means nothing.
func TestIngestEventIndexOfAStranger(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	s := start(t, b, withRoutes(t, "routes:\n  e: {topic: "+topic+", dead_letter: "+dead+", dedupe: {id: {header: X-Id}}, limits: {event_bytes: 9}}\n"))
	s.do(t, "POST", "/ingest/e", `1`, jsonType, "X-Id: a").want(t, 200, `{"accepted":1,"refused":0}`)
	hostile := []string{"-1", "2147483648", "99999999999999999999", "0x1", "1.5", "1 2", strings.Repeat("9", 4000)}
	for _, index := range hostile {
		s.do(t, "POST", "/ingest/e", `1`, jsonType, "X-Id: a", "X-Millrace-Event-Index: "+index).want(t, 200, `{"accepted":0,"refused":0,"dropped":1}`)
		s.do(t, "POST", "/ingest/e", `"far too long"`, jsonType, "X-Millrace-Event-Index: "+index).want(t, 413, "dead-letter topic")
	}
	for _, r := range testkit.ReadTopic(t, b, dead, len(hostile)) {
		for _, h := range r.Headers {
			if h.Key == deadletter.Index && string(h.Value) != "0" {
				t.Errorf("the dead letter is of event %s of its request", h.Value)
			}
		}
	}
}

// A dead letter that is refused again when it is replayed is one of the same event of its request.
func TestIngestReplayIsRefusedAgain(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	route := "routes:\n  e: {topic: " + topic + ", dead_letter: " + dead + ", dedupe: {id: {header: X-Id}}"
	narrow, wide := start(t, b, withRoutes(t, route+", limits: {event_bytes: 9}}\n")), start(t, b, withRoutes(t, route+"}\n"))
	narrow.do(t, "POST", "/ingest/e", `["far too long","long enough"]`, jsonType, "X-Id: a").want(t, 413, "dead-letter topic")
	replay := func(s *stack, from int64) {
		t.Helper()
		p := deadletter.Replayer{URL: s.base, Topic: dead}
		err := deadletter.Read(t.Context(), kafka.Settings{Brokers: b.Addrs}, deadletter.Selection{Topic: dead}, func(e deadletter.Event) error {
			if e.Offset >= from {
				_ = p.Post(t.Context(), e)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	replay(narrow, 0)
	testkit.ReadTopic(t, b, dead, 4)
	replay(wide, 2) // those that are new
	for i, r := range testkit.ReadTopic(t, b, topic, 2) {
		if want := []string{`"far too long"`, `"long enough"`}[i]; string(r.Value) != want {
			t.Errorf("record %d is %s, want %s", i, r.Value, want)
		}
	}
}
