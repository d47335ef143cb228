package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/codec"
	"millrace/internal/registry"
	"millrace/internal/testkit"
	"millrace/schema"
)

// withRegistry makes a stack use the schema registry at url.
func withRegistry(t testing.TB, url string, change ...func(*schema.Settings)) func(*stackOptions) {
	t.Helper()
	settings := schema.Settings{
		URLs: []string{url}, Timeout: 30 * time.Second, AutoRegister: true, CheckSubject: true,
		CacheSize: 100, NegativeTTL: 100 * time.Millisecond,
	}
	for _, f := range change {
		f(&settings)
	}
	logs := &logBuffer{}
	registry, err := schema.New(settings, slog.New(slog.NewTextHandler(logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	return func(o *stackOptions) { o.schemas, o.logs = registry, logs }
}

// builtIn starts the registry of dev mode on b.
func builtIn(t testing.TB, b testkit.Broker) string {
	t.Helper()
	r, err := registry.Start(registry.Options{Listen: "127.0.0.1:0", Brokers: b.Addrs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r.URL()
}

// onBothRegistries runs test with the built-in registry on kfake, and with a
// real registry beside a real Kafka.
func onBothRegistries(t *testing.T, test func(t *testing.T, b testkit.Broker, url string)) {
	t.Run("built in", func(t *testing.T) {
		b := testkit.Fake(t).Broker
		test(t, b, builtIn(t, b))
	})
	t.Run("real", func(t *testing.T) { test(t, testkit.RealKafka(t), testkit.Registry(t)) })
}

func TestSchemaExchanges(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := start(t, b, withRegistry(t, url))
		vars := map[string]string{"group": testkit.Group(t)}
		for _, name := range []string{"avro", "union", "js", "proto"} {
			vars[name] = testkit.CreateTopic(t, b, 1)
		}
		testkit.RunExchanges(t, "testdata/schemas.txt", s.base, vars)
	})
}

const avroV2 = "application/vnd.kafka.avro.v2+json"

// All the real records, with a schema of 19 fields, are in Kafka as another Avro library reads
// them, and are read as they were sent.
func TestRealRecordsAsAvro(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)))
	topic := testkit.CreateTopic(t, b, 1)
	sent := testkit.AvroCitations(t, true)
	const each = 50
	for at := 0; at < len(sent); at += each {
		body := fmt.Appendf(nil, `{"value_schema":%s,"records":[{"value":`, strconv.Quote(testkit.CitationSchema))
		body = append(body, bytes.Join(sent[at:min(at+each, len(sent))], []byte(`},{"value":`))...)
		s.do(t, "POST", "/topics/"+topic, string(append(body, `}]}`...)), "Content-Type: "+avroV2).want(t, 200, `"offset":`)
	}
	path := "/consumers/" + testkit.Group(t)
	s.do(t, "POST", path, `{"name":"i","format":"avro","auto.offset.reset":"earliest"}`, plainV2).want(t, 200, `"instance_id":"i"`)
	path += "/instances/i"
	s.do(t, "POST", path+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	var got []json.RawMessage
	for len(got) < len(sent) {
		var page []struct{ Value json.RawMessage }
		answer := s.do(t, "GET", path+"/records?timeout=5000&max_bytes=20000", "", "Accept: "+avroV2)
		answer.want(t, 200, "{")
		if err := json.Unmarshal([]byte(answer.body), &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			got = append(got, r.Value)
		}
	}
	if len(got) != len(sent) {
		t.Fatalf("%d records came back, not %d", len(got), len(sent))
	}
	for i := range got {
		if !reflect.DeepEqual(decoded(t, got[i]), decoded(t, sent[i])) {
			t.Fatalf("record %d was\n%s, came back as\n%s", i, sent[i], got[i])
		}
	}
}

// Streams of a topic and of an instance show Avro in the dialect of the setting, by schemas that
// this node has not cached; a record that cannot be decoded is reported.
func TestStreamsOfAvro(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	url := builtIn(t, b)
	writer := start(t, b, withRegistry(t, url))
	for dialect, want := range map[codec.Dialect]string{codec.Tagged: `{"s":{"string":"x"}}`, codec.Plain: `{"s":"x"}`} {
		topic := testkit.CreateTopic(t, b, 1)
		writer.do(t, "POST", "/topics/"+topic,
			`{"value_schema":"{\"type\":\"record\",\"name\":\"E\",\"fields\":[{\"name\":\"s\",\"type\":[\"null\",\"string\"]}]}","records":[{"value":{"s":{"string":"x"}}},{"value":{"s":null}}]}`,
			"Content-Type: "+avroV2).want(t, 200, `"offset":1`)
		writer.do(t, "POST", "/topics/"+topic, `{"value_schema":"\"int\"","records":[{"value":5}]}`, "Content-Type: "+avroV2).want(t, 422, `"error_code":42207`)
		s := start(t, b, withRegistry(t, url), func(o *stackOptions) { o.rest.Avro = dialect })
		s.follow(t, "/topics/"+topic+"/stream?from=beginning&format=avro").want(want, `{"s":null}`)

		path := "/consumers/" + testkit.Group(t)
		s.do(t, "POST", path, `{"name":"i","format":"avro","auto.offset.reset":"earliest"}`, plainV2).want(t, 200, "")
		path += "/instances/i"
		s.do(t, "POST", path+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
		all := s.follow(t, path+"/stream", sse)
		all.want(want, `{"s":null}`)
		writer.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"AAAPQj8A"}]}`, "Content-Type: application/vnd.kafka.binary.v2+json").want(t, 200, `"offset":2`)
		if e, ok := all.next(); !ok || e.ErrorCode != 40801 || !strings.Contains(e.text, "999999") {
			t.Errorf("an unknown schema is told as %q", e.text)
		}
	}
}

// decoded returns the value of a JSON text.
func decoded(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// A request for a topic that does not exist, and is not created, leaves no schema in the registry.
func TestNoSchemaForAMissingTopic(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	url := builtIn(t, b)
	s := start(t, b, withRegistry(t, url), func(o *stackOptions) { o.create = false })
	s.produceBy(t, "mistyped", userSchema, aUser).want(t, 404, `"error_code":40401`)
	resp, err := http.Get(url + "/subjects")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if subjects, err := io.ReadAll(resp.Body); err != nil || strings.TrimSpace(string(subjects)) != "[]" {
		t.Errorf("the registry has the subjects %s (%v)", subjects, err)
	}
}

// A schema's id may stand in quotes, and schemas are taken as other tools write them: a descriptor
// without JSON names, a namespace with '-', a pattern that RE2 does not have.
func TestSchemasOfOthers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)))
	f := func(format, schema, value string) {
		t.Helper()
		topic := testkit.CreateTopic(t, b, 1)
		media := "application/vnd.kafka." + format + ".v2+json"
		r := s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"value_schema":%q,"records":[{"value":%s}]}`, schema, value), "Content-Type: "+media).want(t, 200, `"offset":0`)
		_, id, _ := strings.Cut(r.body, `"value_schema_id":`)
		id = strings.TrimSuffix(id, "}")
		s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"value_schema_id":%q,"records":[{"value":%s}]}`, id, value), "Content-Type: "+media).want(t, 200, `"offset":1`).want(t, 200, `"value_schema_id":`+id)
		i := s.instance(t, topic, format)
		s.do(t, "GET", i+"/records?timeout=10000", "", "Accept: "+media).want(t, 200, `"value":`+value+`,"partition":0,"offset":0}`)
	}
	f("protobuf", "CgdtLnByb3RvEgF4IhYKAU0SEQoJdXNlcl9uYW1lGAEgASgJYgZwcm90bzM=", `{"userName":"a"}`)
	f("avro", `{"type":"record","name":"Test","namespace":"connect-test.core","fields":[{"name":"a","type":"string"}]}`, `{"a":"x"}`)
	f("jsonschema", `{"type":"object","properties":{"a":{"type":"string","pattern":"^(?!x).{1,2048}$"}}}`, `{"a":"y"}`)
}

// A descriptor in base64, out of the code that protoc generates for Python, is a schema as its file
// is: its fields have the names that protoc would deduce.
func TestDescriptorAsSchema(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)))
	descriptor, err := os.ReadFile("../../codec/protobuf/testdata/tools/nested-python.b64")
	if err != nil {
		t.Fatal(err)
	}
	topic := testkit.CreateTopic(t, b, 1)
	const media = "application/vnd.kafka.protobuf.v2+json"
	const trip = `{"tripId":"t","stopsMade":[{"streetName":"s","stopKind":"KIND_DEPOT","allDoors":[{"isOpen":true}]}],"stopsByName":{},"totalCost":"7","cardNumber":"c","startedAt":"2026-01-02T03:04:05Z","anotherName":"r"}`
	s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"value_schema":%q,"records":[{"value":%s}]}`, strings.TrimSpace(string(descriptor)), trip), "Content-Type: "+media).
		want(t, 200, `"offset":0`)
	s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=0", "", "Accept: "+media).want(t, 200, `"value":`+trip)
}
