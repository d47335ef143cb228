package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/ingest/deadletter"
	"millrace/internal/fair"
	"millrace/internal/testkit"
)

// registerSchema registers a schema under a subject, and returns its id.
func registerSchema(t *testing.T, url, subject, kind, text string) (id int) {
	t.Helper()
	body := fmt.Sprintf(`{"schemaType":%q,"schema":%s}`, kind, strconv.Quote(text))
	resp, err := http.Post(url+"/subjects/"+subject+"/versions", "application/vnd.schemaregistry.v1+json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var registered struct{ ID int }
	if err := json.NewDecoder(resp.Body).Decode(&registered); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s %v", subject, resp.Status, err)
	}
	return registered.ID
}

// headersOf returns the headers of a record by name.
func headersOf(t *testing.T, b testkit.Broker, topic string, n int) (all []map[string]string, values []string) {
	t.Helper()
	for _, r := range testkit.ReadTopic(t, b, topic, n) {
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		all, values = append(all, headers), append(values, string(r.Value))
	}
	return all, values
}

// Events of a route with a schema are in Kafka as its format has them. One that does not fit is in
// the dead-letter topic as it came, with the reason, and its neighbours are not affected.
func TestIngestSchema(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]struct{ kind, schema, rule string }{
		"avro":       {"AVRO", `{"type":"record","name":"E","fields":[{"name":"n","type":"int"},{"name":"s","type":["null","string"],"default":null}]}`, "{format: avro}"},
		"jsonschema": {"JSON", `{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":["string","null"]}},"required":["n"],"additionalProperties":false}`, "{format: jsonschema, version: 1}"},
		"protobuf":   {"PROTOBUF", `syntax = "proto3"; message E { int32 n = 1; optional string s = 2; }`, "{subject: SUBJECT, version: latest}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := testkit.Fake(t).Broker
			url := builtIn(t, b)
			topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
			registerSchema(t, url, topic+"-value", with.kind, with.schema)
			rule := strings.ReplaceAll(with.rule, "SUBJECT", topic+"-value")
			s := start(t, b, withRegistry(t, url), withRoutes(t, "routes:\n  e: {topic: "+topic+", schema: "+rule+", dead_letter: "+dead+", headers: {v: {query: v}, h: {header: X-H}}}\n"))
			body := "{\"n\": 1}\n{\"n\": \"many\"}\nnonsense\n{ \"n\" : 2 , \"s\":\"k1\" }\n"
			answer := s.do(t, "POST", "/ingest/e?v=7", body, ndjson, "X-H: there")
			answer.want(t, 207, `{"accepted":2,"refused":2,"errors":[{"index":1,"error_code":42209,"message":"The event does not fit the schema of the route: event`)
			answer.want(t, 207, `"retry":false,"dead_letter":true},{"index":2,"error_code":400,`)
			read := func(offset, want string) {
				t.Helper()
				s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset="+offset, "", "Accept: application/vnd.kafka."+name+".v2+json").want(t, 200, want)
			}
			read("0", `"n":1`)
			read("1", `"n":2`)
			read("1", `k1`)
			got, values := headersOf(t, b, dead, 2)
			for i, want := range []map[string]string{
				{deadletter.Reason: "event_misfit", deadletter.Index: "1"}, {deadletter.Reason: "bad_request", deadletter.Index: "2"},
			} {
				want[deadletter.Route], want[deadletter.Topic], want[deadletter.Type] = "e", topic, "application/x-ndjson"
				want[deadletter.Query+"v"], want[deadletter.Header+"X-H"] = "7", "there"
				for name, value := range want {
					if got[i][name] != value {
						t.Errorf("dead letter %d has %s=%q, want %q", i, name, got[i][name], value)
					}
				}
				if sent := strings.Split(body, "\n")[i+1]; values[i] != sent || got[i][deadletter.Message] == "" {
					t.Errorf("dead letter %d is %q %v, want %q", i, values[i], got[i], sent)
				}
			}
			s.do(t, "POST", "/ingest/e", `{"n":"x"}`, ndjson).want(t, 422, `No event was written. It is kept in the dead-letter topic. Event 0: The event does not fit`)
			s.do(t, "POST", "/ingest/e", `n,m`, "Content-Type: text/csv").want(t, 422, `not JSON by its Content-Type`)
			testkit.ReadTopic(t, b, dead, 4)
		})
	}
}

