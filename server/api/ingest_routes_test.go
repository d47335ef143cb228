package api_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"millrace/ingest"
	"millrace/ingest/deadletter"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// withRoutes gives a stack the routes of a file's text.
func withRoutes(t *testing.T, text string) func(*stackOptions) {
	t.Helper()
	table, faults := ingest.ParseRoutes([]byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return func(o *stackOptions) { o.ingest.Routes = table }
}

// recordsOf shows the records of a topic, one a line.
func recordsOf(t *testing.T, b testkit.Broker, topic string, n int) string {
	t.Helper()
	var out strings.Builder
	for _, r := range testkit.ReadTopic(t, b, topic, n) {
		fmt.Fprintf(&out, "%d key=%q value=%s", r.Partition, r.Key, r.Value)
		for _, h := range r.Headers {
			fmt.Fprintf(&out, " %s=%s", h.Key, h.Value)
		}
		if ms := r.Timestamp.UnixMilli(); ms < 1_750_000_000_000 {
			fmt.Fprintf(&out, " at %d", ms)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

const ndjson = "Content-Type: application/x-ndjson"

func TestIngestRules(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 3)
	s := start(t, b.Broker, withRoutes(t, `routes:
  app:
    topic: `+topic+`
    key: {pointer: /user/id, required: true}
    partition: {query: p}
    timestamp: {pointer: /ts}
    headers:
      source: app
      kind: {pointer: /kind}
      trace: {header: traceparent}
      v: {query: v}
`))
	body := `{"user":{"id":"u-\u0031"},"ts":1700000000000,"kind":"tap"}
{"user":{"id":17},"ts":"2023-11-14T22:13:21Z"}
{"user":{}}
{"user":{"id":"x"},"ts":"tomorrow"}
{"user":{"id":"` + strings.Repeat("x", 5000) + `"}}
{"user":{"id":true},"ts":1700000000002.75,"kind":{"a": [1]}}
`
	r := s.do(t, "POST", "/ingest/app?p=2&v=1.2", body, ndjson, "Traceparent: 00-ab-cd-01")
	for _, part := range []string{
		`{"accepted":3,"refused":3,"errors":[{"index":2,"error_code":422,"message":"The route needs a key (/user/id), and there is none.","retry":false}`,
		`{"index":3,"error_code":422,"message":"The timestamp (/ts) must be a number of milliseconds since 1970, or an ISO-8601 time such as 2026-01-31T12:00:00Z, not \"tomorrow\".","retry":false}`,
		`{"index":4,"error_code":422,"message":"The key (/user/id) is too long: it may have 4096 bytes.","retry":false}`,
	} {
		r.want(t, 207, part)
	}
	const headers = " source=app"
	lines := strings.Split(body, "\n")
	want := `2 key="u-1" value=` + lines[0] + headers + ` kind=tap trace=00-ab-cd-01 v=1.2 at 1700000000000
2 key="17" value=` + lines[1] + headers + ` trace=00-ab-cd-01 v=1.2 at 1700000001000
2 key="true" value=` + lines[5] + headers + ` kind={"a": [1]} trace=00-ab-cd-01 v=1.2 at 1700000000002
`
	if got := recordsOf(t, b.Broker, topic, 3); got != want {
		t.Errorf("the records are\n%swant\n%s", got, want)
	}
	s.do(t, "POST", "/ingest/app?p=2&q=1", body, ndjson).want(t, 400, `This ingest route takes no query parameter \"q\"; it takes p, v.`)
	s.do(t, "POST", "/ingest/app?p=x", body, ndjson).want(t, 422, `The partition (query parameter p) must be the number of a partition, not \"x\".`)
	s.do(t, "POST", "/ingest/app?p=9", `{"user":{"id":1}}`, ndjson).want(t, 404, `"error_code":40402`)
	s.do(t, "POST", "/ingest/app", `{"user":{"id":1}}`, "Content-Type: text/csv").want(t, 422, "needs a key")
	recordsOf(t, b.Broker, topic, 3)
	s.do(t, "POST", "/ingest/"+topic+"?key=k%201", `{"n":1}`, ndjson).want(t, 200, `"accepted":1`) // a default route
	if got := recordsOf(t, b.Broker, topic, 4); !strings.Contains(got, ` key="k 1" value={"n":1}`+"\n") {
		t.Errorf("the records are\n%s", got)
	}
}

func TestIngestTopicsOfARoute(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	one, two := testkit.CreateTopic(t, b.Broker, 1), testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker, withRoutes(t, `routes:
  many: {topic: {header: X-Topic, among: [`+one+", "+two+`]}}
  small: {topic: `+one+`, limits: {bytes: 30, events: 2, event_bytes: 9}}
  `+two+`: {topic: `+one+`}
`), func(o *stackOptions) { o.ingest.DefaultRoutes = false })
	s.do(t, "POST", "/ingest/many", "1", ndjson, "X-Topic: "+two).want(t, 200, "")
	s.do(t, "POST", "/ingest/many", "1", ndjson, "X-Topic: other").want(t, 422, `must be one of `+one+", "+two+`, not \"other\"`)
	s.do(t, "POST", "/ingest/many", "1", ndjson).want(t, 422, "The topic (header X-Topic) must be one of")
	s.do(t, "POST", "/ingest/small", "1\n\"12345678\"\n", ndjson).want(t, 207, `{"index":1,"error_code":413,"message":"The event has 10 bytes; the route takes 9.","retry":false}`)
	s.do(t, "POST", "/ingest/small", "1\n2\n3\n", ndjson).want(t, 413, "more than 2 events")
	s.do(t, "POST", "/ingest/small", strings.Repeat("1 ", 16), "Content-Type: application/json").want(t, 413, "the ingest route takes 30")
	s.do(t, "POST", "/ingest/"+two, "4", ndjson).want(t, 200, "") // the file outweighs the topic
	s.do(t, "POST", "/ingest/"+one, "4", ndjson).want(t, 404, "There is no ingest route")
	wantValues(t, b.Broker, one, "1", "4")
	wantValues(t, b.Broker, two, "1")
}

func TestIngestPixel(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker, withRoutes(t, `routes:
  mail: {topic: `+topic+`, pixel: true, key: {query: id}, headers: {agent: {header: User-Agent}}}
  plain: {topic: `+topic+`}
`))
	page := []string{"User-Agent: mail", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}
	r := s.do(t, "GET", `/ingest/mail/pixel.gif?id=7&e=op%22en&e=open&%FF=%00`, "", page...).want(t, 200, "GIF89a")
	if r.header.Get("Content-Type") != "image/gif" || r.header.Get("Cache-Control") != "no-store" || len(r.body) != 43 {
		t.Errorf("the picture has %d bytes and the header %v", len(r.body), r.header)
	}
	s.do(t, "HEAD", "/ingest/mail/pixel.gif?id=8", "", page...).want(t, 200, "")
	s.do(t, "GET", "/ingest/mail/pixel.gif", "").want(t, 422, "The query of pixel.gif")
	s.do(t, "GET", "/ingest/plain/pixel.gif?a=1", "").want(t, 404, "has no pixel.gif")
	s.do(t, "GET", "/ingest/"+topic+"/pixel.gif?a=1", "").want(t, 404, "has no pixel.gif")
	if got, want := recordsOf(t, b.Broker, topic, 1), `0 key="7" value={"id":"7","e":"open","`+"\uFFFD"+`":"\u0000"} agent=mail`+"\n"; got != want {
		t.Errorf("the record is\n%swant\n%s", got, want)
	}
}

// An event of a picture that its route refused is replayed as what it is, the JSON of a query.
func TestIngestPixelIsReplayed(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	route := func(key string) func(*stackOptions) {
		return withRoutes(t, "routes:\n  mail: {topic: "+topic+", pixel: true, dead_letter: "+dead+", key: {pointer: "+key+", required: true}}\n")
	}
	start(t, b, route("/id")).do(t, "GET", "/ingest/mail/pixel.gif?e=open", "").want(t, 422, "kept in the dead-letter topic")
	mended := deadletter.Replayer{URL: start(t, b, route("/e")).base, Topic: dead}
	err := deadletter.Read(t.Context(), kafka.Settings{Brokers: b.Addrs, ClientID: "millrace-test", Logger: slog.New(slog.DiscardHandler)}, deadletter.Selection{Topic: dead}, func(e deadletter.Event) error {
		return mended.Post(t.Context(), e)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := recordsOf(t, b, topic, 1), `0 key="open" value={"e":"open"}`+"\n"; got != want {
		t.Errorf("the record is %s, want %s", got, want)
	}
}
