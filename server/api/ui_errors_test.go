package api_test

import (
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// awaitError reads snapshots until one lists an error of that place whose message has these words,
// and returns its sample.
func (f *follower) awaitError(where, words string) (topic, client, message string) {
	f.t.Helper()
	f.await("an error of "+where+" with "+words, func(got figures) bool {
		for _, e := range got.Recent {
			if e.Where == where && strings.Contains(e.Message, words) {
				topic, client, message = e.Topic, e.Client, e.Message
				return true
			}
		}
		return false
	})
	return topic, client, message
}

// A record that fails among others has its sample in the list of errors, by whatever way it came,
// though the request was answered with success.
func TestDashboardHasSamplesOfFailedRecords(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 2)
	s := start(t, b.Broker, withUI, withRoutes(t, "routes:\n  app: {topic: "+topic+", partition: {pointer: /p}}\n"),
		func(o *stackOptions) { o.produce.MaxEntries = 10 })
	f := s.follow(t, "/ui/events")
	for _, way := range []struct {
		path, body, media string
		status            int
		words             string
	}{
		{"/topics/" + topic, `{"records":[{"value":1},{"value":2,"partition":31}]}`, jsonV2, 200, "31"},
		{"/topics", `{"records":[{"topic":"` + topic + `","value":1},{"topic":"` + topic + `","value":2,"partition":32}]}`, jsonV2, 200, "32"},
		{s.v3(topic) + "/records:batch", `{"entries":[{"id":"a","value":{"type":"JSON","data":1}},{"id":"b","partition_id":33,"value":{"type":"JSON","data":1}}]}`, jsonType, 207, "33"},
		{s.v3(topic) + "/records", `{"value":{"type":"JSON","data":1}}{"partition_id":34,"value":{"type":"JSON","data":1}}`, jsonType, 200, "34"},
		{"/ingest/app", `[{"p":0},{"p":35}]`, jsonType, 207, "35"},
	} {
		s.do(t, "POST", way.path, way.body, way.media, "Origin: "+s.base).want(t, way.status, way.words)
		of, client, message := f.awaitError("single records", "artition "+way.words)
		if of != topic || !strings.HasPrefix(client, "127.0.0.1") || !strings.HasSuffix(client, ", a page of "+s.base) {
			t.Errorf("%s: the sample is of topic %q, client %q: %s", way.path, of, client, message)
		}
	}
}

// A browser does not send what a preflight does not allow, so that the preflight is all that the
// operator can see of a page that is refused.
func TestDashboardHasRefusedPreflights(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	closed := start(t, b, withUI)
	open := start(t, b, withUI, func(o *stackOptions) {
		o.server.AllowOrigin, o.server.AllowMethods = "https://app.example", "GET,POST"
	})
	toClosed, toOpen := closed.follow(t, "/ui/events"), open.follow(t, "/ui/events")
	const post, del = "Access-Control-Request-Method: POST", "Access-Control-Request-Method: DELETE"
	for _, c := range []struct {
		s       *stack
		f       *follower
		headers []string
		status  int
		words   string
	}{
		{closed, toClosed, of("https://app.example", post), 204, "POST /topics/t: the origin is not in access.control.allow.origin"},
		{open, toOpen, of("https://evil.example", post), 403, "access.control.allow.origin"},
		{open, toOpen, of("https://app.example", del), 204, "DELETE /topics/t: the method DELETE is not among GET, POST"},
		{open, toOpen, of("https://app.example", post, "Access-Control-Request-Headers: content-type, x-mine"), 204, "the header x-mine is not in access.control.allow.headers"},
	} {
		before := c.s.server.Metrics().OriginsRefused.Load()
		c.s.do(t, "OPTIONS", "/topics/t", "", c.headers...).want(t, c.status, "")
		if n := c.s.server.Metrics().OriginsRefused.Load() - before; n != 1 {
			t.Errorf("%q: %d refused origins are counted", c.headers, n)
		}
		where := "OPTIONS any"
		if c.status == 403 {
			where = "unmatched"
		}
		if _, client, _ := c.f.awaitError(where, c.words); !strings.Contains(client, "127.0.0.1, a page of https://") {
			t.Errorf("%q: the client is %q", c.headers, client)
		}
	}
	// A preflight that is allowed, and a request that only looks like one, are no errors.
	before := open.server.Metrics().OriginsRefused.Load()
	open.do(t, "OPTIONS", "/topics/t", "", of("https://app.example", post, "Access-Control-Request-Headers: content-type")...).want(t, 204, "")
	open.do(t, "OPTIONS", "/topics/t", "", "Origin: "+open.base, del).want(t, 204, "")
	open.do(t, "OPTIONS", "/topics/t", "").want(t, 204, "")
	if n := open.server.Metrics().OriginsRefused.Load() - before; n != 0 {
		t.Errorf("%d refused origins are counted", n)
	}
}
