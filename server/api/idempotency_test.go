package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
	v3api "millrace/server/v3"
)

const (
	keyA = "Idempotency-Key: a"
	keyB = "Idempotency-Key: b"
)

// replayed fails t unless the reply is the remembered answer first.
func (r reply) replayed(t *testing.T, first reply) {
	t.Helper()
	if r.status != first.status || r.body != first.body || r.header.Get("Content-Type") != first.header.Get("Content-Type") || r.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("got %d %q %v\nwant that of before: %d %q", r.status, r.body, r.header, first.status, first.body)
	}
	if first.header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer says that it is another's")
	}
}

// Each API that writes records answers a request with a key once more, and writes it once; another
// key, or none, writes again.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b, func(o *stackOptions) { o.produce = v3api.ProduceSettings{MaxEntries: 10} })
		topic := testkit.CreateTopic(t, b, 1)
		const records, event = `{"records":[{"value":1},{"value":2}]}`, `{"value":{"type":"JSON","data":1}}`
		written := int64(0)
		for _, call := range []struct {
			path, body, contentType string
			records                 int64
			status                  int
		}{
			{"/topics/" + topic, records, jsonV2, 2, 200},
			{"/topics/" + topic + "/partitions/0", records, jsonV2, 2, 200},
			{"/topics", `{"records":[{"topic":"` + topic + `","value":1}]}`, jsonV2, 1, 200},
			{s.v3(topic) + "/records", event + event + `{"value":{"type":"BINARY","data":5}}` + event, jsonBody, 3, 200},
			{s.v3(topic) + "/records", strings.Repeat(event, 1000), jsonBody, 1000, 200},
			{s.v3(topic) + "/records:batch", `{"entries":[{"id":"1",` + event[1:] + `]}`, jsonBody, 1, 207},
			{"/ingest/" + topic, "{\"n\":1}\nbad\n{\"n\":2}\n", "Content-Type: application/x-ndjson", 2, 207},
			{"/ingest/" + topic + "?key=k", `{"n":1}`, "Content-Type: text/plain", 1, 204},
		} {
			key := fmt.Sprintf("Idempotency-Key: of %s %d", call.path, len(call.body))
			first := s.do(t, "POST", call.path, call.body, call.contentType, key).want(t, call.status, "")
			s.do(t, "POST", call.path, call.body, call.contentType, key).replayed(t, first)
			s.do(t, "POST", call.path+"/", call.body, call.contentType, key)
			s.do(t, "POST", call.path, " "+call.body, call.contentType, key).want(t, 422, `{"error_code":42210,`)
			written += call.records
			if got := logEnd(t, b, topic); got != written {
				t.Fatalf("%s with one key: %d records, want %d", call.path, got, written)
			}
			s.do(t, "POST", call.path, call.body, call.contentType, key+"'").want(t, call.status, "")
			s.do(t, "POST", call.path, call.body, call.contentType).want(t, call.status, "")
			if written += 2 * call.records; logEnd(t, b, topic) != written {
				t.Fatalf("%s with another key, and with none: %d records, want %d", call.path, logEnd(t, b, topic), written)
			}
		}
		s.do(t, "GET", "/metrics", "").want(t, 200, "\nmillrace_http_idempotent_replays_total 1")
	})
}

// Many requests with one key at a time: one is carried out, the others are told to ask again, and
// then get its answer.
func TestOneOfManyWithOneKeyIsCarriedOut(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	s := start(t, f.Broker)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	held := make(chan struct{})
	f.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.SleepControl(func() { <-held })
		return nil, nil, false
	})
	post := func() reply { return s.do(t, "POST", "/ingest/"+topic, `{"n":1}`, jsonBody, keyA) }
	const clients = 20
	answers := make(chan reply, clients)
	for range clients {
		go func() { answers <- post() }()
	}
	for range clients - 1 {
		r := (<-answers).want(t, 409, `{"error_code":40904,`)
		if r.header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %s", r.body)
		}
	}
	close(held)
	first := (<-answers).want(t, 200, `{"accepted":1,"refused":0}`)
	var again sync.WaitGroup
	for range clients {
		again.Go(func() { post().replayed(t, first) })
	}
	again.Wait()
	if got := logEnd(t, f.Broker, topic); got != 1 {
		t.Errorf("the topic has %d records", got)
	}
}

// A key is its caller's and its path's: nobody else gets its answer, or learns that it is in use.
func TestKeysAreOfTheirCaller(t *testing.T) {
	t.Parallel()
	d := newDoors(t, `
rules:
  - {who: [key:edge, key:dash], allow: [ingest, produce], topics: [shared, other]}
`)
	f := testkit.Fake(t, kfake.SeedTopics(1, "shared", "other"))
	s := start(t, f.Broker, func(o *stackOptions) { o.access = d.settings })
	post := func(path, who, body string) reply { return s.do(t, "POST", path, body, jsonBody, who, keyA) }
	first := post("/ingest/shared", d.writeKey, `{"n":1}`).want(t, 200, "")
	if r := post("/ingest/shared", d.dashKey, `{"n":1}`).want(t, 200, ""); r.header.Get("Idempotent-Replayed") != "" {
		t.Error("the answer of another caller")
	}
	post("/ingest/shared", d.dashKey, `{"n":2}`).want(t, 422, "42210")
	post("/ingest/other", d.writeKey, `{"n":2}`).want(t, 200, "")
	post("/ingest/shared", d.idleKey, `{"n":1}`).want(t, 403, "may not ingest")
	post("/ingest/shared", d.writeKey, `{"n":1}`).replayed(t, first)
	if got := logEnd(t, f.Broker, "shared"); got != 2 {
		t.Errorf("the topic has %d records, not one of each caller", got)
	}
}

