package main

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
	"millrace/internal/testkit/spans"
)

// send makes a request with headers, "Name: value" each.
func send(t *testing.T, method, url, body string, headers ...string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
}

// recordsOf reads n records of a topic's partition 0.
func recordsOf(t *testing.T, b testkit.Broker, topic string, n int) (records []*kgo.Record) {
	t.Helper()
	cl := testkit.Client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(records) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func headerOf(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

const (
	theirTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	theirSpan   = "00f067aa0ba902b7"
	otherTrace  = "5bf92f3577b34da6a3ce929d0e0e4737"
	traceparent = "traceparent: 00-" + theirTrace + "-" + theirSpan + "-01"
	jsonRecords = "Content-Type: application/vnd.kafka.json.v2+json"
)

// A request that is part of a trace is told of, with its records: from the
// client that sent it to the reader that got them.
func TestTracing(t *testing.T) {
	t.Parallel()
	collector := spans.StartCollector(t)
	b := testkit.Fake(t).Broker
	p, url := serve(t, b, "--set=tracing.otlp.endpoint="+collector.URL, "--set=tracing.sample.ratio=0")
	topic := testkit.CreateTopic(t, b, 1)
	send(t, "POST", url+"/topics/"+topic, `{"records":[
		{"key":"hidden","value":"secret"},
		{"value":2,"timestamp":1000000000123,"headers":[{"key":"own","value":"eA=="}]},
		{"value":3,"headers":[{"key":"traceparent","value":"MDAtNWJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzctMDBmMDY3YWEwYmE5MDJiNy0wMQ=="}]}
	]}`, jsonRecords, traceparent, "tracestate: vendor=x")
	send(t, "POST", url+"/topics/"+topic, `{"records":[{"value":4}]}`, jsonRecords)                                                    // not part of a trace, and the ratio is 0
	send(t, "POST", url+"/topics/"+topic, `{"records":[{"value":5}]}`, jsonRecords, "traceparent: 00-"+theirTrace+"-"+theirSpan+"-00") // not sampled
	group := url + "/consumers/g"
	send(t, "POST", group, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`, "Content-Type: application/vnd.kafka.v2+json")
	send(t, "POST", group+"/instances/i/assignments", `{"partitions":[{"topic":"`+topic+`","partition":0}]}`, "Content-Type: application/vnd.kafka.v2+json")
	testkit.Eventually(t, 20*time.Second, "the records", func() bool {
		_, body := call(t, "GET", group+"/instances/i/records", "")
		return strings.Contains(body, `"value":3`)
	})
	records := recordsOf(t, b, topic, 5)
	p.Signal(t, syscall.SIGTERM) // hands over the last spans
	if code := p.WaitExit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}

	byName := map[string][]spans.Span{}
	for _, s := range collector.Spans() {
		byName[s.Name] = append(byName[s.Name], s)
		for name, value := range s.Attributes {
			if strings.Contains(value, "hidden") || strings.Contains(value, "secret") {
				t.Errorf("%s tells %s=%s", s.Name, name, value)
			}
		}
	}
	requests := byName["POST /topics/{topic}"]
	if len(requests) != 1 {
		t.Fatalf("%d requests are told of, want 1: %+v", len(requests), byName)
	}
	request := requests[0]
	if request.Trace != theirTrace || request.Parent != theirSpan {
		t.Errorf("the request is %+v", request)
	}
	if a := request.Attributes; a["http.route"] != "/topics/{topic}" || a["http.response.status_code"] != "200" || a["http.request.method"] != "POST" || a["url.path"] != "/topics/"+topic {
		t.Errorf("attributes %v", a)
	}
	written := map[string]spans.Span{}
	for _, s := range byName[topic+" publish"] {
		written["00-"+s.Trace+"-"+s.ID+"-01"] = s
	}
	if len(written) != 3 {
		t.Errorf("%d records are told of, want 3", len(written))
	}
	for i, want := range []spans.Span{{Trace: theirTrace, Parent: request.ID}, {Trace: theirTrace, Parent: request.ID}, {Trace: otherTrace, Parent: theirSpan}} {
		s := written[headerOf(records[i], "traceparent")]
		if s.Trace != want.Trace || s.Parent != want.Parent {
			t.Errorf("record %d, with %q, is of %+v, want %+v", i, records[i].Headers, s, want)
		}
	}
	if records[1].Timestamp.UnixMilli() != 1000000000123 || headerOf(records[1], "own") != "x" || headerOf(records[0], "tracestate") != "vendor=x" {
		t.Errorf("records %v, %v", records[0], records[1])
	}
	if h := headerOf(records[4], "traceparent"); !strings.HasPrefix(h, "00-"+theirTrace) || !strings.HasSuffix(h, "-00") {
		t.Errorf("of a trace that is not sampled the record has %q", h)
	}
	read := map[string]bool{}
	for _, s := range byName[topic+" receive"] {
		read[s.Parent] = true
	}
	for _, s := range written {
		if !read[s.ID] {
			t.Errorf("that record %s was read is not told", s.ID)
		}
	}
}

// Nothing is told, and nothing put into records, unless somebody asked for it.
func TestTracingIsOff(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	_, url := serve(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	send(t, "POST", url+"/topics/"+topic, `{"records":[{"value":1}]}`, jsonRecords, traceparent)
	if h := recordsOf(t, b, topic, 1)[0].Headers; len(h) != 0 {
		t.Errorf("headers %q", h)
	}
}

// A collector that is away costs neither requests nor much of the end.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	p, url := serve(t, b, "--set=tracing.otlp.endpoint=http://127.0.0.1:1", "--set=tracing.sample.ratio=1")
	began := time.Now()
	for range 20 {
		send(t, "POST", url+"/topics/t", `{"records":[{"value":1}]}`, jsonRecords)
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > flushTraces+5*time.Second {
		t.Errorf("took %v", took)
	}
}
