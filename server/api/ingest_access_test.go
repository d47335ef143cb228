package api_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
)

// A key with ingest on the name of a route writes through that route and nowhere else: neither by
// the topic of the route, nor by another route, nor by another API.
func TestRightToOneRoute(t *testing.T) {
	t.Parallel()
	d := newDoors(t, `
rules:
  - {who: [key:edge], allow: [ingest], topics: [app]}
  - {who: [key:dash], allow: [ingest, produce], topics: [app.events]}
  - {who: [key:root], allow: [all]}
  - {who: ["*"], deny: [produce], topics: [payroll]}
`)
	f := testkit.Fake(t, kfake.SeedTopics(1, "app", "app.events", "other", "payroll"))
	routes := withRoutes(t, `
routes:
  app: {topic: app.events, pixel: true}
  other: {topic: app.events}
  pay: {topic: payroll, pixel: true}
  choose: {topic: {query: t, among: [other, payroll]}}
`)
	s := start(t, f.Broker, func(o *stackOptions) { o.access = d.settings }, routes)
	post := func(path, who string) reply { return s.do(t, "POST", path, `{"n":1}`, jsonBody, who) }
	key := strings.TrimPrefix(d.writeKey, "X-Api-Key: ")

	post("/ingest/app", d.writeKey).want(t, 200, `"accepted":1`)
	post("/ingest/app?api_key="+key, "X-Nothing: 0").want(t, 200, `"accepted":1`)
	s.do(t, "GET", "/ingest/app/pixel.gif?a=1", "", d.writeKey).want(t, 200, "GIF")
	for _, path := range []string{"/ingest/app.events", "/ingest/other", "/ingest/pay", "/ingest/choose?t=other", "/ingest/app%2Eevents"} {
		post(path, d.writeKey).want(t, 403, "may not ingest")
	}
	for _, path := range []string{"/topics/app", "/topics/app.events", "/topics/app.events/partitions/0"} {
		s.do(t, "POST", path, `{"records":[{"value":1}]}`, jsonV2, d.writeKey).want(t, 403, "may not produce")
	}
	for _, who := range []string{d.idleKey, d.dashKey} { // a right to the topic is none to the route
		post("/ingest/app", who).want(t, 403, "may not ingest")
		s.do(t, "GET", "/ingest/app/pixel.gif?a=1", "", who).want(t, 403, "may not ingest")
	}
	post("/ingest/app", "X-Nothing: 0").want(t, 401, "")

	// A deny of the topic holds for whoever would get there by a route.
	for _, path := range []string{"/ingest/pay", "/ingest/payroll", "/ingest/choose?t=payroll"} {
		post(path, d.rootKey).want(t, 403, "may not write to the topic payroll")
	}
	s.do(t, "GET", "/ingest/pay/pixel.gif?a=1", "", d.rootKey).want(t, 403, "payroll")
	post("/ingest/choose?t=other", d.rootKey).want(t, 200, "")
	for topic, want := range map[string]int64{"app": 0, "app.events": 3, "other": 1, "payroll": 0} {
		if got := logEnd(t, f.Broker, topic); got != want {
			t.Errorf("%s has %d records, not %d", topic, got, want)
		}
	}
}

// The records of v3 count for the quotas: those of a batch for the next request, those of a stream
// as it goes on, or one stream would be without bound.
func TestQuotasOfV3Records(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules+`
quotas:
  - {name: edge-records, who: [key:edge], records: 0.01, burst: 300}
  - {name: root-records, who: [key:root], records: 0.01, burst: 300}
`)
	f := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a"))
	s := startV3(t, f.Broker, func(o *stackOptions) { o.access, o.produce.MaxEntries = d.settings, 10 })
	path := s.cluster + "/topics/telemetry-a/records"

	entry := func(id string) string { return `{"id":"` + id + `",` + value(1)[1:] }
	batch := `{"entries":[` + entry("a") + "," + entry("b") + "," + entry("c") + "," + entry("d") + "," + entry("e") + `]}`
	s.do(t, "POST", path+":batch", batch, jsonBody, d.writeKey).want(t, 207, `"failures":[]`)
	s.do(t, "POST", path+":batch", batch, jsonBody, d.writeKey).want(t, 429, "edge-records is used up: it allows 3 records")

	c := s.stream(t, path, d.rootKey)
	for n := range 3 {
		c.send(value(n))
		c.want(ok200)
	}
	c.send(value(3))
	c.want(`"error_code":42911`, "root-records is used up")
	c.end()
	c.wantEnd()
	s.do(t, "POST", path, value(4), jsonBody, d.rootKey).want(t, 429, "root-records is used up")
	if got := logEnd(t, f.Broker, "telemetry-a"); got != 5+3 {
		t.Errorf("the topic has %d records", got)
	}
}