// A request that wrote nothing may come again with its key. One of which it is not known whether
// its records are written may not: it is answered so again.
func TestKeysOfRequestsThatFailed(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	s := start(t, f.Broker, func(o *stackOptions) { o.create = false; o.producer.DeliveryTimeout = 3 * time.Second })
	late := testkit.Topic(t)
	s.do(t, "POST", "/ingest/"+late, `{"n":1}`, jsonBody, keyA).want(t, 404, "40401")
	if _, err := kadm.NewClient(testkit.Client(t, f.Broker)).CreateTopic(t.Context(), 1, 1, nil, late); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "the new topic", func() bool {
		return s.do(t, "POST", "/ingest/"+late, `{"n":1}`, jsonBody, keyA).status == 200
	})
	s.do(t, "POST", "/topics/"+late, `{"records":[{"valu":1}]}`, jsonV2, keyA).want(t, 422, "")
	s.do(t, "POST", "/topics/"+late, `{"records":[{"value":1}]}`, jsonV2, keyA).want(t, 200, "")

	topic := testkit.CreateTopic(t, f.Broker, 2)
	asked := 0
	f.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		asked++
		return answerProduce(r.(*kmsg.ProduceRequest)), nil, true
	})
	for try := range 3 {
		r := s.do(t, "POST", "/topics/"+topic+"/partitions/1", `{"records":[{"value":2}]}`, jsonV2, keyB).want(t, 504, `"error_code":50401`)
		if got, want := r.header.Get("Idempotent-Replayed"), map[bool]string{true: "", false: "true"}[try == 0]; got != want {
			t.Errorf("try %d: Idempotent-Replayed %q", try, got)
		}
	}
	const mixed = `{"records":[{"value":1,"partition":0},{"value":2,"partition":1}]}`
	first := s.do(t, "POST", "/topics/"+topic, mixed, jsonV2, keyA).want(t, 200, `"error_code":50401`)
	before := asked
	s.do(t, "POST", "/topics/"+topic, mixed, jsonV2, keyA).replayed(t, first)
	if asked != before {
		t.Error("a replay went to Kafka")
	}
}

// The window ends, what it holds is bounded, keys must be keys, and without a window they are
// ignored, as is what a restart forgets.
func TestBoundsOfKeys(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	path, written := "/ingest/"+topic, int64(0)
	post := func(s *stack, key string, fresh bool) {
		t.Helper()
		r := s.do(t, "POST", path, `{"n":1}`, jsonBody, "Idempotency-Key: "+key).want(t, 200, "")
		if got := r.header.Get("Idempotent-Replayed") == ""; got != fresh {
			t.Errorf("%s: carried out %v, want %v", key, got, fresh)
		}
		if fresh {
			written++
		}
	}
	s := start(t, f.Broker, func(o *stackOptions) { o.server.Idempotency.MaxBytes = 64 << 10 })
	for key, want := range map[string]string{strings.Repeat("k", 256): "256 bytes", "kéy": "printable", "a\tb": "printable"} {
		s.do(t, "POST", path, `{"n":1}`, jsonBody, "Idempotency-Key: "+key).want(t, 400, want)
	}
	s.do(t, "POST", path, `{"n":1}`, jsonBody, keyA, keyB).want(t, 400, "more than one")
	post(s, strings.Repeat("k", 255), true)
	post(s, strings.Repeat("k", 255), false)
	for n := range 200 {
		post(s, fmt.Sprint("many ", n), true)
	}
	post(s, "many 199", false)
	post(s, "many 0", true)
	large := `{"records":[` + strings.Repeat(`{"value":1},`, 999) + `{"value":1}]}`
	s.do(t, "POST", "/topics/"+topic, large, jsonV2, keyA).want(t, 200, "")
	s.do(t, "POST", "/topics/"+topic, large, jsonV2, keyA).want(t, 409, `{"error_code":40905,`).want(t, 409, "status 200")
	s.do(t, "POST", "/topics/"+topic, large, jsonV2, keyB, "Prefer: return=minimal").want(t, 204, "")
	s.do(t, "POST", "/topics/"+topic, large, jsonV2, keyB, "Prefer: return=minimal").want(t, 204, "")
	written += 2000

	post(start(t, f.Broker), "many 199", true) // as after a restart, and on another node
	off := start(t, f.Broker, func(o *stackOptions) { o.server.Idempotency.Window = 0 })
	post(off, "off", true)
	post(off, "off", true)
	short := start(t, f.Broker, func(o *stackOptions) { o.server.Idempotency.Window = time.Nanosecond })
	post(short, "short", true)
	post(short, "short", true)
	if got := logEnd(t, f.Broker, topic); got != written {
		t.Errorf("%d records, want %d", got, written)
	}
}

// The results of a v3 request that are sent together are charged: those of tiny records are a
// hundred times as large. It is not known then which are written, and that is remembered.
func TestResultsOfAKeyAreBounded(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	s := start(t, f.Broker, func(o *stackOptions) { o.server.Bodies.Memory = 2 << 20 })
	topic := testkit.CreateTopic(t, f.Broker, 1)
	path, body := s.v3(topic)+"/records", strings.Repeat("{}", 50_000)
	s.do(t, "POST", path, body, jsonBody, keyA).want(t, 504, "50401")
	again := s.do(t, "POST", path, body, jsonBody, keyA).want(t, 504, "50401")
	if again.header.Get("Idempotent-Replayed") != "true" || logEnd(t, f.Broker, topic) > 50_000 {
		t.Errorf("it was carried out again: %v, %d records", again.header, logEnd(t, f.Broker, topic))
	}
	s.do(t, "POST", path, "{}", jsonBody, keyB).want(t, 200, ok200)
}
