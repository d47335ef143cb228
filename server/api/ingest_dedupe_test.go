package api_test

import (
	"testing"

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
