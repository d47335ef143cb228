package api_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

const structured = "Content-Type: application/cloudevents+json; charset=UTF-8"

// attributes are those of an event in binary mode, with which headers.
func attributes(with ...string) []string {
	return append([]string{"ce-specversion: 1.0", "CE-ID: 1", "ce-source: /app", "ce-type: click"}, with...)
}

// textsOf returns the key, the headers and the value of each record.
func textsOf(records []*kgo.Record) (all []string) {
	for _, r := range records {
		text := string(r.Key) + " |"
		for _, h := range r.Headers {
			text += " " + h.Key + "=" + string(h.Value)
		}
		if r.Value == nil {
			text += " | a deletion"
		} else {
			text += " | " + string(r.Value)
		}
		all = append(all, text)
	}
	return all
}

// CloudEvents become records by Kafka's binding, in each mode of HTTP.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		s := start(t, b)
		post := func(body string, headers ...string) {
			t.Helper()
			s.do(t, "POST", "/ingest/"+topic, body, headers...).want(t, 200, `"refused":0`)
		}
		const event = `{"specversion":"1.0", "id":"1","source":"/app","type":"click","data":{"x": 1}}`
		const keyed = `{"partitionkey":"k\u0031","specversion":"1.0","id":"2","source":"/app","type":"click","data_base64":"AA=="}`
		post(event, structured)
		post("["+event+",\n"+keyed+"]", "Content-Type: application/cloudevents-batch+json")
		post(`{"x": 1}`, attributes("Content-Type: application/json")...)
		post(`[1, 2]`, attributes("Content-Type: application/json")...) // one event, whatever its data
		post("\x00\xFF", attributes("Content-Type: image/png", "ce-Subject: %C3%BC%25 b", `ce-note: "a \"b\""`, "ce-partitionkey: k2")...)
		post("", attributes("ce-time: 2026-01-31T12:00:00Z")...)
		post("\x0A\x00", "Content-Type: application/cloudevents+protobuf")
		post("1\n2\n", attributes(ndjson)...)
		s.do(t, "POST", "/ingest/"+topic, "hello", attributes("Content-Type: text/plain")...).want(t, 204, "")

		const attrs = "ce_id=1 ce_source=/app ce_specversion=1.0 ce_type=click"
		want := []string{
			" | content-type=application/cloudevents+json; charset=UTF-8 | " + event,
			" | content-type=application/cloudevents+json | " + event,
			"k1 | content-type=application/cloudevents+json | " + keyed,
			" | " + attrs + ` content-type=application/json | {"x": 1}`,
			" | " + attrs + ` content-type=application/json | [1, 2]`,
			`k2 | ce_id=1 ce_note=a "b" ce_partitionkey=k2 ce_source=/app ce_specversion=1.0 ce_subject=ü% b ce_type=click content-type=image/png | ` + "\x00\xFF",
			" | " + strings.Replace(attrs, "ce_type", "ce_time=2026-01-31T12:00:00Z ce_type", 1) + " | ",
			" | content-type=application/cloudevents+protobuf | \x0A\x00",
			" | " + attrs + " content-type=application/x-ndjson | 1\n2\n",
			" | " + attrs + " content-type=text/plain | hello",
		}
		for i, got := range textsOf(testkit.ReadTopic(t, b, topic, len(want))) {
			if got != want[i] {
				t.Errorf("record %d is\n%q, not\n%q", i, got, want[i])
			}
		}
	})
}

// An event that is none is refused by itself; what a route takes out of events holds for
// CloudEvents too, their data in binary mode.
func TestCloudEventsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, withRoutes(t, "routes:\n  ce:\n    topic: "+topic+"\n    key: {pointer: /id}\n    headers: {via: ce}\n"))
	post := func(body string, status int, part string, headers ...string) {
		t.Helper()
		s.do(t, "POST", "/ingest/ce", body, headers...).want(t, status, part)
	}
	const event = `{"specversion":"1.0","id":"7","source":"/app","type":"click","partitionkey":"k"}`
	batch := `[` + event + `,{"id":"1"},3,` + strings.Replace(event, "1.0", "0.3", 1) + `,` + strings.Replace(event, `"7"`, `""`, 1) + `]`
	post(batch, 207, `{"accepted":1,"refused":4,"errors":[{"index":1,"error_code":422,"message":"A CloudEvent has source,`, "Content-Type: application/cloudevents-batch+json")
	post(`{"id":"1"}`, 422, "A CloudEvent has source", structured)
	post(event+"x", 400, "not valid JSON", structured)
	post("x", 415, "application/cloudevents-batch+json, not", "Content-Type: application/cloudevents-batch+avro")
	post("{}", 400, "header ce-id", "Content-Type: application/json", "ce-specversion: 1.0", "ce-source: a", "ce-type: b")
	post("{}", 400, `The ce-specversion is \"0.3\"`, "ce-specversion: 0.3", "ce-id: 1", "ce-source: a", "ce-type: b")
	post("{}", 400, "percent-encoded", attributes("ce-subject: %zz")...)
	post("{}", 400, "percent-encoded", attributes("ce-subject: %FF")...)
	post("{}", 400, "letters and digits", attributes("ce-a_b: 1")...)
	post("{", 400, "not valid JSON", attributes("Content-Type: application/json")...)
	post(strings.Replace(event, `"k"`, `"`+strings.Repeat("k", 5000)+`"`, 1), 200, "", structured) // the route has a key
	post(`{"id": 9}`, 200, "", attributes("Content-Type: application/json")...)
	got := textsOf(testkit.ReadTopic(t, b, topic, 3))
	if want := "7 | content-type=application/cloudevents+json via=ce | " + event; got[0] != want {
		t.Errorf("got %s, not %s", got[0], want)
	}
	if want := `9 | ce_id=1 ce_source=/app ce_specversion=1.0 ce_type=click content-type=application/json via=ce | {"id": 9}`; got[2] != want {
		t.Errorf("got %s, not %s", got[2], want)
	}
	long := strings.Replace(event, `"k"`, `"`+strings.Repeat("k", 5000)+`"`, 1)
	s.do(t, "POST", "/ingest/"+topic, long, structured).want(t, 422, "partitionkey is too long")
}
