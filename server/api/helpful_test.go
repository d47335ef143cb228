package api_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server"
)

// The error of a first request names its mistake, and the header or member to send instead.
func TestFirstErrors(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, func(o *stackOptions) { o.server.MaxBodyBytes, o.rest.MaxRecords = 100_000, 10 })
	path := "/topics/" + topic
	const event = `{"records":[{"value":{"a":1}}]}`

	// As curl --json sends it.
	s.do(t, "POST", path, event, "Content-Type: application/json", "Accept: application/json").
		want(t, 400, "records[0].value").want(t, 400, "application/vnd.kafka.json.v2+json")
	s.do(t, "POST", path, event, binaryV2).want(t, 400, `or null"}`)

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(event))
	_ = w.Close()
	s.do(t, "POST", path, packed.String(), jsonV2).want(t, 400, "Content-Encoding: gzip")
	s.do(t, "POST", path, packed.String(), jsonV2, "Content-Encoding: gzip").want(t, 200, "")
	s.do(t, "POST", "/consumers/g", packed.String(), plainV2).want(t, 400, "Content-Encoding: gzip")
	s.do(t, "POST", path, "\x28\xb5\x2f\xfd\x00", jsonV2).want(t, 400, "Content-Encoding: zstd")

	s.do(t, "POST", path, `{"records":[`+strings.Repeat(`{"value":1},`, 10)+`{"value":1}]}`, jsonV2).want(t, 413, "10 records (request.max.records)")
	s.do(t, "POST", path, strings.Repeat(" ", 100_001), jsonV2).want(t, 413, "request.max.bytes is 100000")
	packed.Reset()
	w.Reset(&packed)
	_, _ = w.Write(bytes.Repeat([]byte(" "), 100_001))
	_ = w.Close()
	s.do(t, "POST", path, packed.String(), jsonV2, "Content-Encoding: gzip").want(t, 413, "100000 bytes (request.max.bytes)")

	small := start(t, b, func(o *stackOptions) { o.batch.BatchBytes = 1000 })
	small.do(t, "POST", path, fmt.Sprintf(`{"records":[{"value":%q}]}`, strings.Repeat("x", 2000)), jsonV2).
		want(t, 413, "The record takes 20").want(t, 413, "at most 1000 are allowed (producer.max.request.size)")
	small.do(t, "POST", path, fmt.Sprintf(`{"records":[{"value":%q},{"value":%[1]q}]}`, strings.Repeat("x", 2000)), jsonV2).
		want(t, 413, "records[0]: The record takes 20")
}

// A query parameter that would have meant something is refused, another one is ignored, as by the
// Confluent proxy, except on paths that it does not have.
func TestQueryParameters(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	for _, name := range []string{"key", "partition", "headers", "timestamp"} {
		for _, path := range []string{"/topics/" + topic, "/topics/" + topic + "/partitions/0"} {
			s.do(t, "POST", path+"?"+name+"=1", `{"records":[{"value":1}]}`, jsonV2).want(t, 400, name+" is no query parameter here")
		}
	}
	s.do(t, "POST", "/topics/"+topic+"?pretty&api_key=x", `{"records":[{"value":1}]}`, jsonV2).want(t, 200, `"offset":0`)
	i := createConsumer(t, s, "")
	s.do(t, "POST", i+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	const accept = "Accept: application/vnd.kafka.json.v2+json"
	for wrong, right := range map[string]string{"maxBytes": "max_bytes", "max_byte": "max_bytes", "time-out": "timeout", "Timeout": "timeout", "header": "headers"} {
		s.do(t, "GET", i+"/records?"+wrong+"=1", "", accept).want(t, 400, "did you mean "+right)
	}
	s.do(t, "GET", i+"/records?pretty=true&timeout=0", "", accept).want(t, 200, "")
	s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=0&pretty=true", "", accept).want(t, 400, `no query parameter \"pretty\"; this path has offset,`)
	s.do(t, "GET", "/topics/"+topic+"/stream?since=0", "").want(t, 400, `\"since\"`)
	s.do(t, "GET", "/topics?max-age=5", "").want(t, 400, "did you mean max_age")
}

// The query parameters of each route are those that the document has.
func TestQueryParametersAreDocumented(t *testing.T) {
	t.Parallel()
	doc := newContract(t, start(t, testkit.Fake(t).Broker).base)
	for r := range everything().Routes() {
		var documented []string
		for n := range 50 {
			p := doc.at(doc.root, "paths", r.Path, strings.ToLower(r.Method), "parameters", fmt.Sprint(n))
			if of, _ := p.value.(map[string]any); of != nil && of["in"] == "query" {
				documented = append(documented, of["name"].(string))
			}
		}
		known := slices.Sorted(slices.Values(r.Query.Known))
		slices.Sort(documented)
		if !slices.Equal(known, documented) {
			t.Errorf("%s %s reads %v, openapi.yaml has %v", r.Method, r.Path, known, documented)
		}
	}
}

// A name that Kafka does not let stand beside another one is refused at once.
func TestCollidingTopicNames(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		name := strings.ReplaceAll(testkit.Group(t), "_", "-")
		s.do(t, "POST", "/topics/"+name+".a", `{"records":[{"value":1}]}`, jsonV2).want(t, 200, `"offset":0`)
		began := time.Now()
		s.do(t, "POST", "/topics/"+name+"_a", `{"records":[{"value":1}]}`, jsonV2).want(t, 400, `"error_code":40002`).want(t, 400, "collides with existing topics: "+name+".a")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A read that may not wait as long as its client asks says how long it may.
func TestCappedTimeout(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, func(o *stackOptions) { o.consumer.RequestTimeout = 100 * time.Millisecond })
	i := createConsumer(t, s, "")
	s.do(t, "POST", i+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	for _, path := range []string{i + "/records?", "/topics/" + topic + "/partitions/0/records?offset=0&"} {
		for timeout, want := range map[int]string{50: "", 100: "", 5000: "100"} {
			r := s.do(t, "GET", fmt.Sprintf("%stimeout=%d", path, timeout), "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "[]")
			if got := r.header.Get(server.HeaderTimeout); got != want {
				t.Errorf("%s, timeout=%d: the header says %q, want %q", path, timeout, got, want)
			}
			if got := r.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
		}
	}
	if got := s.do(t, "GET", "/topics", "").header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of metadata is %q", got)
	}
}
