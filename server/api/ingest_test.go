package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

func TestIngestExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic, made := testkit.CreateTopic(t, b, 1), testkit.Topic(t)
		testkit.RunExchanges(t, "testdata/ingest.txt", s.base, map[string]string{"topic": topic, "new": made})
		wantValues(t, b, made, `{"event":"click"}`)
		wantValues(t, b, topic, `{"n": 1}`, `{"n":2}`, `3`, `"four"`,
			`{"n":5}`, `{"n":6}`, `{"n":7}`, `{"n":8}`, `{"n":9}`, `{"n":10}`, `[11,11]`, `{"n":12}`, `{"n":15}`,
			`{"n":16}`, `{"n":17}`, `{"n":18}`, `{"n":19}`, `{"n":20} any bytes`, `no type`, `{"n":21}`)
	})
}

// wantValues checks that a topic of one partition has just these records, without keys.
func wantValues(t *testing.T, b testkit.Broker, topic string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range testkit.ReadTopic(t, b, topic, len(want)) {
		got = append(got, string(r.Value))
		if r.Key != nil {
			t.Errorf("%s has the key %q", r.Value, r.Key)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the topic %s has\n%q\nwant\n%q", topic, got, want)
	}
}

func TestIngestUnpacks(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	encodings := []string{"gzip", "deflate", "br", "zstd", "identity"}
	var want []string
	for _, e := range encodings {
		s.do(t, "POST", "/ingest/"+topic, encode(t, e, `{"as":"`+e+`"}`), "Content-Type: application/x-ndjson", "Content-Encoding: "+e).want(t, 200, `{"accepted":1,"refused":0}`)
		want = append(want, `{"as":"`+e+`"}`)
	}
	wantValues(t, b.Broker, topic, want...)
}

// An event that Kafka could not store is named; its neighbours are written.
func TestIngestNamesWhatKafkaRefuses(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.batch.BatchBytes, o.producer.MaxRequestBytes = 4096, 4096 })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	big := `{"big":"` + strings.Repeat("x", 8000) + `"}`
	body := "{\"n\":0}\nbad\n" + big + "\n{\"n\":3}\n"
	r := s.do(t, "POST", "/ingest/"+topic, body, "Content-Type: application/x-ndjson").want(t, 207, `{"accepted":2,"refused":2,"errors":[{"index":1,"error_code":400,`)
	r.want(t, 207, `},{"index":2,"error_code":413,"message":"The record takes`).want(t, 207, `"retry":false}]}`)
	wantValues(t, b.Broker, topic, `{"n":0}`, `{"n":3}`)
	s.do(t, "GET", "/metrics", "").want(t, 200, `millrace_produce_records_total{format="ingest"} 2`)
	s.do(t, "GET", "/metrics", "").want(t, 200, `millrace_produce_failed_records_total{error="body_too_large",error_code="413"} 1`)
}

func TestIngestBounds(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.ingest.MaxEvents, o.server.MaxBodyBytes = 3, 100 })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/ingest/"+topic, "[1,2,3]", "Content-Type: application/json").want(t, 200, `"accepted":3`)
	s.do(t, "POST", "/ingest/"+topic, "[1,2,3,4]", "Content-Type: application/json").want(t, 413, "request.max.records")
	s.do(t, "POST", "/ingest/"+topic, strings.Repeat("x", 101), "Content-Type: text/csv").want(t, 413, "request.max.bytes")
	wantValues(t, b.Broker, topic, "1", "2", "3")
}

func TestIngestWithoutDefaultRoutes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.ingest.DefaultRoutes = false })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/ingest/"+topic, "{}", "Content-Type: application/json").want(t, 404, "ingest.routes.default")
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).want(t, 200, `"offset":0`)
}

// No body is read, and none answered with success, while no broker can take it.
func TestIngestWithoutBrokers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	b.Cluster.Close()
	testkit.Eventually(t, 30*time.Second, "the outage to be known", func() bool { return s.do(t, "GET", "/readyz", "").status == 503 })
	r := s.do(t, "POST", "/ingest/"+topic, "{}", "Content-Type: text/plain").want(t, 503, `"error_code":50303`)
	if r.header.Get("Retry-After") != "1" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("the answer's header is %v", r.header)
	}
}

// A v2 client that prefers a short answer gets none where all is written.
func TestProduceMinimal(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	const minimal = "Prefer: return=minimal"
	r := s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1},{"value":2}]}`, jsonV2, minimal).want(t, 204, "")
	if r.body != "" || r.header.Get("Content-Type") != "" {
		t.Errorf("the answer has %q of type %s", r.body, r.header.Get("Content-Type"))
	}
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":3},{"value":4,"partition":9}]}`, jsonV2, minimal).want(t, 200, `{"offsets":[{"partition":0,"offset":2,`)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":4,"partition":9}]}`, jsonV2, minimal).want(t, 404, `"error_code":40402`)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":5}]}`, jsonV2, "Prefer: return=representation").want(t, 200, `"offset":3`)
	wantValues(t, b.Broker, topic, "1", "2", "3", "5")
	s.do(t, "GET", "/metrics", "").want(t, 200, `millrace_produce_records_total{format="json"} 4`)
}