// While the registry or the dead-letter topic is not there, an event stays with its sender.
func TestIngestSchemaAway(t *testing.T) {
	t.Parallel()
	fake := testkit.Fake(t)
	b := fake.Broker
	url := builtIn(t, b)
	topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	s := start(t, b, withRegistry(t, url), withRoutes(t, "routes:\n  e: {topic: "+topic+", schema: {}, dead_letter: "+dead+"}\n"))
	s.do(t, "POST", "/ingest/e", `{"n":1}`, ndjson).want(t, 503, `"error_code":50305,"message":"The schema of the ingest route cannot be used:`)
	registerSchema(t, url, topic+"-value", "JSON", `{"required":["n"]}`)
	testkit.Eventually(t, 10*time.Second, "the schema", func() bool {
		return s.do(t, "POST", "/ingest/e", `{"n":1}`, ndjson).status == 200
	})
	fake.Cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) { // once: the dead letter comes first
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			refused := kmsg.ProduceResponseTopic{Topic: topic.Topic, TopicID: topic.TopicID}
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				refused.Partitions = append(refused.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, refused)
		}
		return resp, nil, true
	})
	const events = `{"n":1}{"m":1}`
	away := s.do(t, "POST", "/ingest/e", events, "Content-Type: application/json")
	away.want(t, 207, `{"accepted":1,"refused":1,"errors":[{"index":1,"error_code":50003,"message":"The event cannot be kept in the dead-letter topic`)
	away.want(t, 207, `"retry":true}]}`)
	s.do(t, "POST", "/ingest/e", events, "Content-Type: application/json").want(t, 207, `"retry":false,"dead_letter":true}]}`)
	testkit.ReadTopic(t, b, dead, 1)
}

// Kafka refuses all that is to be written for good, and another event is for its sender to keep:
// the answer says both.
func TestIngestRefusedAndKept(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "main"))
	s := start(t, b.Broker, func(o *stackOptions) { o.create = false }, withRoutes(t, "routes:\n  e: {topic: main, dead_letter: missing}\n"))
	body := "nonsense\n\"" + strings.Repeat("x", 2<<20) + "\"\n"
	answer := s.do(t, "POST", "/ingest/e", body, ndjson).want(t, 207, `{"accepted":0,"refused":2,"errors":[{"index":0,`)
	answer.want(t, 207, `"retry":true},{"index":1,"error_code":413,`).want(t, 207, `"retry":false}]}`)
}

// An event that the dead-letter topic cannot take either, since it is too large, is refused for
// good, and the others of its request are kept there.
func TestIngestTooLargeToBeKept(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "main", "dead")).Broker
	s := start(t, b, withRoutes(t, "routes:\n  e: {topic: main, dead_letter: dead, limits: {event_bytes: 100}}\n"))
	body := "nonsense\n\"" + strings.Repeat("x", 2<<20) + "\"\n{}\n"
	answer := s.do(t, "POST", "/ingest/e", body, ndjson).want(t, 207, `{"accepted":1,"refused":2,"errors":[{"index":0,`)
	answer.want(t, 207, `"retry":false,"dead_letter":true},{"index":1,"error_code":413,`).want(t, 207, `"retry":false}]}`)
	wantValues(t, b, "dead", "nonsense")
}

// Where the others of a request cannot be written, its sender is told of the events that are in the
// dead-letter topic, and does not send them there again.
func TestIngestKeptBesideAnOutage(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "dead")).Broker
	s := start(t, b, func(o *stackOptions) { o.create = false }, withRoutes(t, "routes:\n  e: {topic: missing, dead_letter: dead}\n"))
	answer := s.do(t, "POST", "/ingest/e", "nonsense\n{}\n", ndjson).want(t, 207, `{"accepted":0,"refused":2,"errors":[{"index":0,"error_code":400,`)
	answer.want(t, 207, `"dead_letter":true},{"index":1,"error_code":40401,`)
	wantValues(t, b, "dead", "nonsense")
}

// An event for whose encoding there is no memory at the moment may come again: it fits its schema.
func TestIngestSchemaWithoutMemory(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	const memory = 1 << 20
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, withRegistry(t, builtIn(t, b)), withRoutes(t, "routes:\n  e: {topic: "+topic+", schema: {}}\n"),
		func(o *stackOptions) { o.batch.BufferBytes = memory })
	s.do(t, "POST", s.v3(topic)+"/records", `{"value":{"type":"AVRO","schema":"\"string\"","data":"a"}}`, plainJSON).want(t, 200, ok200)
	event := `"` + strings.Repeat("x", 50_000) + `"`
	// From less than the body takes to enough for what is made of it.
	for room := 40_000; room < 400_000; room += 10_000 {
		others := s.producer.Acquire()
		// It may come with room that earlier jobs left.
		others.Holder, others.Lent = new(fair.Holder), memory-room-cap(others.Body)-cap(others.Arena)-others.Slab.HeaderBytes()
		if err := s.producer.Admit(others); err != nil {
			t.Fatal(err)
		}
		r := s.do(t, "POST", "/ingest/e", event, jsonType)
		others.Release()
		if r.status != 200 {
			r.want(t, 503, `"error_code":50301`)
		}
	}
	s.do(t, "POST", "/ingest/e", event, jsonType).want(t, 200, `{"accepted":1,"refused":0}`)
}
