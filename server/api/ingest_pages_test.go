package api_test

import (
	"strings"
	"testing"

	"millrace/internal/testkit"
)

const (
	beaconText = "Content-Type: text/plain;charset=UTF-8"
	allowOrig  = "Access-Control-Allow-Origin"
	allowCreds = "Access-Control-Allow-Credentials"
)

// of is what a browser sends along for a page of an origin.
func of(origin string, more ...string) []string {
	return append([]string{"Origin: " + origin, "Sec-Fetch-Site: cross-site"}, more...)
}

// A route says itself which pages may post to it.
func TestIngestFromPages(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker, withRoutes(t, `routes:
  web:
    topic: `+topic+`
    headers: {build: {header: X-Build}}
    cors: {origins: [https://app.example, "https://*.shop.example"], credentials: true}
  plain: {topic: `+topic+`}
`))
	refused := 0
	post := func(path, origin string, status int, more ...string) {
		t.Helper()
		r := s.do(t, "POST", path, "{}", of(origin, append(more, beaconText)...)...).want(t, status, "")
		if status == 403 {
			refused++
			if r.header.Get(allowOrig) != "" {
				t.Errorf("a page of %s may read the refusal", origin)
			}
		} else if r.header.Get(allowOrig) != origin || r.header.Get(allowCreds) != "true" || !strings.Contains(strings.Join(r.header.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: the header is %v", origin, r.header)
		}
	}
	post("/ingest/web", "https://app.example", 204)
	post("/ingest/web", "https://eu.shop.example", 204)
	post("/ingest/web", "https://a.b.shop.example", 204)
	for _, origin := range []string{
		"https://evil.example", "null", "http://app.example", "https://app.example:444", "https://shop.example",
		"https://evil.example/.shop.example", "https://evil.example:1@x.shop.example", "https://.evilshop.example",
	} {
		post("/ingest/web", origin, 403)
		post("/ingest/%77eb", origin, 403)
	}
	post("/ingest/plain", "https://app.example", 403)
	post("/ingest/"+topic, "https://app.example", 403)
	s.do(t, "GET", "/metrics", "").want(t, 200, "\nmillrace_http_origins_refused_total 18\n")
	if log := s.log.String(); !strings.Contains(log, "page of another origin refused") || !strings.Contains(log, "evil.example") || strings.Count(log, "another origin refused") > refused/2 {
		t.Errorf("%d were refused, the log is\n%s", refused, log)
	}
	wantValues(t, b.Broker, topic, "{}", "{}", "{}")
}

// A beacon of a Blob, and a fetch of JSON, ask first; the answer is kept.
func TestIngestPreflight(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker, withRoutes(t, `routes:
  web: {topic: `+topic+`, headers: {build: {header: X-Build}}, cors: {origins: [https://app.example], credentials: true}}
`), func(o *stackOptions) { o.server.AllowOrigin = "https://other.example" })
	ask := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-build"}
	r := s.do(t, "OPTIONS", "/ingest/web", "", of("https://app.example", ask...)...).want(t, 204, "")
	for name, want := range map[string]string{allowOrig: "https://app.example", allowCreds: "true", "Access-Control-Max-Age": "7200", "Access-Control-Allow-Methods": "OPTIONS, POST"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := r.header.Get("Access-Control-Allow-Headers"); !strings.Contains(got, "Content-Type") || !strings.HasSuffix(got, ", X-Build") {
		t.Errorf("a page may send %s", got)
	}
	s.do(t, "OPTIONS", "/ingest/web", "", of("https://other.example", ask...)...).want(t, 403, "")
	r = s.do(t, "OPTIONS", "/ingest/"+topic, "", of("https://other.example", ask...)...).want(t, 204, "")
	if r.header.Get(allowOrig) != "https://other.example" || r.header.Get(allowCreds) != "" {
		t.Errorf("the header is %v", r.header)
	}
}

// A page sees why its request failed, and when to send it again, also where the body was not read.
func TestPagesReadErrors(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.server.AllowOrigin, o.server.MaxBodyBytes = "https://app.example", 20_000 })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	for body, status := range map[string]int{strings.Repeat(" ", 30_000): 413, "x": 400} {
		for _, path := range []string{"/ingest/" + topic, "/topics/" + topic} {
			r := s.do(t, "POST", path, body, of("https://app.example", jsonV2)...)
			if r.status != status && r.status != 415 || r.header.Get(allowOrig) != "https://app.example" {
				t.Errorf("%s: %d with the header %v", path, r.status, r.header)
			}
		}
	}
}
