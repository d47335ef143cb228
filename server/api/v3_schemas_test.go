package api_test

import (
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// The schema of a key or value by text, id, version and latest, under the topic's subject, one by
// name, and one by a strategy; each in its own record of one stream.
func TestV3Schemas(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := start(t, b, withRegistry(t, url))
		topic := testkit.CreateTopic(t, b, 1)
		const user = `"schema":"{\"type\":\"record\",\"name\":\"User\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}"`
		const data = `"data":{"name":"a"}`
		first := s.do(t, "POST", s.v3(topic)+"/records", `{"value":{"type":"AVRO",`+user+`,`+data+`}}`, plainJSON).
			want(t, 200, `"value":{"type":"AVRO","subject":"`+topic+`-value","schema_id":`).want(t, 200, `"schema_version":1,"size":7}}`)
		_, id, _ := strings.Cut(first.body, `"schema_id":`)
		id, _, _ = strings.Cut(id, ",")
		avro := `"value":{"type":"AVRO","subject":"` + topic + `-value","schema_id":` + id + `,"schema_version":1,"size":7}}`
		for _, c := range []struct{ value, want string }{
			{`{"schema_id":` + id + `,` + data + `}`, avro},
			{`{"schema_version":1,` + data + `}`, avro},
			{`{"schema_version":"latest",` + data + `}`, avro},
			{`{` + data + `}`, avro},
			{`{"subject":"` + topic + `-value",` + data + `}`, avro},
			{`{"type":"AVRO","data":null}`, `{"error_code":400,"message":"value: expected record User, got null"}`},
			{`{"type":"AVRO","subject_name_strategy":"RECORD_NAME",` + user + `,` + data + `}`, `"subject":"User","schema_id":`},
			{`{"type":"AVRO","subject_name_strategy":"TOPIC_RECORD_NAME",` + user + `,` + data + `}`, `"subject":"` + topic + `-User","schema_id":`},
			{`{"type":"JSONSCHEMA","subject":"` + topic + `-js","schema":"{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"string\"}}}","data":{"n":"a"}}`, `{"type":"JSONSCHEMA","subject":"` + topic + `-js",`},
			{`{"type":"PROTOBUF","subject":"` + topic + `-pb","schema":"syntax = \"proto3\"; message Foo { string n = 1; }","data":{"n":"a"}}`, `"schema_version":1,"size":9}}`},
			{`{"type":"JSON","data":1}`, `"value":{"type":"JSON","size":1}}`},

			{`{"type":"AVRO","schema_id":` + id + `,` + data + `}`, `{"error_code":400,"message":"The value has a type, and schema_id`},
			{`{"schema_id":` + id + `,"data":{"name":1}}`, `{"error_code":400,"message":"value.name: `},
			{`{"schema_id":` + id + `,"subject":"other",` + data + `}`, `{"error_code":42207,"message":"The schema ` + id + ` is not of the subject other."}`},
			{`{"schema_id":987654321,` + data + `}`, `{"error_code":42207,`},
			{`{"schema_version":7,` + data + `}`, `{"error_code":42207,`},
			{`{"type":"PROTOBUF",` + data + `}`, `{"error_code":42207,"message":"The schema ` + id + ` is for the format avro, not protobuf."}`},
			{`{"subject_name_strategy":"BEST",` + data + `}`, `{"error_code":400,"message":"The subject_name_strategy \"BEST\" is none of`},
			{`{"subject_name_strategy":"RECORD_NAME",` + data + `}`, `{"error_code":422,`},
			{`{"type":"AVRO","schema":"{\"type\":\"recor\"}",` + data + `}`, `{"error_code":42205,`},
		} {
			body := `{"value":` + c.value + `}`
			got := s.do(t, "POST", s.v3(topic)+"/records", body+value(1)+body, plainJSON) // among others, twice
			lines := strings.Split(strings.TrimSpace(got.body), "\r\n")
			if len(lines) != 3 || !strings.Contains(lines[0], c.want) || !strings.Contains(lines[2], c.want) || !strings.Contains(lines[1], `"value":{"type":"JSON","size":1}}`) {
				t.Errorf("%s\ngot  %s\nwant %s", body, got.body, c.want)
			}
		}
		s.do(t, "POST", s.v3(topic)+"/records", `{"key":{"type":"AVRO","schema":"\"int\"","data":5},"value":{"type":"STRING","data":"v"}}`, plainJSON).
			want(t, 200, `"key":{"type":"AVRO","subject":"`+topic+`-key","schema_id":`).want(t, 200, `"size":6},"value":{"type":"STRING","size":1}}`)
	})
	t.Run("without a registry", func(t *testing.T) {
		b := testkit.Fake(t).Broker
		s := start(t, b)
		s.do(t, "POST", s.v3("t")+"/records", `{"value":{"data":1}}`, plainJSON).want(t, 200, `{"error_code":400,"message":"The value needs a schema, and this node has no schema registry.`)
	})
}

// A caller that may write to a topic has schemas registered under the subjects of that topic only,
// by a batch and by a stream: the node registers with rights of its own.
func TestSubjectsOfOtherTopics(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		topic := testkit.CreateTopic(t, b, 1)
		d := newDoors(t, "rules:\n  - {who: [key:edge], allow: [produce], topics: ["+topic+"]}\n  - {who: [key:root], allow: [all]}\n")
		s := start(t, b, withRegistry(t, url), func(o *stackOptions) { o.access, o.produce.MaxEntries = d.settings, 10 })
		path := s.v3(topic) + "/records"
		record := func(name string) string {
			return `{"type":"AVRO",` + name + `"schema":"{\"type\":\"record\",\"name\":\"User\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}","data":{"name":"a"}}`
		}
		other := `"subject":"` + topic + `2-value",`
		for _, name := range []string{other, `"subject":"` + topic + `-key",`, `"subject_name_strategy":"RECORD_NAME",`} {
			s.do(t, "POST", path, `{"value":`+record(name)+`}`, plainJSON, d.writeKey).want(t, 200, `"error_code":40301`).want(t, 200, "right to administer the topic")
			s.do(t, "POST", path+":batch", `{"entries":[{"id":"a","value":`+record(name)+`}]}`, plainJSON, d.writeKey).want(t, 207, "right to administer the topic")
		}
		for _, name := range []string{"", `"subject":"` + topic + `-value",`, `"subject_name_strategy":"TOPIC_NAME",`} {
			s.do(t, "POST", path, `{"value":`+record(name)+`}`, plainJSON, d.writeKey).want(t, 200, `"subject":"`+topic+`-value"`)
		}
		s.do(t, "POST", path, `{"value":`+record(other)+`}`, plainJSON, d.rootKey).want(t, 200, `"subject":"`+topic+`2-value"`)
		if got := logEnd(t, b, topic); got != 4 {
			t.Errorf("the topic has %d records", got)
		}
	})
}
